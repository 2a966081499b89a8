//! The quickest way from a clone to a first export.
//! It must not know what the host's demo does.

use std::process::Command;

use anyhow::{Context, Result};

use crate::plugins::collect;
use crate::run::{QUICK, build, run};
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "demo [ARGS…]";

/// What the sample needs beside the host.
const PLUGINS: [&str; 3] = ["rivet-source-sqlite", "rivet-format-parquet", "rivet-dest-local"];

/// The host's demo with loaded plugins, in the caller's folder.
///
/// # Errors
/// When the build or the demo fails.
pub fn demo(words: &[String]) -> Result<()> {
    let workspace = Workspace::read()?;
    eprintln!("# building rivet and {} of its plugins, unoptimised: the first time two to four minutes", PLUGINS.len());
    run(&mut build(QUICK, ["rivet"].into_iter().chain(PLUGINS)))?;
    let built = workspace.target.join(QUICK);
    let dir = built.join("plugins");
    collect(workspace.plugins().filter(|p| PLUGINS.contains(&&*p.name)), &built, &dir)?;
    let here = std::env::current_dir().context("there is no working directory")?;
    run(Command::new(built.join("rivet")).arg("demo").arg("--plugin-dir").arg(dir).args(words).current_dir(here))
}
