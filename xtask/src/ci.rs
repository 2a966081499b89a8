//! What CI runs, from a clean clone to the last count.
//! It must not know anything that a person cannot run alone with another chore.

use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::args::Args;
use crate::legs::Servers;
use crate::run::{run, timed};
use crate::test;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "ci";

/// The slim binary that is tried out: enough for the demo.
const SLIM: [&str; 3] = ["slim", "--with", "sqlite,parquet,local"];
/// It is linked as for release, and optimised no more than it takes to see that all is in.
const UNOPTIMISED: [(&str, &str); 1] = [("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")];

/// The checks, the slim binary, and last the tests, so that their counts end the log. What the network and the disk do
/// meanwhile takes little from the compiler.
///
/// # Errors
/// When anything fails.
pub fn ci(words: &[String]) -> Result<()> {
    Args::parse(words, &[], &[])?;
    let workspace = Workspace::read()?;
    test::check()?;
    test::build(&workspace)?;
    thread::scope(|scope| {
        let install = scope.spawn(|| test::install(&workspace));
        timed("slim", || slim_smoke(&workspace))?;
        install.join().map_err(|_| anyhow!("the installation panicked"))?
    })?;
    test::tests(&workspace, &Servers::All, &[])
}

/// A slim binary exports the demo's sample with nothing but itself.
fn slim_smoke(workspace: &Workspace) -> Result<()> {
    let dir = workspace.target.join("slim-demo");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).with_context(|| format!("failed to remove {}", dir.display()))?;
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    run(Command::new(std::env::current_exe()?).args(SLIM).arg("--out").arg(&dir).envs(UNOPTIMISED))?;
    run(Command::new(dir.join("rivet")).args(["demo", "--rows", "20000", "--dir"]).arg(dir.join("demo")))
}
