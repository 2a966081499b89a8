//! Follows the tutorial in an empty folder: writes its files, runs its commands, compares what they print.
//! Must not know what the tutorial is about.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use rivet_test_e2e::{PLUGINS, copy_plugins, rivet};

use crate::document::{Block, blocks, must_print};
use crate::{EXAMPLE, TUTORIAL, repository};

/// The folder in which the tutorial was followed, once for all tests.
pub fn followed() -> Result<&'static Path> {
    static DONE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let done = DONE.get_or_init(|| follow().map_err(|e| format!("{e:#}")));
    done.as_deref().map_err(|text| anyhow::anyhow!("{text}"))
}

fn follow() -> Result<PathBuf> {
    let base = prepare()?;
    let (mut at, mut printed) = (base.clone(), String::new());
    for block in blocks(&fs::read_to_string(repository().join(TUTORIAL))?)? {
        match block {
            Block::File(path, text) => {
                ensure!(at != base, "{path} would be written before there is a folder for it");
                fs::write(at.join(&path), text).with_context(|| format!("write {path}"))?;
            }
            Block::Run(script) => (at, printed) = run(&base, &at, &script)?,
            Block::Prints(expected) => must_print(&expected, &printed)?,
            Block::PartOf(..) | Block::Elsewhere(_) | Block::DocTest => {}
        }
    }
    Ok(base)
}

/// The same folder each time, so that cargo knows the packages of the last time: `rivet`, the checkout with a
/// distribution in it, and beside it nothing but the settings that let all builds share what they compile.
fn prepare() -> Result<PathBuf> {
    let target = rivet()?.parent().and_then(Path::parent).context("the test runs outside a target folder")?.to_owned();
    let base = target.join("fixtures/author");
    if base.exists() {
        fs::remove_dir_all(&base).context("remove the folder of the last time")?;
    }
    let checkout = base.join("rivet");
    fs::create_dir_all(&checkout)?;
    for entry in fs::read_dir(repository())? {
        let entry = entry?;
        if entry.file_name() != "target" && !entry.file_name().to_string_lossy().starts_with(".git") {
            symlink(entry.path(), checkout.join(entry.file_name()))?;
        }
    }
    let dist = checkout.join("target/dist");
    fs::create_dir_all(dist.join("bin"))?;
    fs::create_dir_all(dist.join("lib/rivet/plugins"))?;
    // Not a link: the program looks for plugins beside itself.
    fs::copy(rivet()?, dist.join("bin/rivet")).context("copy rivet")?;
    copy_plugins(&PLUGINS, &dist.join("lib/rivet/plugins"))?;
    let builds = target.join("fixtures/build");
    fs::create_dir_all(base.join(".cargo"))?;
    let settings = format!("[build]\ntarget-dir = {builds:?}\n[profile.dev]\ndebug = false\n");
    fs::write(base.join(".cargo/config.toml"), settings)?;
    // The tutorial speaks of `target/`, and takes the newest crates: here it is those of the example.
    fs::create_dir_all(base.join("source-ndjson"))?;
    symlink(builds, base.join("source-ndjson/target"))?;
    fs::copy(repository().join(EXAMPLE).join("Cargo.lock"), base.join("source-ndjson/Cargo.lock"))?;
    Ok(base)
}

/// Runs the tests of a crate beside the tutorial's, which builds its library, too.
pub fn cargo_test(base: &Path, folder: &str) -> Result<()> {
    run(base, base, &format!("cargo test --manifest-path {folder}/Cargo.toml")).map(drop)
}

/// `cargo xtask` is built already, and `dist` is there.
const CARGO: &str = "
cargo() {
    case \"$*\" in
    'xtask dist') ;;
    'xtask new-plugin '*) shift; \"$XTASK\" \"$@\"; cp \"$LOCK\" \"${@: -1}/Cargo.lock\" ;;
    *) command cargo \"$@\" ;;
    esac
}
";

/// Runs commands at a place, stopping at the first that fails; returns where they end and what they printed.
fn run(base: &Path, at: &Path, script: &str) -> Result<(PathBuf, String)> {
    let end = base.join(".end");
    let mut bash = Command::new("bash");
    let script = format!("set -euo pipefail\nexec 2>&1\n{CARGO}\n{script}\npwd >\"$END\"\n");
    bash.arg("-c").arg(script).current_dir(at).env_clear();
    let path = std::env::var("PATH").context("PATH")?;
    let home = PathBuf::from(std::env::var_os("HOME").context("HOME")?);
    for (name, default) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        bash.env(name, std::env::var_os(name).unwrap_or_else(|| home.join(default).into()));
    }
    // What one block exports holds for the next.
    let dist = base.join("rivet/target/dist/bin");
    bash.env("PATH", format!("{}:{path}", dist.display())).env("HOME", base).env("END", &end);
    bash.env("XTASK", rivet()?.with_file_name("xtask")).env("LOCK", repository().join(EXAMPLE).join("Cargo.lock"));
    bash.env("CARGO_TERM_COLOR", "never");
    let output = bash.output().context("start bash")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{}\nin {}:\n{printed}", output.status, at.display());
    }
    let at = fs::read_to_string(&end).context("read where the commands ended")?;
    Ok((PathBuf::from(at.trim_end()), printed))
}
