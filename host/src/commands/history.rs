//! What the commands about the state share: the state file, opened only if it is there.
//! It must not know what a command shows.

use std::path::{Path, PathBuf};

use rivet_core::config::{ConfigErrors, OutlinedExport, outline};
use rivet_core::error::RunError;
use rivet_core::state::{State, StateError};
use rivet_core::tables::is_made_of;

use crate::cli::Global;
use crate::cli::history::StateFile;
use crate::exit::Exit;
use crate::render;

/// The state that a command is about.
pub struct Opened {
    /// Where it is or would be.
    pub path: PathBuf,
    /// The state, of the config where one was read; none when no run has made it yet.
    pub state: Option<State>,
    /// Exports of the config, in its order; none when no config was read.
    configured: Option<Vec<OutlinedExport>>,
    /// The config that was read.
    config: Option<PathBuf>,
}

/// Opens the state that the arguments lead to, for those who look at it; a failure is reported.
pub fn open(file: &StateFile, global: &Global) -> Result<Opened, Exit> {
    open_by(State::look, file, global)
}

/// As [`open`], for those who change it.
pub fn open_to_change(file: &StateFile, global: &Global) -> Result<Opened, Exit> {
    open_by(State::open_existing, file, global)
}

fn open_by(
    open: impl FnOnce(&Path) -> Result<Option<State>, StateError>,
    file: &StateFile,
    global: &Global,
) -> Result<Opened, Exit> {
    let (path, configured) = match &file.state {
        Some(path) => (path.clone(), None),
        None => {
            let found = outline(&file.config).map_err(|e| render::failure(global, &unread(&file.config, e)))?;
            (found.state, Some(found.exports))
        }
    };
    let state = open(&path).map_err(|e| render::failure(global, &e.into()))?;
    let config = configured.is_some().then(|| file.config.clone());
    let state = state.map(|state| seen_by(state, config.as_deref()));
    if state.is_none() && file.state.is_some() {
        return Err(render::usage(global, &format!("there is no state file '{}'", path.display())));
    }
    Ok(Opened { path: absolute(&path), state, configured, config })
}

/// Runs without a config leave a state where the config would be: then that is what is meant.
fn unread(config: &Path, e: ConfigErrors) -> RunError {
    let state = config.with_file_name(".rivet_state.db");
    if config.exists() || !state.is_file() {
        return RunError::Config(e);
    }
    RunError::Impossible {
        what: e.to_string(),
        hint: format!(
            "name the file with --config; what runs without a config left is shown with --state {}",
            state.display()
        ),
    }
}

fn seen_by(state: State, config: Option<&Path>) -> State {
    config.map_or_else(|| state.clone(), |config| state.of_config_file(config))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Opened {
    /// Whether the exports are those of a config.
    pub fn reads_config(&self) -> bool {
        self.config.is_some()
    }

    /// The state, made if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn made(&self) -> Result<State, RunError> {
        match &self.state {
            Some(state) => Ok(state.clone()),
            None => Ok(seen_by(State::open(&self.path)?, self.config.as_deref())),
        }
    }

    /// The state as each config sees it that has an export of this name: one, unless no config was read.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn views(&self, export: &str) -> Result<Vec<State>, RunError> {
        let Some(state) = &self.state else { return Ok(Vec::new()) };
        if state.config().is_some() {
            return Ok(vec![state.as_kept(export)?]);
        }
        Ok(state.configs_of(export)?.iter().map(|config| state.of_config(config)).collect())
    }

    /// As [`Opened::views`], where there must be one.
    ///
    /// # Errors
    /// `Impossible` when several configs have an export of this name.
    pub fn view(&self, export: &str) -> Result<Option<State>, RunError> {
        let mut views = self.views(export)?;
        if views.len() < 2 {
            return Ok(views.pop());
        }
        let configs: Vec<&str> = views.iter().filter_map(State::config).collect();
        Err(RunError::Impossible {
            what: format!("several configs have an export '{export}' in this state file: {}", configs.join(", ")),
            hint: "name the config with -c instead of the state file".to_owned(),
        })
    }

    /// What the config says of an export; none where no config was read, or it is one of several tables.
    pub fn configured(&self, export: &str) -> Option<&OutlinedExport> {
        self.configured.iter().flatten().find(|c| c.name == export)
    }

    /// Exports that the config or the state knows: the config's first, then others.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn known(&self) -> Result<Vec<String>, RunError> {
        let mut names: Vec<String> = self.configured.iter().flatten().map(|c| c.name.clone()).collect();
        names.extend(self.remembered()?.into_iter().filter(|name| !self.is_configured(name)));
        Ok(names)
    }

    /// Exports of the config, those with `tables` by what was made of them so far; all that the state knows where no
    /// config was read.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn all(&self) -> Result<Vec<String>, RunError> {
        match &self.configured {
            None => self.known(),
            Some(configured) => {
                let shown = configured.iter().map(|c| {
                    let members = self.made_of(&c.name)?;
                    Ok(if members.is_empty() { vec![c.name.clone()] } else { members })
                });
                Ok(shown.collect::<Result<Vec<_>, RunError>>()?.concat())
            }
        }
    }

    /// The exports of these names, those with `tables` by what was made of them so far, which may be nothing.
    ///
    /// # Errors
    /// `Impossible` for a name that neither the config nor the state knows, listing the known ones.
    pub fn these(&self, names: &[String]) -> Result<Vec<String>, RunError> {
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            self.check(name)?;
            if self.is_group(name) { all.extend(self.made_of(name)?) } else { all.push(name.clone()) }
        }
        Ok(all)
    }

    /// Refuses a name that is not that of one export: unknown, or one with `tables`.
    ///
    /// # Errors
    /// `Impossible`, listing the known ones.
    pub fn one(&self, name: &str) -> Result<(), RunError> {
        self.check(name)?;
        if !self.is_group(name) {
            return Ok(());
        }
        let members = self.made_of(name)?;
        Err(RunError::Impossible {
            what: format!("export '{name}' stands for several tables"),
            hint: if members.is_empty() {
                "no run of one of them is remembered yet".to_owned()
            } else {
                format!("name one of {}", members.join(", "))
            },
        })
    }

    fn check(&self, name: &str) -> Result<(), RunError> {
        let known = self.known()?;
        if known.iter().any(|k| k == name) {
            return Ok(());
        }
        Err(RunError::Impossible {
            what: format!("no export is called '{name}'"),
            hint: if known.is_empty() {
                "no run is remembered yet".to_owned()
            } else {
                format!("Known exports: {}", known.join(", "))
            },
        })
    }

    fn remembered(&self) -> Result<Vec<String>, RunError> {
        Ok(self.state.as_ref().map(State::known_exports).transpose()?.unwrap_or_default())
    }

    fn is_configured(&self, name: &str) -> bool {
        self.configured.iter().flatten().any(|c| c.name == name)
    }

    fn is_group(&self, name: &str) -> bool {
        self.configured.iter().flatten().any(|c| c.is_group && c.name == name)
    }

    /// What the state knows that was made of an export with `tables`.
    fn made_of(&self, name: &str) -> Result<Vec<String>, RunError> {
        if !self.is_group(name) {
            return Ok(Vec::new());
        }
        let ours = |other: &String| is_made_of(other, name) && !self.is_configured(other);
        Ok(self.remembered()?.into_iter().filter(ours).collect())
    }
}
