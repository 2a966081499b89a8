//! A connection that reads only, waits for writers as long as it may, and takes no value beyond the limit.
//! It must not know which thread it lives on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rivet_plugin_api::{ErrorKind, PluginError, Result, SessionLimits};
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
    must_end_with_a_page(&db, location)?;
    Ok(db)
}

/// SQLite itself knows a file that has too few pages, but reads the missing end of a page as zeros.
fn must_end_with_a_page(db: &Connection, location: &Location) -> Result<()> {
    let failed = sqlite("read the size of the database");
    let number = |name: &str| db.pragma_query_value(Some("main"), name, |row| row.get::<_, i64>(0)).map_err(&failed);
    let size = |name: &str| Ok::<_, PluginError>(u64::try_from(number(name)?).unwrap_or(0));
    let (n_pages, page_bytes) = (size("page_count")?, size("page_size")?.max(1));
    let file_bytes = std::fs::metadata(&location.path).map_or(0, |file| file.len());
    // What follows the last page is of a writer that died; it means nothing.
    if file_bytes.is_multiple_of(page_bytes) || file_bytes / page_bytes >= n_pages {
        return Ok(());
    }
    let text = format!("'{}' ends in the middle of a page: it is not all of the database", location.path.display());
    Err(PluginError::new(ErrorKind::Data, "sqlite.corrupt", text)
        .hint("copy the file again, or restore it from a copy; `PRAGMA integrity_check` tells whether it is whole"))
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
