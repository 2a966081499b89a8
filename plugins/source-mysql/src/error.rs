//! From the server's error numbers and the driver's errors to the plugin's: by number, never by text.
//! It must not know what was being read.

use std::io;
use std::time::Duration;

use mysql_async::{DriverError, Error, IoError, ServerError, TlsError};
use rivet_plugin_api::{ErrorKind, PluginError, Retry, SNAPSHOT_LOST};

use crate::tls;

/// Error numbers that other code asks for.
pub mod number {
    /// `ER_QUERY_INTERRUPTED`: KILL QUERY.
    pub const INTERRUPTED: i64 = 1317;
    /// `ER_STATEMENT_TIMEOUT` of MariaDB.
    pub const MARIADB_TIMEOUT: i64 = 1969;
    /// `ER_QUERY_EXCEEDED_ROWS_EXAMINED_LIMIT`: a warning of MariaDB.
    pub const INCOMPLETE: u16 = 1931;
    /// `ER_QUERY_TIMEOUT` of MySQL.
    pub const MYSQL_TIMEOUT: i64 = 3024;
}

/// The code of a row that is larger than is accepted.
pub const TOO_LARGE: &str = "mysql.value_too_large";

/// The server says that a result has not all of its rows.
#[cold]
pub fn cut_off() -> PluginError {
    let text = "the server ended the result before its last row, at a limit of the query or of a view";
    PluginError::new(ErrorKind::Data, "mysql.incomplete", text)
        .hint("take LIMIT ROWS EXAMINED out of the query or view, or export its tables")
}

/// The driver's error as the plugin's.
pub fn of(e: &Error) -> PluginError {
    match e {
        Error::Server(e) => server(e),
        Error::Io(IoError::Io(e)) => socket(e),
        Error::Io(IoError::Tls(TlsError::Tls(e))) => tls::handshake(e),
        Error::Io(IoError::Tls(e)) => PluginError::new(ErrorKind::Config, "mysql.tls", "tls cannot be set up")
            .cause(e)
            .hint("check the host's name, and that certificate and key are PEM"),
        Error::Driver(e) => driver(e),
        Error::Url(_) | Error::Other(_) => protocol("what the protocol does not allow here"),
    }
}

/// As the server says it.
fn server(e: &ServerError) -> PluginError {
    if e.code == 1412 {
        let text = "what is read was altered or replaced after the snapshot was taken";
        return PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, text)
            .retry(Retry::NewSession)
            .vendor_code(e.code.into())
            .sqlstate(&e.state)
            .hint("run it again at a time when nobody truncates or alters the table");
    }
    let (kind, retry, after_ms) = classify(e.code, &e.state);
    let error = PluginError::new(kind, &format!("mysql.{}", e.code), &e.message)
        .retry(retry)
        .retry_after_ms(after_ms)
        .vendor_code(e.code.into())
        .sqlstate(&e.state);
    error.hint(hint(e.code, kind))
}

/// Kind, retry and least pause (ms) of an error number (MySQL and MariaDB documentation, "Error Reference").
fn classify(code: u16, state: &str) -> (ErrorKind, Retry, u64) {
    match code {
        1205 => (ErrorKind::Timeout, Retry::SameSession, 1_000),
        1213 | 1614 | 3058 => (ErrorKind::Conflict, Retry::SameSession, 1_000),
        1040 | 1203 | 1226 | 1041 | 1037 | 1038 | 1021 | 1114 | 1135 | 3170 => {
            (ErrorKind::Capacity, Retry::NewSession, 15_000)
        }
        1044 | 1045 | 1129 | 1130 | 1131 | 1132 | 1142 | 1143 | 1227 | 1251 | 1275 | 1370 | 1396 | 1410 | 1524
        | 1698 | 1820 | 1862 | 3118 | 3159 | 3878 | 3955 | 4151 => (ErrorKind::Auth, Retry::Never, 0),
        1049 | 1051 | 1054 | 1072 | 1091 | 1109 | 1146 | 1305 | 1356 => (ErrorKind::NotFound, Retry::Never, 0),
        1053 | 1077 | 1079 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 3169 | 3032 | 4031 => {
            (ErrorKind::Connection, Retry::NewSession, 0)
        }
        1317 | 1969 | 3024 => (ErrorKind::Timeout, Retry::Never, 0),
        1153 | 1301 => (ErrorKind::Data, Retry::Never, 0),
        1235 | 1286 | 1289 => (ErrorKind::Unsupported, Retry::Never, 0),
        1005 | 1016 | 1017 | 1023..=1030 | 1033..=1036 | 1105 | 1194 | 1195 | 1712 | 1812 | 1815 => {
            (ErrorKind::Io, Retry::NewSession, 0)
        }
        1615 => (ErrorKind::Conflict, Retry::SameSession, 0),
        _ => match state.get(..2).unwrap_or_default() {
            "08" => (ErrorKind::Connection, Retry::NewSession, 0),
            "28" => (ErrorKind::Auth, Retry::Never, 0),
            "22" | "21" | "23" => (ErrorKind::Data, Retry::Never, 0),
            "40" => (ErrorKind::Conflict, Retry::SameSession, 1_000),
            "0A" => (ErrorKind::Unsupported, Retry::Never, 0),
            // What is left is raised by what the config reads: none of it goes away by itself.
            _ => (ErrorKind::Config, Retry::Never, 0),
        },
    }
}

