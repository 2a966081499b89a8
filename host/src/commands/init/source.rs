//! Where `rivet init` reads, and how its config says so without a secret.
//! It must not know what is read.

use std::path::Path;

use rivet_core::config::{self, Config, Params, literal, meant, source_block};
use rivet_core::error::RunError;

use crate::cli::init::InitArgs;
use crate::commands::direct::{self, holds_password, plugin_of, refused};

/// The variable that a URL is put into which holds a password.
const URL_VARIABLE: &str = "DATABASE_URL";

/// Blocks of a config that say where rows come from.
pub struct Source {
    /// YAML.
    pub text: String,
    /// What to do before it works, one sentence each.
    pub notes: Vec<String>,
    /// Variables that stand for what may not be written, and what they stand for.
    moved: Vec<(&'static str, String)>,
}

impl Source {
    /// As the arguments say.
    ///
    /// # Errors
    /// When they name no source, or one that cannot be read.
    pub fn of(args: &InitArgs) -> Result<Self, RunError> {
        if let Some(file) = &args.config {
            let text = std::fs::read_to_string(file)
                .map_err(|e| refused(format!("failed to read {}: {e}", file.display()), "name a config file"))?;
            let block = source_block(&text)?;
            let note = |(variable, _): &(&'static str, String)| {
                format!("{} holds a secret, which is not written here: set {variable} to it.", file.display())
            };
            let env = |name: &str| std::env::var(name).ok();
            let moved = block.moved.iter().map(|(variable, text)| (*variable, meant(text, &env))).collect();
            return Ok(Self { notes: block.moved.iter().map(note).collect(), text: block.text, moved });
        }
        if !args.source.is_given() {
            return Err(refused("there is no database to look at", "name a URL, --url-env or --config").into());
        }
        if let Some(url) = args.source.url.as_ref().filter(|url| holds_password(url)) {
            let text = format!("source:\n  type: {}\n  url_env: {URL_VARIABLE}\n", literal(plugin_of(url)?));
            let note = format!("The URL holds a password, so it is not written here: set {URL_VARIABLE} to it.");
            return Ok(Self { text, notes: vec![note], moved: vec![(URL_VARIABLE, url.clone())] });
        }
        let lines = direct::source(&args.source, &|name| std::env::var(name).ok())?;
        Ok(Self { text: format!("source:\n{lines}\n"), notes: Vec::new(), moved: Vec::new() })
    }

    /// A config that reads there, with one export that stands for all.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn config(&self, args: &InitArgs, base: &Path) -> Result<Config, RunError> {
        let shape = direct::shape(&args.shape, None)?.iter().map(|line| format!("    {line}\n")).collect::<String>();
        let export = format!("  - name: init\n    table: init\n    destination: {{type: local, path: out}}\n{shape}");
        self.read(&format!("{}exports:\n{export}", self.text), base)
    }

    /// Reads a config with this source.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, text: &str, base: &Path) -> Result<Config, RunError> {
        let moved = |name: &str| Some(self.moved.iter().find(|(variable, _)| *variable == name)?.1.clone());
        let env = |name: &str| moved(name).or_else(|| std::env::var(name).ok());
        Ok(config::parse(text, base, &env, &Params::new())?)
    }
}
