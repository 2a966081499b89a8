//! Clients of SQL Server that share no code with our driver: FreeTDS and python-tds.
//! Must not know which server they talk to.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{Cache, command};

const PYTHON_TDS: &str = "python-tds==1.17.1";

/// Where FreeTDS's `tsql` is; it is installed if it is missing.
///
/// # Errors
/// When it cannot be installed.
pub fn tsql() -> Result<PathBuf> {
    if command::on_path("tsql").is_none() {
        command::apt_install(&["freetds-bin"])?;
    }
    command::on_path("tsql").context("find tsql after its installation")
}

/// Runs a Python script that may import `pytds`, and returns what it printed.
///
/// # Errors
/// When the script fails; the error carries its standard error.
pub fn python(script: &str) -> Result<String> {
    let dir = Cache::open()?.install(&PYTHON_TDS.replace("==", "-"), install)?;
    let mut python = Command::new(dir.join("bin").join("python"));
    command::output(python.env("PYTHONIOENCODING", "utf-8").arg("-"), script).context("run a script of python-tds")
}

fn install(dir: &Path) -> Result<()> {
    command::output(Command::new("python3").args(["-m", "venv"]).arg(dir), "").context("make a Python environment")?;
    let mut pip = Command::new(dir.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", PYTHON_TDS]);
    command::output(&mut pip, "").context("install with pip; is the package index reachable?")?;
    Ok(())
}
