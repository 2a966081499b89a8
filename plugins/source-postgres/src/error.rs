//! From SQLSTATE and system errors to the plugin's errors: by code, never by text.
//! It must not know what was being read.

use std::io;
use std::time::Duration;

use rivet_plugin_api::{ErrorKind, PluginError, Retry};
use tokio_postgres::error::DbError;

/// Fields of an ErrorResponse.
#[derive(Debug, Default)]
pub struct ServerError {
    pub sqlstate: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
}

impl ServerError {
    /// Reads the body of an ErrorResponse or NoticeResponse: a letter and a NUL-terminated text each.
    pub fn parse(mut body: &[u8]) -> Self {
        let mut error = Self::default();
        while let Some((kind, rest)) = body.split_first() {
            // What was too long was cut.
            let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
            let text = String::from_utf8_lossy(&rest[..end]).into_owned();
            match kind {
                b'C' => error.sqlstate = text,
                b'M' => error.message = text,
                b'D' => error.detail = text,
                b'H' => error.hint = text,
                _ => {}
            }
            body = rest.get(end + 1..).unwrap_or_default();
        }
        error
    }

    /// As the library read it.
    pub fn of(e: &DbError) -> Self {
        let text = |t: Option<&str>| t.unwrap_or_default().to_owned();
        Self {
            sqlstate: e.code().code().to_owned(),
            message: e.message().to_owned(),
            detail: text(e.detail()),
            hint: text(e.hint()),
        }
    }

    /// As the plugin's error.
    pub fn into_plugin_error(self) -> PluginError {
        let (kind, retry, after_ms) = classify(&self.sqlstate);
        let code = format!("postgres.{}", self.sqlstate.to_lowercase());
        let mut error =
            PluginError::new(kind, &code, &self.message).retry(retry).retry_after_ms(after_ms).sqlstate(&self.sqlstate);
        if !self.detail.is_empty() {
            error = error.cause(&self.detail);
        }
        if self.hint.is_empty() { standard_hint(error) } else { error.hint(self.hint) }
    }
}

/// Kind, retry and least pause (ms) of a SQLSTATE (PostgreSQL documentation, appendix A).
fn classify(sqlstate: &str) -> (ErrorKind, Retry, u64) {
    match sqlstate {
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" | "HV00N" => {
            (ErrorKind::Connection, Retry::NewSession, 0)
        }
        "40001" | "40P01" => (ErrorKind::Conflict, Retry::SameSession, 1_000),
        "55P03" => (ErrorKind::Timeout, Retry::SameSession, 1_000),
        // A pooler handed out a server connection on which somebody else left, or ended, a statement of our name.
        "42P05" | "26000" => (ErrorKind::Conflict, Retry::NewSession, 0),
        "57014" => (ErrorKind::Timeout, Retry::Never, 0),
        "42501" => (ErrorKind::Auth, Retry::Never, 0),
        // Another session has it, or took away what the snapshot needs.
        "55006" | "72000" => (ErrorKind::Conflict, Retry::NewSession, 0),
        // A file that is not there is the server's, such as that of a foreign table: it will not come by itself.
        "3D000" | "3F000" | "42P01" | "42703" | "42704" | "42883" | "57P04" | "58P01" => {
            (ErrorKind::NotFound, Retry::Never, 0)
        }
        "HV001" => (ErrorKind::Capacity, Retry::NewSession, 15_000),
        "54000" | "54001" | "54011" | "54023" => (ErrorKind::Unsupported, Retry::Never, 0),
        _ => match sqlstate.get(..2).unwrap_or_default() {
            "08" => (ErrorKind::Connection, Retry::NewSession, 0),
            "53" => (ErrorKind::Capacity, Retry::NewSession, 15_000),
            "28" => (ErrorKind::Auth, Retry::Never, 0),
            // Damaged pages, and what the server could not make sense of itself.
            "22" | "21" | "23" | "XX" => (ErrorKind::Data, Retry::Never, 0),
            "0A" => (ErrorKind::Unsupported, Retry::Never, 0),
            "58" => (ErrorKind::Io, Retry::NewSession, 0),
            // What is left is raised by what the config reads: statements, functions, foreign tables, a state of the
            // database. Anybody may make up further classes. None of it is our fault, and none goes away by itself.
            _ => (ErrorKind::Config, Retry::Never, 0),
        },
    }
}

