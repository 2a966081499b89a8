//! The tracer that stops a program at its system calls.
//! Must not know which calls a test is after.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command;

/// Where strace is; it is installed if it is missing.
///
/// # Errors
/// When it cannot be installed.
pub fn install() -> Result<PathBuf> {
    if command::on_path("strace").is_none() {
        command::apt_install(&["strace"])?;
    }
    command::on_path("strace").context("find strace after its installation")
}