fn hint(code: u16, kind: ErrorKind) -> &'static str {
    match (code, kind) {
        (1045 | 1698, _) => "check user and password, and from which hosts the user may log in",
        (1044 | 1142 | 1143 | 1227, _) => "grant the login SELECT on what is read",
        (1049, _) => "check the database's name",
        (1129, _) => "the server blocks this host after too many failed connections: run FLUSH HOSTS on it",
        (1130, _) => "the server admits nobody from this host: create the user for it",
        (1820 | 1862, _) => "the login's password has expired: set a new one",
        (3118 | 4151, _) => "the account is locked: unlock it",
        (3159, _) => "the server takes encrypted connections only: write `tls: {mode: verify-full}`",
        (1054, _) => "check the spelling of the column",
        (1060, _) => "two columns of the query have one name: give one of them another with AS",
        (1356, _) => "the view names what is not there, or what its definer may not read: look at its definition",
        (1064, _) => "check the query's text",
        (1205, _) => "something holds a lock on the table: wait, or raise `lock_timeout_s`",
        (1040 | 1203 | 1226, _) => "the server has no free connection: lower `parallel`, or set `max_connections`",
        (1153 | 1301, _) => "raise max_allowed_packet on the server, or leave the column out with `exclude`",
        (1053 | 1077 | 1079 | 1927, _) => {
            "the server shuts down, or somebody ended the session: look into its log, then run it again"
        }
        (_, ErrorKind::NotFound) => "check database and spelling; the database is part of the name",
        (_, ErrorKind::Connection | ErrorKind::Io) => "look into the server's log, then run it again",
        (_, ErrorKind::Auth) => "check the login and its rights",
        (_, ErrorKind::Capacity) => "the server is short of memory, disk or connections: look into its log",
        (_, ErrorKind::Conflict) => "others change the same rows: run it again at a quieter time",
        (_, ErrorKind::Data) => "change the query so that it does not meet this value",
        (_, ErrorKind::Unsupported) => "express it in another way in a query",
        _ => "check the query and the source's options",
    }
}

/// What an interrupted statement means: our own limit elapsed, or somebody else ended it.
pub fn interrupted(e: PluginError, statement_timeout_ms: u64) -> PluginError {
    let vendor = e.vendor();
    let with_numbers = |error: PluginError| {
        error.vendor_code(vendor.unwrap_or_default()).sqlstate(e.state().unwrap_or_default()).cause(e.message())
    };
    match vendor {
        Some(number::MARIADB_TIMEOUT | number::MYSQL_TIMEOUT) => {
            let text =
                format!("a statement took longer than statement_timeout_s allows ({} s)", statement_timeout_ms / 1000);
            with_numbers(PluginError::new(ErrorKind::Timeout, "mysql.statement_timeout", text))
                .retry(Retry::SmallerSplit)
                .hint("raise `tuning: {statement_timeout_s: …}`, or lower `throttle_ms`")
        }
        Some(number::INTERRUPTED) => {
            let text = "somebody cancelled the statement on the server";
            with_numbers(PluginError::new(ErrorKind::Conflict, "mysql.cancelled_by_operator", text))
                .hint("ask who did, then run it again")
        }
        _ => e,
    }
}

fn driver(e: &DriverError) -> PluginError {
    let auth = |text: String, hint: &str| PluginError::new(ErrorKind::Auth, "mysql.login", text).hint(hint);
    match e {
        DriverError::ConnectionClosed | DriverError::PoolDisconnected => closed(),
        DriverError::UnknownAuthPlugin { name } => auth(
            format!("the server asks for a login by the plugin '{name}', which is not known here"),
            "check user and password: the server asks so for users that it does not know, too; else let the user log in by \
             caching_sha2_password, mysql_native_password or ed25519",
        ),
        DriverError::MysqlOldPasswordDisabled | DriverError::CleartextPluginDisabled => auth(
            "the server asks for the password in a form that anybody can read".to_owned(),
            "check user and password: the server asks so for users that it does not know, too; else let the user log in by \
             caching_sha2_password, mysql_native_password or ed25519",
        ),
        DriverError::NoClientSslFlagFromServer => {
            PluginError::new(ErrorKind::Connection, "mysql.no_tls", "the server does not speak tls")
                .hint("set up a certificate on the server, or write `tls: {mode: disable}` if plain text is meant")
        }
        DriverError::NoKeyFound => PluginError::new(ErrorKind::Config, "mysql.tls", "the key file holds no key")
            .hint("key_file must be a private key as PEM"),
        DriverError::LocalInfile(_) => protocol("a request for a file of this machine, which it does not get"),
        DriverError::PacketTooLarge => too_large(),
        _ => protocol("what the protocol does not allow here"),
    }
}