fn standard_hint(error: PluginError) -> PluginError {
    let hint = match (error.state().unwrap_or_default(), error.kind()) {
        ("28P01", _) => "check user and password",
        ("28000", _) => "the server's pg_hba.conf admits no such login: check user, database, address and tls",
        ("3D000", _) => "check the database's name",
        ("42P01" | "42703" | "42704" | "42883" | "3F000", _) => "check the spelling, and name the schema",
        ("42601", _) => "check the query's text",
        ("42501", _) => {
            "grant the login the right to read this; where row-level security is in the way, `row_security: allow` in \
             `source` exports the rows that the login sees"
        }
        ("53300", _) => "the server has no free connection: lower `parallel`, or set `max_connections`",
        ("55P03", _) => "something holds a lock on the table: wait, or raise `lock_timeout_s`",
        ("42P05" | "26000", _) => {
            "another client of the pooler in between leaves its prepared statements behind: pgBouncer 1.21 and later keep \
             them apart (`max_prepared_statements`), and so does a pool in session mode"
        }
        ("22021", _) => {
            "the database holds bytes that are no text in its encoding: export the column as bytea by a query"
        }
        ("55000", _) => {
            "the database is not in a state to be read so: a materialized view, for one, must be filled with REFRESH \
             MATERIALIZED VIEW first"
        }
        ("55006", _) => "another session holds it: wait until it is done, then run it again",
        ("57P04", _) => "the database was dropped: check its name",
        ("58P01", _) => {
            "a file on the server is not there: check the file that a foreign table names, else look into the server's log"
        }
        ("57P01" | "57P02" | "57P03", _) => {
            "the server shuts down, or somebody ended the session: look into its log, then run it again"
        }
        ("08P01", _) => "the server, or a pooler in between, gave the connection up: look into its log",
        (state, kind) => hint_of_class(state, kind),
    };
    error.hint(hint)
}

/// What helps with a class of states.
fn hint_of_class(state: &str, kind: ErrorKind) -> &'static str {
    match (state.get(..2).unwrap_or_default(), kind) {
        ("XX", _) => {
            "the server met damage or a fault of its own: look into its log, and check the table, for example with \
             pg_amcheck"
        }
        ("P0" | "2F" | "38" | "39", _) => {
            "a function or trigger of the database raised this: look into those that the relation calls"
        }
        ("HV", _) => "a foreign data wrapper raised this: check the foreign table, its server and what it leads to",
        (_, ErrorKind::Unsupported) => "express it in another way in a query",
        (_, ErrorKind::Data) => "change the query so that it does not meet this value",
        ("42" | "25", ErrorKind::Config) => "check the query and the source's options",
        (_, ErrorKind::Config) => "the database raised this: check the query, and the functions that it calls",
        (_, ErrorKind::Conflict) => "others change the same rows: run it again at a quieter time",
        (_, ErrorKind::Capacity) => "the server is short of memory, disk or connections: look into its log",
        _ => "look into the server's log",
    }
}

/// What a cancelled statement (57014) means: our own timeout elapsed, or somebody else cancelled it.
pub fn canceled(e: PluginError, elapsed_ms: u64, statement_timeout_ms: u64) -> PluginError {
    // The server's clock starts a little later than ours.
    if statement_timeout_ms > 0 && elapsed_ms.saturating_add(50) >= statement_timeout_ms {
        let text =
            format!("a statement took longer than statement_timeout_s allows ({} s)", statement_timeout_ms / 1000);
        return PluginError::new(ErrorKind::Timeout, "postgres.statement_timeout", text)
            .retry(Retry::SmallerSplit)
            .sqlstate("57014")
            .hint("raise `tuning: {statement_timeout_s: …}`, or lower `throttle_ms`");
    }
    PluginError::new(
        ErrorKind::Conflict,
        "postgres.cancelled_by_operator",
        "somebody cancelled the statement on the server",
    )
    .sqlstate("57014")
    .cause(e.message())
    .hint("ask who did, then run it again")
}

