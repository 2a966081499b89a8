//! A connection that reads only, waits for writers as long as it may, and takes no value beyond the limit.
//! It must not know which thread it lives on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rivet_plugin_api::{Result, SessionLimits};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use crate::error::sqlite;
use crate::key;
use crate::location::Location;

/// Longest pause between two looks at a lock.
const LOCK_PAUSE_MS: u64 = 50;
/// A wait for a lock is told after so long, and again whenever so much more has passed: it may have no end.
const TOLD_EVERY: Duration = Duration::from_secs(5);
/// SQLite refuses values beyond this by itself, before it reads them; its own text needs room, too.
const LEAST_LENGTH_LIMIT: u64 = 1 << 20;

/// Opens a file. `stopped` ends a wait for a lock.
///
/// # Errors
/// `Config` when it is no database, `Auth`, `Conflict` when it stays locked.
pub fn open(location: &Location, limits: &SessionLimits, stopped: Arc<AtomicBool>) -> Result<Connection> {
    let doing = format!("open '{}'", location.path.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut db = Connection::open_with_flags(location.to_open(), flags).map_err(sqlite(&doing))?;
    configure(&mut db, location, limits, stopped).map_err(sqlite(&doing))?;
    // The first read tells whether it is a database at all.
    db.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(())).map_err(sqlite(&doing))?;
    Ok(db)
}

fn configure(
    db: &mut Connection,
    location: &Location,
    limits: &SessionLimits,
    stopped: Arc<AtomicBool>,
) -> rusqlite::Result<()> {
    let longest = (limits.lock_timeout_ms > 0).then(|| Duration::from_millis(limits.lock_timeout_ms));
    let path = location.path.display().to_string();
    let (mut since, mut told) = (Instant::now(), Duration::ZERO);
    db.busy_handler(Some(move |n_calls: i32| {
        if n_calls == 0 {
            (since, told) = (Instant::now(), Duration::ZERO);
        }
        let waited = since.elapsed();
        if stopped.load(Ordering::Relaxed) || longest.is_some_and(|longest| waited >= longest) {
            return false;
        }
        if waited >= told + TOLD_EVERY {
            told = waited;
            say_waiting(&path, waited, longest);
        }
        let pause_ms = u64::try_from(n_calls).unwrap_or(0).clamp(1, LOCK_PAUSE_MS);
        std::thread::sleep(Duration::from_millis(pause_ms));
        true
    }))?;
    key::register(db)?;
    // A page that is not what it should be is an error, not fewer rows.
    db.pragma_update(None, "cell_size_check", true)?;
    // What a file's views and triggers may call is the file's word, not the user's.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    if limits.max_value_bytes > 0 {
        // Twice: a whole row may be assembled in one piece, and a value just over the limit gets an error with its name.
        let most = limits.max_value_bytes.saturating_mul(2).max(LEAST_LENGTH_LIMIT);
        db.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(most).unwrap_or(i32::MAX))?;
    }
    Ok(())
}

fn say_waiting(path: &str, waited: Duration, longest: Option<Duration>) {
    let until = match longest {
        Some(longest) => format!("gives up after {} s (`lock_timeout_s`)", longest.as_secs()),
        None => "waits as long as it takes: `lock_timeout_s` sets a limit".to_owned(),
    };
    let seconds = waited.as_secs();
    tracing::warn!("waiting for {seconds} s: another process has '{path}' locked; rivet {until}");
}
