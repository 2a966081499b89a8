//! The psql client: where it is, and running statements with it.
//! Must not know which server it talks to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use crate::command;

/// Where Debian and its kin keep the clients of all installed versions.
const DEBIAN_DIR: &str = "/usr/lib/postgresql";

/// The psql program: the newest of Debian's, else the one on PATH, else installed with apt-get when we are root.
///
/// # Errors
/// When there is none and it cannot be installed.
pub fn find() -> Result<PathBuf> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = FOUND.get() {
        return Ok(path.clone());
    }
    let path = match installed() {
        Some(path) => path,
        None => {
            command::apt_install(&["postgresql-client"])?;
            match installed() {
                Some(path) => path,
                None => bail!("find psql: the package postgresql-client did not bring it"),
            }
        }
    };
    Ok(FOUND.get_or_init(|| path).clone())
}

/// Runs SQL statements (and psql's own commands), each in a transaction of its own, over the connection that `conninfo`
/// describes (`key=value` words as in libpq). Returns the rows: one a line, columns separated by `|`.
///
/// # Errors
/// When the login is refused or a statement fails, with psql's message.
pub fn run(conninfo: &str, password: Option<&str>, sql: &str) -> Result<String> {
    let mut psql = Command::new(find()?);
    // The machine's own libpq settings must not decide what a test sees.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            psql.env_remove(name);
        }
    }
    psql.env("PGPASSFILE", "/dev/null").env("PGCLIENTENCODING", "UTF8").env("PGCONNECT_TIMEOUT", "10");
    if let Some(password) = password {
        psql.env("PGPASSWORD", password);
    }
    psql.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"]).args(["-d", conninfo, "-f", "-"]);
    command::output(&mut psql, sql).context("run SQL with psql")
}

/// Debian's own program comes first: its `psql` on PATH is a Perl script that looks for it.
fn installed() -> Option<PathBuf> {
    newest_of_debian().or_else(|| command::on_path("psql"))
}

fn newest_of_debian() -> Option<PathBuf> {
    let dirs = Path::new(DEBIAN_DIR).read_dir().ok()?;
    dirs.flatten().map(|dir| dir.path().join("bin").join("psql")).filter(|file| file.is_file()).max_by_key(|file| {
        let version = file.components().rev().nth(2).map(|c| c.as_os_str());
        version.and_then(|v| v.to_str()?.parse::<u32>().ok())
    })
}