/// What was awaited did not come in time: the server or the network went silent, or talks without saying it.
pub fn no_progress(doing: &str, after: Duration) -> PluginError {
    let text = format!("failed to {doing}: no end of it in {} s", after.as_secs().max(1));
    PluginError::new(ErrorKind::Timeout, "postgres.no_progress", text)
        .retry(Retry::NewSession)
        .hint("the server or the network went silent")
}

/// An error of the socket.
pub fn socket(doing: &str, e: &io::Error) -> PluginError {
    let error =
        |kind, code| PluginError::new(kind, code, format!("failed to {doing}")).cause(e).retry(Retry::NewSession);
    match e.kind() {
        io::ErrorKind::TimedOut => {
            error(ErrorKind::Timeout, "postgres.no_progress").hint("check host and port, and firewalls in between")
        }
        io::ErrorKind::NotFound => error(ErrorKind::Connection, "postgres.no_socket").hint("no server listens there"),
        io::ErrorKind::ConnectionRefused => {
            error(ErrorKind::Connection, "postgres.refused").hint("check host and port, and that the server is up")
        }
        _ => error(ErrorKind::Connection, "postgres.connection"),
    }
}

/// The server sent what the protocol does not allow.
pub fn protocol(what: &str) -> PluginError {
    PluginError::new(ErrorKind::Connection, "postgres.protocol", format!("the server sent {what}"))
        .hint("is this a PostgreSQL server, with nothing in between that changes the protocol?")
}

/// The library met what it does not take for possible, and panicked.
pub fn broken() -> PluginError {
    protocol("bytes that no server sends")
}

/// The library does not accept what came after the login.
pub fn unexpected(e: &tokio_postgres::Error) -> PluginError {
    with_causes(protocol("what the protocol does not allow here").retry(Retry::NewSession), e)
}

/// The library does not accept the server's part of the login.
pub fn login(e: &tokio_postgres::Error) -> PluginError {
    let text = "the server did not keep to the rules of the login, or could not prove that it knows the password";
    with_causes(PluginError::new(ErrorKind::Auth, "postgres.scram", text), e)
        .hint("is this the right server, and nothing in between?")
}

fn with_causes(error: PluginError, e: &tokio_postgres::Error) -> PluginError {
    let error = error.cause(e);
    match std::error::Error::source(e) {
        Some(cause) => error.cause(cause),
        None => error,
    }
}

/// The server hung up.
pub fn closed() -> PluginError {
    PluginError::new(ErrorKind::Connection, "postgres.closed", "the server closed the connection")
        .retry(Retry::NewSession)
        .hint("look into the server's log")
}

/// What came is not all, or not what the server counts.
pub fn incomplete(what: &str) -> PluginError {
    PluginError::new(ErrorKind::Connection, "postgres.incomplete", format!("an answer is not whole: {what}"))
        .retry(Retry::NewSession)
        .hint("something between the server and rivet loses or doubles data: look at poolers and proxies")
}

/// A row beyond `limit` bytes, with the first of its fields that is, else the largest.
pub fn value_too_large(row_bytes: u64, index: u16, value_bytes: u64, limit: u64) -> PluginError {
    let text = if value_bytes > limit {
        format!("a value has {}, max_value_mb allows {}", mib(value_bytes), mib(limit))
    } else {
        format!(
            "a row has {}, max_value_mb allows {}; its largest value has {}",
            mib(row_bytes),
            mib(limit),
            mib(value_bytes)
        )
    };
    let enough_mb = row_bytes.div_ceil(1 << 20);
    PluginError::new(ErrorKind::Data, "postgres.value_too_large", text)
        .hint(format!("set `tuning: {{max_value_mb: {enough_mb}}}`, or leave the column out with `exclude`"))
        .detail("column_index", index)
}

/// Bytes in MiB, for people.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// `17.10 (Debian …)` as 170010; `9.6.3` as 90603.
pub fn version_num(text: &str) -> u32 {
    let digits = text.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
    match digits.collect::<Vec<_>>().as_slice() {
        [major, minor, patch, ..] if *major < 10 => major * 10_000 + minor * 100 + patch,
        [major @ ..100, minor @ ..10_000, ..] => major * 10_000 + minor,
        [major @ ..100] => major * 10_000,
        _ => 0,
    }
}

