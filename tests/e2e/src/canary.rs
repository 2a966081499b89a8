//! The password that must show up nowhere, and the look at all places where it could.
//! Must not know how a run came to its end.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::output::{files_below, holds};
use crate::program::{Ran, Workspace};

/// A password without a character that a URL would have to escape.
pub const CANARY: &str = "c4nary-9f3b7e21d";

/// Checks that the canary is in nothing that the process printed, wrote or showed.
///
/// # Errors
/// When it is somewhere.
pub fn no_canary(place: &Workspace, ran: &Ran) -> Result<()> {
    no_secret(place, ran, CANARY)
}

/// As [`no_canary`] for another secret, which is at least eight bytes long.
///
/// # Errors
/// When it is somewhere.
pub fn no_secret(place: &Workspace, ran: &Ran, secret: &str) -> Result<()> {
    ensure!(secret.len() >= 8, "what is so short may be there by chance");
    ensure!(!holds(&ran.stdout, secret), "the secret is on stdout");
    ensure!(!ran.stderr.contains(secret), "the secret is on stderr: {}", ran.stderr);
    ensure!(!holds(&ran.command_line, secret), "the secret is on the command line");
    for file in files_below(place.path())? {
        if file.file_name().is_some_and(|name| name == "rivet.yaml") {
            continue;
        }
        let bytes = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        ensure!(!holds(&bytes, secret), "the secret is in {}", file.display());
    }
    Ok(())
}
