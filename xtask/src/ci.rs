//! What CI runs, from a clean clone to the last count.
//! It must not know anything that a person cannot run alone with another chore.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::args::Args;
use crate::legs::Servers;
use crate::run::{cargo, output, root, run, timed};
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

/// A slim binary exports the demo's sample with nothing but itself; another one has a crate of somebody else linked in.
fn slim_smoke(workspace: &Workspace) -> Result<()> {
    let slim = slim::build(workspace, &SLIM, &[], None)?;
    let dir = empty(&workspace.target.join("slim-demo"))?;
    run(Command::new(slim).args(["demo", "--rows", "20000", "--dir"]).arg(dir))?;
    let elsewhere = empty(&std::env::temp_dir().join(format!("rivet-slim-{}", std::process::id())))?;
    let result = with_a_crate(workspace, &elsewhere);
    std::fs::remove_dir_all(&elsewhere).with_context(|| format!("failed to remove {}", elsewhere.display()))?;
    result
}

/// The example, out of the tree and asking for a version of the API as its author would, exports by a slim binary.
fn with_a_crate(workspace: &Workspace, elsewhere: &Path) -> Result<()> {
    let (from, to) = (root().join("examples/source-ndjson"), elsewhere.join("acme-lines"));
    std::fs::create_dir_all(to.join("src"))?;
    for entry in std::fs::read_dir(from.join("src"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join("src").join(entry.file_name()))?;
    }
    let manifest = std::fs::read_to_string(from.join("Cargo.toml"))?;
    let (manifest, _) = manifest.split_once("[dev-dependencies]").context("tests have dependencies of their own")?;
    let manifest = manifest.replace("{ path = \"../../plugin-api\" }", "\"0.1\"");
    std::fs::write(to.join("Cargo.toml"), manifest + "[workspace]\n")?;
    let slim = slim::build(workspace, &["csv", "local"], &[&to.to_string_lossy()], None)?;
    std::fs::write(elsewhere.join("t.ndjson"), "{\"id\": 1}\n{\"id\": 2}\n")?;
    let config = "source: {type: ndjson, path: ., tables: {t: [{name: id, type: int64}]}}\n\
                  exports: [{name: t, table: t, format: csv, destination: {type: local, path: out}}]\n";
    std::fs::write(elsewhere.join("rivet.yaml"), config)?;
    run(Command::new(slim).args(["run", "--config"]).arg(elsewhere.join("rivet.yaml")))?;
    let written = std::fs::read_dir(elsewhere.join("out"))?.flatten().map(|entry| entry.path());
    let part = written.into_iter().find(|path| path.extension().is_some_and(|e| e == "csv")).context("a part")?;
    let rows = std::fs::read_to_string(part)?;
    ensure!(rows.replace('\r', "") == "id\n1\n2\n", "the part is {rows:?}");
    Ok(())
}

/// A folder with nothing in it.
fn empty(dir: &Path) -> Result<PathBuf> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| format!("failed to remove {}", dir.display()))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    Ok(dir.to_owned())
}
