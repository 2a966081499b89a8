//! What CI runs, from a clean clone to the last count.
//! It must not know anything that a person cannot run alone with another chore.

use std::process::Command;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::legs::Servers;
use crate::run::{cargo, output, run, timed};
use crate::workspace::Workspace;
use crate::{slim, test};

/// How the chore is called.
pub const USAGE: &str = "ci";

/// Plugins of the slim binary that is tried out: enough for the demo.
const SLIM: [&str; 3] = ["sqlite", "parquet", "local"];

/// The checks, the slim binary, and last the tests, so that their counts end the log.
///
/// # Errors
/// When anything fails.
pub fn ci(words: &[String]) -> Result<()> {
    Args::parse(words, &[], &[])?;
    let workspace = Workspace::read()?;
    test::check()?;
    deny()?;
    test::build(&workspace)?;
    timed("slim", || slim_smoke(&workspace))?;
    test::tests(&workspace, &Servers::All, &[])
}

/// cargo-deny where it is installed; `tidy` has already held the dependencies against the same file. Advisories need a
/// network that not every machine has.
fn deny() -> Result<()> {
    if output(&mut cargo(["deny", "--version"])).is_err() {
        eprintln!("# cargo-deny is not installed: tidy has checked deny.toml");
        return Ok(());
    }
    run(&mut cargo(["deny", "check", "bans", "licenses", "sources"]))
}

/// A slim binary exports the demo's sample with nothing but itself.
fn slim_smoke(workspace: &Workspace) -> Result<()> {
    let slim = slim::build(workspace, &SLIM, None)?;
    let dir = workspace.target.join("slim-demo");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).with_context(|| format!("failed to remove {}", dir.display()))?;
    }
    run(Command::new(slim).args(["demo", "--rows", "20000", "--dir"]).arg(dir))
}