/// Puts the name of the column in place of its position.
pub fn with_column_name(e: PluginError, names: &[String]) -> PluginError {
    let name = e.get("column_index").and_then(|i| names.get(i.parse::<usize>().ok()?));
    match name {
        Some(name) => e.detail("column", name),
        None => e,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_decide_kind_and_retry() {
        for (state, kind, retry) in [
            ("57P01", ErrorKind::Connection, Retry::NewSession),
            ("08006", ErrorKind::Connection, Retry::NewSession),
            ("40001", ErrorKind::Conflict, Retry::SameSession),
            ("55P03", ErrorKind::Timeout, Retry::SameSession),
            ("42P05", ErrorKind::Conflict, Retry::NewSession),
            ("26000", ErrorKind::Conflict, Retry::NewSession),
            ("53300", ErrorKind::Capacity, Retry::NewSession),
            ("28P01", ErrorKind::Auth, Retry::Never),
            ("42P01", ErrorKind::NotFound, Retry::Never),
            ("42501", ErrorKind::Auth, Retry::Never),
            ("42601", ErrorKind::Config, Retry::Never),
            ("22012", ErrorKind::Data, Retry::Never),
            ("58030", ErrorKind::Io, Retry::NewSession),
            ("58P01", ErrorKind::NotFound, Retry::Never),
            ("55006", ErrorKind::Conflict, Retry::NewSession),
            ("HV00N", ErrorKind::Connection, Retry::NewSession),
        ] {
            let body = format!("SERROR\0C{state}\0Mtext\0\0");
            let e = ServerError::parse(body.as_bytes()).into_plugin_error();
            assert_eq!((e.kind(), e.retry_class(), e.state()), (kind, retry, Some(state)));
        }
    }

    /// Exit 7 is for us and for plugins.
    #[test]
    fn no_state_of_the_server_is_our_fault() {
        let classes = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let pairs = classes.chars().flat_map(|a| classes.chars().map(move |b| format!("{a}{b}")));
        for state in pairs.flat_map(|class| [format!("{class}000"), format!("{class}P01"), format!("{class}ZZZ")]) {
            let e = ServerError { sqlstate: state.clone(), ..ServerError::default() }.into_plugin_error();
            assert!(!matches!(e.kind(), ErrorKind::Internal | ErrorKind::Panicked), "{state}");
            assert!(e.hint_text().is_some_and(|hint| !hint.is_empty()), "{state}");
        }
        for (state, kind) in [
            ("P0001", ErrorKind::Config),
            ("P0002", ErrorKind::Config),
            ("ZX123", ErrorKind::Config),
            ("55000", ErrorKind::Config),
            ("XX000", ErrorKind::Data),
            ("XX001", ErrorKind::Data),
            ("XX002", ErrorKind::Data),
            ("2F003", ErrorKind::Config),
            ("38000", ErrorKind::Config),
            ("39000", ErrorKind::Config),
            ("HV000", ErrorKind::Config),
        ] {
            assert_eq!(classify(state), (kind, Retry::Never, 0), "{state}");
        }
    }

    #[test]
    fn versions_old_and_new() {
        for (text, number) in [
            ("17.10", 170_010),
            ("9.6.3", 90_603),
            ("18.4 (Debian 18.4-1)", 180_004),
            ("19beta1", 190_000),
            ("4294967295.1", 0),
            ("", 0),
        ] {
            assert_eq!(version_num(text), number, "{text}");
        }
    }

    #[test]
    fn a_cancelled_statement_is_ours_only_if_our_time_elapsed() {
        let e = || PluginError::new(ErrorKind::Timeout, "postgres.57014", "x");
        assert_eq!(canceled(e(), 1_990, 2_000).retry_class(), Retry::SmallerSplit);
        assert_eq!(canceled(e(), 500, 2_000).code(), "postgres.cancelled_by_operator");
        assert_eq!(canceled(e(), 500, 0).retry_class(), Retry::Never);
    }
}
