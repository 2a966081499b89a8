//! The state store: what Rivet remembers between and during runs, in one SQLite file.
//! It must not hold secrets (whoever stores a plan or a summary leaves them out), nor know what a plan means.

mod cursors;
mod edit;
mod error;
mod foreign;
mod history;
mod journal;
mod lock;
mod migrate;
mod owner;
mod parts;
mod rebuild;
mod resume;
mod runs;
mod slots;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use serde_json::Value;

pub use cursors::{CursorUpdate, StoredCursor};
pub use edit::BY_HAND;
pub use error::{StateError, is_damage};
pub use foreign::{ForeignCursor, foreign_cursors};
pub use journal::Event;
pub use lock::{ExportLock, Held, Holder};
pub use owner::Pair;
pub use parts::{DoneSplit, PreparedPart, RecordedPart};
pub use rebuild::CompleteRun;
pub use resume::{Checkpoint, Progressed};
pub use runs::{NewRun, Phase, RunEntry, RunRecord};
pub use slots::Slots;

use crate::clock::{Clock, SystemClock};
use crate::file_kind;

/// Longest wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The open store. Calls are short transactions, from any thread; other processes may have the file open too.
#[derive(Clone)]
pub struct State {
    /// Absolute, without symbolic links: everybody who opens the file finds the same locks beside it.
    path: PathBuf,
    clock: Arc<dyn Clock>,
    db: Arc<Mutex<Connection>>,
    /// What the config is called whose exports these are; none sees those of all.
    config: Option<String>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("path", &self.path).finish_non_exhaustive()
    }
}

impl State {
    /// Opens the file with the machine's clock. See [`open_with`](Self::open_with).
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(path: &Path) -> Result<Self, StateError> {
        Self::open_with(path, Arc::new(SystemClock::default()))
    }

    /// Opens the file, makes it if need be (readable by the owner alone), and brings its schema up to date.
    ///
    /// # Errors
    /// `Create` or `Open` when it cannot be made or opened, `Foreign` when it is something else, `Newer` when a newer
    /// version wrote it. What is not ours or newer is not touched.
    pub fn open_with(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let failed = |source| StateError::Open { path: path.to_owned(), source };
        must_be_openable(path)?;
        let file = private_file(path).map_err(|source| StateError::Create { path: path.to_owned(), source })?;
        let mut db = Connection::open(&file).map_err(failed)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        migrate::inspect(&mut db, path, migrate::STEPS.len())?;
        write_ahead(&db).map_err(failed)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        db.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        migrate::migrate(&mut db, path, migrate::STEPS)?;
        Ok(Self { path: file, clock, db: Arc::new(Mutex::new(db)), config: None })
    }

    /// Opens the file only when it is there.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open_existing(path: &Path) -> Result<Option<Self>, StateError> {
        if is_missing(path) { Ok(None) } else { Self::open(path).map(Some) }
    }

    /// As [`open_existing`](Self::open_existing), for those who look and leave nothing behind: what an older version wrote is
    /// brought up to date in memory alone.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn look(path: &Path) -> Result<Option<Self>, StateError> {
        if is_missing(path) {
            return Ok(None);
        }
        let failed = |source| StateError::Open { path: path.to_owned(), source };
        must_be_openable(path)?;
        let file = path.canonicalize().map_err(|source| StateError::Create { path: path.to_owned(), source })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&file, flags).map_err(failed)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        migrate::inspect(&mut db, path, migrate::STEPS.len())?;
        if !migrate::is_current(&db, migrate::STEPS).map_err(failed)? {
            db = migrate::copied(&file).map_err(failed)?;
            migrate::migrate(&mut db, path, migrate::STEPS)?;
        }
        let clock = Arc::new(SystemClock::default());
        Ok(Some(Self { path: file, clock, db: Arc::new(Mutex::new(db)), config: None }))
    }

    /// A state that is nowhere but in memory, for those who only look and find no file.
    ///
    /// # Errors
    /// `Open` when there is no memory for it.
    pub fn in_memory() -> Result<Self, StateError> {
        let path = PathBuf::new();
        let mut db = Connection::open_in_memory().map_err(|source| StateError::Open { path: path.clone(), source })?;
        migrate::migrate(&mut db, &path, migrate::STEPS)?;
        Ok(Self { path, clock: Arc::new(SystemClock::default()), db: Arc::new(Mutex::new(db)), config: None })
    }

    /// Absolute path of the file; empty when it is in memory alone.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction rolled it back: the connection is as good as before.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction that reads: all its statements see the same state.
    fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        let mut db = self.db();
        db.transaction().map_err(Failure::from).and_then(|t| work(&t)).map_err(|f| self.failed(doing, f))
    }

    /// One transaction that writes: all of it is stored, durably, or none.
    fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        self.write_on(&mut self.db(), doing, work)
    }

    /// As [`write`](Self::write), without waiting for the disk: a crash of the machine may lose it, a crash of the
    /// process does not.
    fn write_soon<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        let mut db = self.db();
        let relax = |db: &Connection, to: &str| {
            db.pragma_update(None, "synchronous", to).map_err(|e| self.failed(doing, e.into()))
        };
        relax(&db, "NORMAL")?;
        let done = self.write_on(&mut db, doing, work);
        relax(&db, "FULL")?;
        done
    }

    fn write_on<T>(
        &self,
        db: &mut Connection,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        // Immediate: one that reads before it writes would be refused at once, not wait, while another process writes.
        let begun = db.transaction_with_behavior(TransactionBehavior::Immediate);
        let done = begun.map_err(Failure::from).and_then(|transaction| {
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        done.map_err(|failure| self.failed(doing, failure))
    }

    fn failed(&self, doing: &'static str, failure: Failure) -> StateError {
        match failure {
            Failure::Sqlite(source) => StateError::Access { path: self.path.clone(), doing, source },
            Failure::Unreadable(what) => StateError::Unreadable { path: self.path.clone(), what },
            Failure::Other(error) => error,
        }
    }
}

/// Why a transaction failed, before it is known where.
enum Failure {
    Sqlite(rusqlite::Error),
    Unreadable(&'static str),
    Other(StateError),
}

impl From<rusqlite::Error> for Failure {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::Other(error)
    }
}

/// A stored JSON text.
fn json(text: &str, what: &'static str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|_| Failure::Unreadable(what))
}

fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// A pipe is not waited for. A folder is refused by the system.
fn must_be_openable(path: &Path) -> Result<(), StateError> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => {
            Err(StateError::NoFile { path: path.to_owned(), what: file_kind::named(found.file_type()) })
        }
        _ => Ok(()),
    }
}

/// Makes the file with the owner's rights alone before SQLite would make it with everybody's; returns its real path.
fn private_file(path: &Path) -> std::io::Result<PathBuf> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    owner_only(&mut options);
    options.open(path)?;
    path.canonicalize()
}

/// Nobody else may read or write what is opened.
pub(crate) fn owner_only(options: &mut std::fs::OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// Switches to write-ahead logging, in which readers and the writer do not wait for each other.
fn write_ahead(db: &Connection) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        match db.pragma_update(None, "journal_mode", "WAL") {
            // Of two processes that switch a new file at once, SQLite refuses one without the wait it was told.
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && started.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
