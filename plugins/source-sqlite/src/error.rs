//! From SQLite's result codes to the plugin's errors.
//! It must not know what was being read.

use rivet_plugin_api::{ErrorKind, PluginError, Retry};
use rusqlite::ErrorCode;

/// An error of SQLite. `doing` completes "failed to".
pub fn sqlite(doing: &str) -> impl Fn(rusqlite::Error) -> PluginError + use<'_> {
    move |e| {
        let (code, message) = match &e {
            rusqlite::Error::SqliteFailure(failure, message) => (Some(*failure), message.clone()),
            rusqlite::Error::SqlInputError { error, msg, .. } => (Some(*error), Some(msg.clone())),
            _ => (None, None),
        };
        let text = format!("failed to {doing}");
        let cause = message.unwrap_or_else(|| e.to_string());
        let error = |kind, name| PluginError::new(kind, name, &text).cause(&cause);
        let Some(failure) = code else { return error(ErrorKind::Internal, "sqlite.driver") };
        match failure.code {
            ErrorCode::OperationInterrupted => PluginError::cancelled(),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => error(ErrorKind::Conflict, "sqlite.locked")
                .retry(Retry::SameSession)
                .retry_after_ms(1_000)
                .hint("another process holds the database: wait, or raise lock_timeout_s"),
            ErrorCode::NotADatabase => error(ErrorKind::Config, "sqlite.not_a_database")
                .hint("the file is no SQLite database, or it is encrypted"),
            ErrorCode::CannotOpen => error(ErrorKind::NotFound, "sqlite.cannot_open").hint("check the path"),
            ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied => {
                error(ErrorKind::Auth, "sqlite.permission")
            }
            ErrorCode::DatabaseCorrupt => {
                error(ErrorKind::Data, "sqlite.corrupt").hint("run `PRAGMA integrity_check` on the database")
            }
            ErrorCode::TooBig => error(ErrorKind::Data, "sqlite.too_big"),
            ErrorCode::DiskFull | ErrorCode::OutOfMemory => error(ErrorKind::Capacity, "sqlite.capacity"),
            ErrorCode::SystemIoFailure => error(ErrorKind::Io, "sqlite.io"),
            ErrorCode::Unknown => error(ErrorKind::Config, "sqlite.sql").hint("check the query's text"),
            _ => error(ErrorKind::Internal, "sqlite.failed"),
        }
        .vendor_code(i64::from(failure.extended_code))
    }
}