/// An error of the socket.
fn socket(e: &io::Error) -> PluginError {
    let inner = e.get_ref();
    if let Some(cause) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::handshake(cause);
    }
    // The driver's codec has an error type that it does not show.
    if e.kind() == io::ErrorKind::Other && inner.is_some_and(|inner| inner.to_string().starts_with("Packet is larger"))
    {
        return too_large();
    }
    let error = |kind, code, text: &str| PluginError::new(kind, code, text).cause(e).retry(Retry::NewSession);
    match e.kind() {
        io::ErrorKind::ConnectionRefused => error(ErrorKind::Connection, "mysql.refused", "failed to reach the server")
            .hint("check host and port, and that the server is up"),
        io::ErrorKind::NotFound => error(ErrorKind::Connection, "mysql.no_socket", "failed to reach the server")
            .hint("no server listens there"),
        io::ErrorKind::TimedOut => error(ErrorKind::Timeout, "mysql.no_progress", "the server did not answer")
            .hint("check host and port, and firewalls in between"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => closed().cause(e),
        _ => error(ErrorKind::Connection, "mysql.connection", "the connection failed")
            .hint("check the host's name, and look into the server's log"),
    }
}

/// What was awaited did not come in time.
pub fn no_progress(doing: &str, after: Duration) -> PluginError {
    let text = format!("failed to {doing}: no end of it in {} s", after.as_secs().max(1));
    PluginError::new(ErrorKind::Timeout, "mysql.no_progress", text)
        .retry(Retry::NewSession)
        .hint("the server or the network went silent")
}

/// The server sent what the protocol does not allow. Its words are not repeated: they may be data.
pub fn protocol(what: &str) -> PluginError {
    PluginError::new(ErrorKind::Connection, "mysql.protocol", format!("the server sent {what}"))
        .retry(Retry::NewSession)
        .hint("is this a MySQL or MariaDB server, with nothing in between that changes the protocol?")
}

/// The driver could make nothing of what the server sent.
pub fn broken() -> PluginError {
    protocol("bytes that the driver cannot take")
}

/// The server hung up.
pub fn closed() -> PluginError {
    PluginError::new(ErrorKind::Connection, "mysql.closed", "the server closed the connection")
        .retry(Retry::NewSession)
        .hint("look into the server's log")
}

/// The catalogue answered in a form that no known server has.
pub fn unexpected() -> PluginError {
    protocol("an answer of an unknown form")
}

/// A row beyond the limit; which of its columns is looked up later.
fn too_large() -> PluginError {
    PluginError::new(ErrorKind::Data, TOO_LARGE, "a row has more bytes than max_value_mb allows")
        .hint("raise `tuning: {max_value_mb: …}`, or leave the column out with `exclude`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u16, state: &str) -> PluginError {
        of(&Error::Server(ServerError { code, message: "text".to_owned(), state: state.to_owned() }))
    }

    #[test]
    fn numbers_decide_kind_and_retry() {
        for (code, state, kind, retry) in [
            (1053, "08S01", ErrorKind::Connection, Retry::NewSession),
            (1205, "HY000", ErrorKind::Timeout, Retry::SameSession),
            (1213, "40001", ErrorKind::Conflict, Retry::SameSession),
            (1040, "08004", ErrorKind::Capacity, Retry::NewSession),
            (1045, "28000", ErrorKind::Auth, Retry::Never),
            (1049, "42000", ErrorKind::NotFound, Retry::Never),
            (1064, "42000", ErrorKind::Config, Retry::Never),
            (1690, "22003", ErrorKind::Data, Retry::Never),
            (1412, "HY000", ErrorKind::Conflict, Retry::NewSession),
        ] {
            let e = said(code, state);
            assert_eq!((e.kind(), e.retry_class(), e.vendor()), (kind, retry, Some(code.into())), "{code}");
        }
    }

    /// Exit 7 is for us and for plugins.
    #[test]
    fn no_number_of_the_server_is_our_fault() {
        for code in 1000..5000 {
            let e = said(code, "HY000");
            assert!(!matches!(e.kind(), ErrorKind::Internal | ErrorKind::Panicked), "{code}");
            assert!(e.hint_text().is_some_and(|hint| !hint.is_empty()), "{code}");
        }
    }

    #[test]
    fn an_interrupted_statement_is_ours_only_by_the_limits_own_number() {
        for code in [1969, 3024] {
            assert_eq!(interrupted(said(code, "70100"), 2_000).retry_class(), Retry::SmallerSplit);
        }
        let e = interrupted(said(1317, "70100"), 2_000);
        assert_eq!((e.code(), e.retry_class()), ("mysql.cancelled_by_operator", Retry::Never));
    }
}
