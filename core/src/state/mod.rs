//! The state store: what Rivet remembers between and during runs, in one SQLite file.
//! It must not hold secrets, nor know what a plan or a manifest means.

mod error;
mod lock;
mod migrate;
mod parts;
mod runs;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

pub use error::StateError;
pub use lock::{ExportLock, Holder};
pub use parts::{PreparedPart, RecordedPart};
pub use runs::{NewRun, Phase, RunRecord};

/// Longest wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The open store. Calls are short transactions, from any thread.
pub struct State {
    path: PathBuf,
    db: Mutex<Connection>,
}

impl State {
    /// Opens the file, makes it if need be (readable by the owner alone), and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is something else, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::Open { path: path.to_owned(), source };
        private_file(path).map_err(|source| StateError::Create { path: path.to_owned(), source })?;
        let mut db = Connection::open(path).map_err(failed)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        db.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        migrate::migrate(&mut db, path, migrate::STEPS)?;
        Ok(Self { path: path.to_owned(), db: Mutex::new(db) })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction rolled it back: the connection is as good as before.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StateError + use<'_> {
        move |source| StateError::Access { path: self.path.clone(), doing, source }
    }
}

/// Makes the file with the owner's rights alone before SQLite would make it with everybody's.
fn private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

#[cfg(test)]
mod tests;
