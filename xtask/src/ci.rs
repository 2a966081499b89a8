//! What CI runs, from a clean clone to the last count.
//! It must not know anything that a person cannot run alone with another chore.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use crate::args::Args;
use crate::legs::Servers;
use crate::run::{root, run, timed};
use crate::test;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "ci";

/// The slim binary that is tried out: enough for the demo.
const SLIM: [&str; 2] = ["--with", "sqlite,parquet,local"];
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

/// A slim binary exports the demo's sample with nothing but itself; another one has a crate of somebody else linked in.
fn slim_smoke(workspace: &Workspace) -> Result<()> {
    let dir = empty(&workspace.target.join("slim-demo"))?;
    let rivet = slim(&SLIM, &dir)?;
    run(Command::new(rivet).args(["demo", "--rows", "20000", "--dir"]).arg(dir.join("demo")))?;
    let elsewhere = empty(&std::env::temp_dir().join(format!("rivet-slim-{}", std::process::id())))?;
    let result = with_a_crate(&elsewhere);
    std::fs::remove_dir_all(&elsewhere).with_context(|| format!("failed to remove {}", elsewhere.display()))?;
    result
}

/// A slim binary in a folder, as a person makes it.
fn slim(words: &[&str], out: &Path) -> Result<PathBuf> {
    run(Command::new(std::env::current_exe()?).arg("slim").args(words).arg("--out").arg(out).envs(UNOPTIMISED))?;
    Ok(out.join("rivet"))
}

/// The example, in a repository of its own and asking for a version of the API as its author would, exports by a slim binary.
fn with_a_crate(elsewhere: &Path) -> Result<()> {
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
    let url = format!("file://{}#v1", to.display());
    for words in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message", "first"], &["tag", "v1"]]
    {
        let identity = ["-c", "user.name=acme", "-c", "user.email=acme@localhost", "-c", "commit.gpgsign=false"];
        run(Command::new("git").arg("-C").arg(&to).args(identity).args(words))?;
    }
    let rivet = slim(&["--with", "csv,local", "--with-crate", &url], elsewhere)?;
    std::fs::write(elsewhere.join("t.ndjson"), "{\"id\": 1}\n{\"id\": 2}\n")?;
    let config = "source: {type: ndjson, path: ., tables: {t: [{name: id, type: int64}]}}\n\
                  exports: [{name: t, table: t, format: csv, destination: {type: local, path: '{config_dir}/out'}}]\n";
    std::fs::write(elsewhere.join("rivet.yaml"), config)?;
    run(Command::new(rivet).args(["run", "--config"]).arg(elsewhere.join("rivet.yaml")))?;
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
