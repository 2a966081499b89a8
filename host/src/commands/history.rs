//! What the commands about the state share: the state file, opened only if it is there.
//! It must not know what a command shows.

use std::path::{Path, PathBuf};

use rivet_core::config;
use rivet_core::error::RunError;
use rivet_core::state::State;

use crate::cli::Global;
use crate::cli::history::StateFile;
use crate::exit::Exit;
use crate::render;

/// The state that a command is about.
pub struct Opened {
    /// Where it is or would be.
    pub path: PathBuf,
    /// The state; none when no run has made it yet.
    pub state: Option<State>,
    /// Exports of the config, in its order; none when no config was read.
    pub configured: Option<Vec<String>>,
}

/// Opens the state that the arguments lead to; a failure is reported.
pub fn open(file: &StateFile, global: &Global) -> Result<Opened, Exit> {
    let (path, configured) = match &file.state {
        Some(path) => (path.clone(), None),
        None => {
            let params = file.param.iter().cloned().collect();
            let config =
                config::load(&file.config, &params).map_err(|e| render::failure(global, &RunError::Config(e)))?;
            let names = config.exports.iter().map(|e| e.name.clone()).collect();
            (config.state.path, Some(names))
        }
    };
    let state = State::open_existing(&path).map_err(|e| render::failure(global, &e.into()))?;
    if state.is_none() && file.state.is_some() {
        return Err(render::usage(global, &format!("there is no state file '{}'", path.display())));
    }
    Ok(Opened { path: absolute(&path), state, configured })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Opened {
    /// Exports that the config or the state knows: the config's first, then others.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn known(&self) -> Result<Vec<String>, RunError> {
        let mut names = self.configured.clone().unwrap_or_default();
        let remembered = self.state.as_ref().map(State::known_exports).transpose()?.unwrap_or_default();
        names.extend(remembered.into_iter().filter(|name| !self.configured.iter().flatten().any(|c| c == name)));
        Ok(names)
    }

    /// Refuses a name that neither the config nor the state knows.
    ///
    /// # Errors
    /// `Impossible`, listing the known ones.
    pub fn check<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Result<(), RunError> {
        let known = self.known()?;
        match names.into_iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(unknown) => Err(RunError::Impossible {
                what: format!("no export is called '{unknown}'"),
                hint: if known.is_empty() {
                    "no run is remembered yet".to_owned()
                } else {
                    format!("there is {}", known.join(", "))
                },
            }),
        }
    }
}
