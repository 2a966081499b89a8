//! Where `rivet init` writes, and that it destroys nothing there.
//! It must not know what is in a config.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rivet_core::config::json_schema;
use rivet_core::error::RunError;

use super::yaml::SCHEMA_FILE;
use crate::cli::Global;
use crate::cli::init::InitArgs;
use crate::commands::run::base_dir;
use crate::out::Text;
use crate::plugins::Plugins;

/// Where the config goes.
pub struct Place {
    /// None for stdout.
    pub file: Option<PathBuf>,
    /// The folder that its paths start from.
    pub base: PathBuf,
}

impl Place {
    /// Where the arguments say.
    ///
    /// # Errors
    /// `Impossible` where there is a file that may not be overwritten, or paths of the source would not mean the same.
    pub fn of(args: &InitArgs) -> Result<Self, RunError> {
        let beside = args.config.as_ref().map(|config| base_dir(config));
        let usual = || args.config.as_ref().map_or(PathBuf::new(), |c| c.with_file_name("")).join("rivet.yaml");
        let is_piped = args.discover || args.file.as_deref() == Some(Path::new("-"));
        let file = (!is_piped).then(|| args.file.clone().unwrap_or_else(usual));
        let own = file.as_deref().map(base_dir);
        if let (Some(beside), Some(own)) = (&beside, &own)
            && beside != own
        {
            return Err(RunError::Impossible {
                what: "the new config would be in another folder than the one whose source it takes".to_owned(),
                hint: "write it beside that one, since files that a source names are found from the config".to_owned(),
            });
        }
        if let Some(there) = file.as_ref().filter(|file| !args.force && file.exists()) {
            return Err(RunError::Impossible {
                what: format!("{} exists already", there.display()),
                hint: "choose another file with -o, or overwrite it with --force".to_owned(),
            });
        }
        let base = own.or(beside).unwrap_or_else(|| base_dir(Path::new("rivet.yaml")));
        Ok(Self { file, base })
    }

    /// Writes the config, and beside it the schema that its first line names.
    ///
    /// # Errors
    /// `Impossible` when that fails.
    pub fn write(&self, text: &str, plugins: &Plugins, force: bool, global: &Global) -> Result<(), RunError> {
        let Some(file) = &self.file else {
            global.streams.data(&Text::ours(text));
            return Ok(());
        };
        put(file, text, force)?;
        let schema = self.base.join(SCHEMA_FILE);
        if force || !schema.exists() {
            let infos: Vec<_> = plugins.connectors.iter().map(|c| c.info()).collect();
            put(&schema, Text::pretty_json(&json_schema(&infos)).as_str(), force)?;
        }
        Ok(())
    }
}

fn put(path: &Path, text: &str, force: bool) -> Result<(), RunError> {
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).create_new(!force).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| RunError::Impossible {
        what: format!("failed to write {}: {}", path.display(), e.kind()),
        hint: "choose another file with -o".to_owned(),
    })
}
