//! The quickest way from a clone to a first export.
//! It must not know what the host's demo does.

use std::process::Command;

use anyhow::{Context, Result};

use crate::plugins;
use crate::run::run;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "demo [ARGS…]";

/// The host's demo with loaded plugins, in the caller's folder. The development build is used: a release build takes
/// longer than it saves.
///
/// # Errors
/// When the build or the demo fails.
pub fn demo(words: &[String]) -> Result<()> {
    let workspace = Workspace::read()?;
    let built = plugins::build_dev(&workspace)?;
    let dir = plugins::collect_dev(&workspace)?;
    let here = std::env::current_dir().context("there is no working directory")?;
    run(Command::new(built.join("rivet")).arg("demo").arg("--plugin-dir").arg(dir).args(words).current_dir(here))
}
