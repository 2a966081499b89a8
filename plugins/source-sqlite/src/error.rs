//! From SQLite's result codes to the plugin's errors.
//! It must not know what was being read.

use rivet_plugin_api::{ErrorKind, PluginError, Retry};
use rusqlite::{ErrorCode, ffi};

/// An error of SQLite while doing something that is not the user's SQL. `doing` completes "failed to".
pub fn sqlite(doing: &str) -> impl Fn(rusqlite::Error) -> PluginError + use<'_> {
    move |e| from_code(doing, &e, ErrorKind::Internal, "sqlite.failed")
}

/// As [`sqlite`], for SQL that the user wrote: a query, or the definition of a view.
pub fn sql(doing: &str) -> impl Fn(rusqlite::Error) -> PluginError + use<'_> {
    move |e| match e {
        rusqlite::Error::MultipleStatement => {
            PluginError::new(ErrorKind::Config, "sqlite.query", "the query has more than one statement")
                .hint("keep one SELECT")
        }
        rusqlite::Error::NulError(_) => {
            PluginError::new(ErrorKind::Config, "sqlite.query", "the query holds a NUL character")
        }
        e => from_code(doing, &e, ErrorKind::Config, "sqlite.query"),
    }
}

/// `general` and `general_code` are for SQLITE_ERROR, which says no more than that the SQL is wrong.
fn from_code(doing: &str, e: &rusqlite::Error, general: ErrorKind, general_code: &'static str) -> PluginError {
    let (failure, message) = match e {
        rusqlite::Error::SqliteFailure(failure, message) => (Some(*failure), message.clone()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (Some(*error), Some(msg.clone())),
        _ => (None, None),
    };
    let cause = message.unwrap_or_else(|| e.to_string());
    let error = |kind: ErrorKind, code: &str| PluginError::new(kind, code, format!("failed to {doing}")).cause(&cause);
    let Some(failure) = failure else { return error(ErrorKind::Internal, "sqlite.driver") };
    let error = match failure.code {
        ErrorCode::OperationInterrupted => return PluginError::cancelled(),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => error(ErrorKind::Conflict, "sqlite.locked")
            .retry(Retry::SameSession)
            .retry_after_ms(1_000)
            .hint("a writer holds the database: try later, or raise `lock_timeout_s`"),
        ErrorCode::NotADatabase => {
            error(ErrorKind::Config, "sqlite.not_a_database").hint("the file is no sqlite database, or it is encrypted")
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly => unreadable(&error, failure),
        ErrorCode::DatabaseCorrupt => error(ErrorKind::Data, "sqlite.corrupt")
            .hint("run `PRAGMA integrity_check` on the database, and restore it from a copy"),
        ErrorCode::TooBig => error(ErrorKind::Data, "sqlite.value_too_large")
            .hint("raise `tuning: {max_value_mb: …}`, or leave the column out with `query:`"),
        ErrorCode::DiskFull => {
            error(ErrorKind::Capacity, "sqlite.full").hint("sorting needs room in the folder for temporary files")
        }
        ErrorCode::OutOfMemory => error(ErrorKind::Capacity, "sqlite.memory"),
        ErrorCode::SystemIoFailure => error(ErrorKind::Io, "sqlite.io").hint("check the disk that holds the database"),
        ErrorCode::SchemaChanged => error(ErrorKind::Schema, "sqlite.schema_changed"),
        ErrorCode::Unknown if general == ErrorKind::Config => error(general, general_code)
            .hint("check the text of the query, or of the view, with the sqlite3 tool on this file"),
        _ => error(general, general_code),
    };
    error.vendor_code(i64::from(failure.extended_code))
}

/// What to do with a database in WAL mode in a folder that cannot be written.
const WAL_HINT: &str = "needs a folder that rivet can write: copy the file and its `-wal` to one, or let rivet write to this \
     one; only where there is no `-wal`, and nobody writes, `url: file:FILE?immutable=1` reads the file alone";

/// A file that is there and cannot be read as it is.
fn unreadable(error: &dyn Fn(ErrorKind, &str) -> PluginError, failure: ffi::Error) -> PluginError {
    match failure.extended_code {
        ffi::SQLITE_READONLY_ROLLBACK => error(ErrorKind::Conflict, "sqlite.needs_recovery")
            .hint("a writer died in a transaction: open the database once with a program that may write, it undoes it"),
        ffi::SQLITE_READONLY_RECOVERY | ffi::SQLITE_READONLY_CANTINIT | ffi::SQLITE_READONLY_CANTLOCK => {
            error(ErrorKind::Auth, "sqlite.permission").hint(format!("a database in WAL mode {WAL_HINT}"))
        }
        _ => error(ErrorKind::Auth, "sqlite.permission").hint(format!(
            "let the user that runs rivet read the file; when the database is in WAL mode, it {WAL_HINT}"
        )),
    }
}
