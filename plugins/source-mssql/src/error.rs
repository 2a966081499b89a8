//! From the driver's and the system's errors to the plugin's: by number and kind, never by text.
//! It must not know what was being read.

use std::io;
use std::time::Duration;

use rivet_plugin_api::{ErrorKind, PluginError, Retry};
use tiberius::error::{Error, TokenError};

use crate::numbers;

/// The server's own error.
pub fn server(e: &TokenError) -> PluginError {
    let (kind, retry, after_ms) = numbers::classify(e.code(), e.class());
    let error = PluginError::new(kind, &format!("mssql.{}", e.code()), e.message());
    let error = error.retry(retry).retry_after_ms(after_ms).vendor_code(i64::from(e.code()));
    error.hint(numbers::hint(e.code(), kind))
}

/// Whatever the driver says.
pub fn driver(doing: &str, e: &Error) -> PluginError {
    match e {
        Error::Server(e) => server(e),
        Error::Io { kind, message } => socket(doing, &io::Error::new(*kind, message.clone())),
        Error::Routing { host, port } => {
            let text = format!("the server leads us on to {host}:{port}, which could not be followed");
            PluginError::new(ErrorKind::Connection, "mssql.routing", text).hint("connect to that server itself")
        }
        // The driver names no value, and no column either.
        Error::Utf16 | Error::Utf8 | Error::Encoding(_) => bad_text(),
        Error::Protocol(text) if text.contains("UTF-16") => bad_text(),
        other => protocol(other),
    }
}

fn bad_text() -> PluginError {
    PluginError::new(ErrorKind::Data, "mssql.invalid_text", "a text of this row is no text in its own encoding").hint(
        "find it by a query, and export the column as bytes: CAST(… AS varbinary(max)), or `columns: {NAME: binary}`",
    )
}

/// Bytes that no server of the protocol sends.
pub fn protocol(what: impl std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Connection, "mssql.protocol", "the server's answer could not be read")
        .cause(what)
        .retry(Retry::NewSession)
        .hint("is this a SQL Server, with nothing in between that changes the protocol?")
}

/// The driver met what it does not take for possible, and panicked.
pub fn broken() -> PluginError {
    protocol("bytes that no server sends")
}

/// A result without a proven end.
pub fn incomplete(what: &str) -> PluginError {
    PluginError::new(ErrorKind::Connection, "mssql.incomplete", what)
        .retry(Retry::NewSession)
        .hint("something between us and the server loses or makes up rows: look at what is in between")
}

/// Nothing can be read any more.
pub fn closed() -> PluginError {
    PluginError::new(ErrorKind::Connection, "mssql.closed", "the server closed the connection")
        .retry(Retry::NewSession)
        .hint("look into the server's log, then run it again")
}

/// What was awaited did not come in time.
pub fn no_progress(doing: &str, after: Duration) -> PluginError {
    let text = format!("failed to {doing}: no end of it in {} s", after.as_secs().max(1));
    PluginError::new(ErrorKind::Timeout, "mssql.no_progress", text)
        .retry(Retry::NewSession)
        .hint("the server or the network went silent")
}

/// The statement took longer than it may. The server has no such limit: we ended it.
pub fn statement_timeout(limit_ms: u64) -> PluginError {
    let text = format!("a statement took longer than statement_timeout_s allows ({} s)", limit_ms / 1000);
    PluginError::new(ErrorKind::Timeout, "mssql.statement_timeout", text)
        .retry(Retry::SmallerSplit)
        .hint("raise `tuning: {statement_timeout_s: …}`, or lower `throttle_ms`")
}

/// An error of the socket.
pub fn socket(doing: &str, e: &io::Error) -> PluginError {
    let error =
        |kind, code| PluginError::new(kind, code, format!("failed to {doing}")).cause(e).retry(Retry::NewSession);
    match e.kind() {
        io::ErrorKind::TimedOut => {
            error(ErrorKind::Timeout, "mssql.no_progress").hint("check host and port, and firewalls in between")
        }
        io::ErrorKind::ConnectionRefused => {
            error(ErrorKind::Connection, "mssql.refused").hint("check host and port, and that the server is up")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => closed().cause(e),
        _ => error(ErrorKind::Connection, "mssql.connection").hint("check the network between here and the server"),
    }
}

/// The catalogue answered in a form that no known server has.
pub fn catalogue() -> PluginError {
    PluginError::new(ErrorKind::Connection, "mssql.catalogue", "the catalogue answered in an unknown form")
        .retry(Retry::NewSession)
        .hint("is this a SQL Server, with nothing in between that changes the protocol?")
}
