//! A Python environment of the cache with pinned packages.
//! Must not know what they are for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// Makes the environment in `dir`, which works after a rename as long as its programs are not started by their own path.
///
/// # Errors
/// When Python 3 or the packages cannot be installed.
pub(crate) fn make(dir: &Path, packages: &[&str]) -> Result<()> {
    let can_make = command::output(Command::new("python3").args(["-c", "import ensurepip, venv"]), "");
    if can_make.is_err() {
        command::apt_install(&["python3", "python3-venv"])?;
    }
    command::output(Command::new("python3").args(["-m", "venv"]).arg(dir), "").context("make a Python environment")?;
    let mut pip = Command::new(dir.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"]).arg("--disable-pip-version-check").args(packages);
    command::output(&mut pip, "").context("install with pip; is the package index reachable?")?;
    Ok(())
}
