//! A connection that reads only, waits for writers as long as it may, and takes no value beyond the limit.
//! It must not know which thread it lives on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rivet_plugin_api::{Result, SessionLimits, Snapshot};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use crate::error::sqlite;
use crate::location::Location;

/// Longest pause between two looks at a lock.
const LOCK_PAUSE_MS: u64 = 50;
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
    configure(&mut db, limits, stopped).map_err(sqlite(&doing))?;
    // The first read tells whether it is a database at all.
    db.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(())).map_err(sqlite(&doing))?;
    Ok(db)
}

fn configure(db: &mut Connection, limits: &SessionLimits, stopped: Arc<AtomicBool>) -> rusqlite::Result<()> {
    let longest = (limits.lock_timeout_ms > 0).then(|| Duration::from_millis(limits.lock_timeout_ms));
    let mut since = Instant::now();
    db.busy_handler(Some(move |n_calls: i32| {
        if n_calls == 0 {
            since = Instant::now();
        }
        if stopped.load(Ordering::Relaxed) || longest.is_some_and(|longest| since.elapsed() >= longest) {
            return false;
        }
        let pause_ms = u64::try_from(n_calls).unwrap_or(0).clamp(1, LOCK_PAUSE_MS);
        std::thread::sleep(Duration::from_millis(pause_ms));
        true
    }))?;
    // What a file's views and triggers may call is the file's word, not the user's.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    if limits.max_value_bytes > 0 {
        // Twice: a whole row may be assembled in one piece, and a value just over the limit gets an error with its name.
        let most = limits.max_value_bytes.saturating_mul(2).max(LEAST_LENGTH_LIMIT);
        db.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::try_from(most).unwrap_or(i32::MAX))?;
    }
    Ok(())
}

/// Begins a read transaction where a snapshot is asked for, and makes its first read, which is what fixes the state
/// it sees. Returns what identifies that state.
///
/// # Errors
/// As [`open`].
pub fn pin(db: &Connection, snapshot: &Snapshot) -> Result<Option<String>> {
    if *snapshot == Snapshot::None {
        return Ok(None);
    }
    let failed = sqlite("begin a read transaction");
    db.execute_batch("BEGIN DEFERRED").map_err(&failed)?;
    db.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(())).map_err(&failed)?;
    let number = |name: &str| db.pragma_query_value(Some("main"), name, |row| row.get::<_, i64>(0)).map_err(&failed);
    let (schema, data, pages) = (number("schema_version")?, number("data_version")?, number("page_count")?);
    Ok(Some(format!("schema_version={schema} data_version={data} page_count={pages}")))
}
