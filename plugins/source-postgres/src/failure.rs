//! Why something of the connection failed: the library's word, ours, or the server's.
//! It must not know what was waited for.

use std::io::{self, ErrorKind as Gone};

use rivet_plugin_api::{ErrorKind, PluginError, Retry};
use rivet_shared_net::stage;

use crate::address::Settings;
use crate::error::{self, ServerError};
use crate::tap::{Facts, Shared};

/// Why something of the connection failed: the library's word, or ours.
pub enum Failure {
    Library(tokio_postgres::Error),
    Own(PluginError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(e: tokio_postgres::Error) -> Self {
        Self::Library(e)
    }
}

impl From<PluginError> for Failure {
    fn from(e: PluginError) -> Self {
        Self::Own(e)
    }
}

/// Nothing but the time limit ended a connection that was being made.
pub fn late_login(settings: &Settings, seen: &Shared) -> PluginError {
    let (server, seconds) = (settings.server_label(), settings.connect_timeout_ms / 1000);
    let (code, text, hint) = match Facts::lock(seen).stage {
        stage::LOGIN | stage::TLS => (
            "postgres.login_timeout",
            format!("{server} did not end the login in {seconds} s"),
            "is this a PostgreSQL server?",
        ),
        _ => (
            "postgres.no_progress",
            format!("failed to connect to {server} in {seconds} s"),
            "check host and port, and firewalls in between",
        ),
    };
    PluginError::new(ErrorKind::Timeout, code, text).retry(Retry::NewSession).hint(hint)
}

/// What a failure means. What the tap refused, and what the server said, are more than the library's word.
pub fn explained(failure: Failure, seen: &Shared, otherwise: fn(&tokio_postgres::Error) -> PluginError) -> PluginError {
    if let Some(fault) = Facts::lock(seen).fault() {
        return fault.clone();
    }
    let e = match failure {
        Failure::Own(e) => return e,
        Failure::Library(e) => e,
    };
    if let Some(db) = e.as_db_error() {
        return ServerError::of(db).into_plugin_error();
    }
    if e.is_closed() {
        return error::closed();
    }
    let cause = std::error::Error::source(&e);
    match cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        // The library reads frames by itself too, and says so by the same type.
        Some(io) if matches!(io.kind(), Gone::UnexpectedEof | Gone::ConnectionReset | Gone::BrokenPipe) => {
            error::closed().cause(io)
        }
        Some(io) if io.raw_os_error().is_some() => error::socket("read from the server", io),
        _ => otherwise(&e),
    }
}
