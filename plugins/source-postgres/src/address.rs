//! Where the server is and who logs in: from the config's keys or a URL in libpq's grammar, then libpq's variables.
//! It must not open anything, and never echoes a URL: it may hold a password.

use percent_encoding::percent_decode_str;
use rivet_plugin_api::{Connection, ErrorKind, FilePath, PluginError, Result, Secret, Tls, TlsMode, is_local};
use tokio_postgres::config::ChannelBinding;

/// Time for connecting and logging in where the URL names none, ms.
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 10_000;

/// The steps of a connection.
pub mod stage {
    pub const RESOLVE: &str = "resolve";
    pub const TCP: &str = "tcp";
    pub const SOCKET: &str = "socket";
    pub const TLS: &str = "tls";
    pub const LOGIN: &str = "login";
}

/// A server, a login and how the connection is protected.
#[derive(Debug, Clone)]
pub struct Settings {
    pub host: Host,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    pub database: String,
    /// Plain text when absent.
    pub tls: Option<Tls>,
    pub application_name: String,
    /// Value of the `options` start-up parameter.
    pub server_options: Option<String>,
    /// Whether the login must be bound to the TLS connection.
    pub channel_binding: ChannelBinding,
    pub connect_timeout_ms: u64,
    /// Longest silence while something is awaited, ms; 0 = any.
    pub no_progress_timeout_ms: u64,
    /// Largest row to accept, bytes; 0 = any.
    pub max_value_bytes: u64,
}

/// How the server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or address.
    Tcp(String),
    /// The folder of a Unix socket.
    Socket(String),
}

impl Settings {
    /// Reads the connection keys.
    ///
    /// # Errors
    /// `Config`, without a value of any key.
    pub fn from_connection(keys: &Connection) -> Result<Self> {
        Self::with_variables(keys, |name| std::env::var(name).ok())
    }

    /// As [`Settings::from_connection`], with libpq's variables (PostgreSQL documentation, "Environment Variables") where
    /// the keys or the URL say nothing.
    fn with_variables(keys: &Connection, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut parts = match &keys.url {
            Some(url) => parse_url(url.expose())?,
            None => Parts {
                host: keys.host.clone(),
                port: keys.port,
                user: keys.user.clone(),
                password: keys.password.clone(),
                database: keys.database.clone(),
                ..Parts::default()
            },
        };
        parts.fill(keys, variable)?;
        let host = parts.host.clone().unwrap_or_else(|| "localhost".to_owned());
        let tls = parts.protection(keys, &host)?;
        let user = parts.user.filter(|u| !u.is_empty()).ok_or_else(|| {
            invalid("the source names no user", "write `postgres://USER@HOST/DATABASE`, or the key `user`")
        })?;
        Ok(Self {
            host: if host.starts_with('/') { Host::Socket(host) } else { Host::Tcp(host) },
            port: parts.port.unwrap_or(5432),
            database: parts.database.filter(|d| !d.is_empty()).unwrap_or_else(|| user.clone()),
            user,
            password: parts.password,
            tls,
            application_name: parts.application_name.unwrap_or_else(|| "rivet".to_owned()),
            server_options: parts.server_options,
            channel_binding: parts.channel_binding.unwrap_or(ChannelBinding::Prefer),
            connect_timeout_ms: parts.connect_timeout_ms.unwrap_or(DEFAULT_CONNECT_TIMEOUT_MS),
            no_progress_timeout_ms: 0,
            max_value_bytes: 0,
        })
    }

    /// The steps of a connection, in their order.
    pub fn steps(&self) -> Vec<&'static str> {
        match (&self.host, &self.tls) {
            (Host::Socket(_), _) => vec![stage::SOCKET, stage::LOGIN],
            (Host::Tcp(_), None) => vec![stage::RESOLVE, stage::TCP, stage::LOGIN],
            (Host::Tcp(_), Some(_)) => vec![stage::RESOLVE, stage::TCP, stage::TLS, stage::LOGIN],
        }
    }

    /// An error at one of these steps.
    pub fn failed_at(&self, stage: &str) -> impl FnOnce(PluginError) -> PluginError + use<> {
        let (stage, steps) = (stage.to_owned(), self.steps().join(" "));
        move |e| e.detail("stage", stage).detail("steps", steps)
    }

    /// `host:port/database`, for people.
    pub fn server_label(&self) -> String {
        match &self.host {
            Host::Tcp(host) => format!("{host}:{}/{}", self.port, self.database),
            Host::Socket(dir) => format!("{dir}:{}/{}", self.port, self.database),
        }
    }
}

#[derive(Debug, Default)]
struct Parts {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
    sslmode: Option<String>,
    ca_file: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    application_name: Option<String>,
    server_options: Option<String>,
    channel_binding: Option<ChannelBinding>,
    connect_timeout_ms: Option<u64>,
}

/// libpq's variables and the URL's parameters that they stand for.
const VARIABLES: [(&str, &str); 13] = [
    ("PGHOST", "host"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGDATABASE", "dbname"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGAPPNAME", "application_name"),
    ("PGOPTIONS", "options"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
];

impl Parts {
    /// The `tls` block, or what the URL's `sslmode` says in its place.
    fn protection(&self, keys: &Connection, host: &str) -> Result<Option<Tls>> {
        let named =
            self.sslmode.is_some() || self.ca_file.is_some() || self.cert_file.is_some() || self.key_file.is_some();
        if !named {
            return Ok(keys.tls_for(host)?.filter(|tls| tls.mode != TlsMode::Disable).cloned());
        }
        if keys.tls.is_some() {
            return Err(invalid(
                "both the url and the tls block say how to protect the connection",
                "keep one of the two",
            ));
        }
        let mode = match self.sslmode.as_deref() {
            Some("disable") => return Ok(None),
            Some("allow" | "prefer") if is_local(host) => return Ok(None),
            Some("allow" | "prefer") => {
                return Err(invalid(
                    "sslmode allow and prefer fall back to plain text",
                    "write sslmode=verify-full, or sslmode=disable if plain text is meant",
                ));
            }
            // As libpq: who names an authority wants it asked.
            Some("require") if self.ca_file.is_some() => TlsMode::VerifyCa,
            Some("require") => TlsMode::Require,
            Some("verify-ca") => TlsMode::VerifyCa,
            Some("verify-full") | None => TlsMode::VerifyFull,
            Some(_) => {
                let hint = "there is disable, require, verify-ca and verify-full";
                return Err(invalid("the url's sslmode is unknown", hint));
            }
        };
        Ok(Some(Tls {
            mode,
            ca_file: self.ca_file.clone().map(FilePath::new),
            cert_file: self.cert_file.clone().map(FilePath::new),
            key_file: self.key_file.clone().map(FilePath::new),
            accept_invalid_certs: false,
            accept_invalid_hostnames: false,
        }))
    }

    /// Takes from libpq's variables what is not said otherwise. A `tls` block says all about protection.
    fn fill(&mut self, keys: &Connection, variable: impl Fn(&str) -> Option<String>) -> Result<()> {
        let protected = keys.tls.is_some() || self.sslmode.is_some() || self.ca_file.is_some();
        for (name, key) in VARIABLES {
            let known = match key {
                "host" => self.host.is_some(),
                "port" => self.port.is_some(),
                "user" => self.user.is_some(),
                "password" => self.password.is_some(),
                "dbname" => self.database.is_some(),
                "application_name" => self.application_name.is_some(),
                "options" => self.server_options.is_some(),
                "channel_binding" => self.channel_binding.is_some(),
                "connect_timeout" => self.connect_timeout_ms.is_some(),
                _ => protected,
            };
            if let (false, Some(value)) = (known, variable(name).filter(|value| !value.is_empty())) {
                self.parameter(key, value).map_err(|e| e.detail("variable", name))?;
            }
        }
        Ok(())
    }

    fn parameter(&mut self, key: &str, value: String) -> Result<()> {
        match key {
            "host" => self.host = Some(value),
            "port" => self.port = Some(port(&value)?),
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "dbname" => self.database = Some(value),
            "sslmode" => self.sslmode = Some(value),
            "sslrootcert" => self.ca_file = Some(value),
            "sslcert" => self.cert_file = Some(value),
            "sslkey" => self.key_file = Some(value),
            "application_name" => self.application_name = Some(value),
            "options" => self.server_options = Some(value),
            "channel_binding" => {
                self.channel_binding = Some(match value.as_str() {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => return Err(invalid("channel_binding is unknown", "there is disable, prefer and require")),
                });
            }
            "connect_timeout" => {
                let seconds = value.parse::<u64>().ok().filter(|s| *s > 0);
                let seconds =
                    seconds.ok_or_else(|| invalid("connect_timeout is no number of seconds", "write 1 or more"))?;
                self.connect_timeout_ms = Some(seconds.saturating_mul(1000));
            }
            // The key is the user's own word, but a URL without escapes may have put a piece of a password here.
            _ => {
                let known = "host, port, user, dbname, sslmode, sslrootcert, sslcert, sslkey, application_name, options, \
                             channel_binding, connect_timeout";
                return Err(invalid("the url has an unknown parameter", &format!("there is {known}")));
            }
        }
        Ok(())
    }
}

fn parse_url(url: &str) -> Result<Parts> {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let rest = rest.ok_or_else(|| {
        invalid("the url does not start with postgres://", "write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")
    })?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut parts = Parts::default();
    if !login.is_empty() {
        let (user, password) = login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)));
        parts.user = Some(decoded(user)?);
        parts.password = password.map(decoded).transpose()?.map(Secret::new);
    }
    if place.contains(',') {
        return Err(PluginError::new(ErrorKind::Unsupported, "postgres.several_hosts", "the url names several hosts")
            .hint("name the one to read from"));
    }
    let (host, port_text) = host_and_port(place)?;
    parts.host = Some(decoded(host)?).filter(|h| !h.is_empty());
    parts.port = port_text.map(port).transpose()?;
    parts.database = Some(decoded(database)?).filter(|d| !d.is_empty());
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| invalid("a parameter of the url has no value", "write key=value"))?;
        parts.parameter(key, decoded(value)?)?;
    }
    Ok(parts)
}

fn host_and_port(place: &str) -> Result<(&str, Option<&str>)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (address, rest) =
            rest.split_once(']').ok_or_else(|| invalid("the url's address has no closing bracket", "write [::1]"))?;
        return Ok((address, rest.strip_prefix(':')));
    }
    Ok(place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port).filter(|p| !p.is_empty()))))
}

fn port(text: &str) -> Result<u16> {
    text.parse().map_err(|_| {
        invalid(
            "the url's port is no number",
            "a password with / ? # @ or : must be percent-encoded, as %2F %3F %23 %40 %3A",
        )
    })
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(std::borrow::Cow::into_owned)
        .map_err(|_| invalid("the url is not UTF-8 once decoded", "percent-encode UTF-8"))
}

fn invalid(text: &str, hint: &str) -> PluginError {
    PluginError::new(ErrorKind::Config, "postgres.connection", text).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<Settings> {
        Settings::from_connection(&Connection { url: Some(Secret::new(url)), ..Default::default() })
    }

    #[test]
    fn urls_are_read_as_libpq_reads_them() {
        for (url, label, user, password) in [
            ("postgres://a:b@localhost/d", "localhost:5432/d", "a", Some("b")),
            ("postgresql://a@127.0.0.1:99", "127.0.0.1:99/a", "a", None),
            ("postgres://a:p%40%2F%3a@[::1]:7/d%20e", "::1:7/d e", "a", Some("p@/:")),
            ("postgres:///d?host=/run/pg&user=u", "/run/pg:5432/d", "u", None),
            ("postgres://u@%2Frun%2Fpg/d", "/run/pg:5432/d", "u", None),
            ("postgres://u:x@y@localhost/d", "localhost:5432/d", "u", Some("x@y")),
        ] {
            let s = settings(url).expect(url);
            assert_eq!((s.server_label().as_str(), s.user.as_str()), (label, user), "{url}");
            assert_eq!(s.password.as_ref().map(Secret::expose), password, "{url}");
        }
    }

    #[test]
    fn libpqs_variables_say_what_the_config_does_not() {
        let variables = [("PGHOST", "db1"), ("PGUSER", "v"), ("PGPASSWORD", "canary"), ("PGSSLMODE", "verify-ca")];
        let filled = |url: &str, tls: Option<Tls>| {
            let url = Some(Secret::new(url));
            let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            let s = Settings::with_variables(&Connection { url, tls, ..Default::default() }, variable).expect("a url");
            (s.server_label(), s.user, s.password.map(|p| p.expose().to_owned()), s.tls.map(|t| t.mode))
        };
        let password = || Some("canary".to_owned());
        let verify_ca = Some(TlsMode::VerifyCa);
        assert_eq!(filled("postgres:///d", None), ("db1:5432/d".into(), "v".into(), password(), verify_ca));
        let all = filled("postgres://u:p@h:7/d?sslmode=disable", None);
        assert_eq!(all, ("h:7/d".into(), "u".into(), Some("p".into()), None));
        let tls = serde_json::from_str(r#"{"mode": "require"}"#).expect("a tls block");
        assert_eq!(filled("postgres://u@h/d", Some(tls)).3, Some(TlsMode::Require));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for url in [
            "mysql://a:canary@h/d",
            "postgres://a:canary@h:x/d?sslmode=require",
            "postgres://a:can/ary@localhost/d",
            "postgres://a:canary@db1/d",
            "postgres://a:canary@db1/d?sslmode=prefer",
            "postgres://a:canary@localhost/d?x=canary",
            "postgres://:canary@localhost/d",
            "postgres://a:canary@h1,h2/d",
            "postgres://a:canary%ff@localhost/d",
            "postgres://a:canary@localhost/d?sslmode=canary",
            "postgres://a:canary@localhost/d?connect_timeout=canary",
            "postgres://a:canary@localhost/d?channel_binding=canary",
        ] {
            let e = settings(url).expect_err(url);
            assert!(!format!("{e:?}{e}").contains("canary"), "{e:?}");
            assert!(e.hint_text().is_some(), "{url}");
        }
    }

    #[test]
    fn the_urls_sslmode_is_the_users_choice() {
        let mode = |url: &str| settings(url).map(|s| s.tls.map(|t| t.mode)).map_err(|e| e.code().to_owned());
        assert_eq!(mode("postgres://a@db1/d?sslmode=require"), Ok(Some(TlsMode::Require)));
        assert_eq!(mode("postgres://a@db1/d?sslmode=require&sslrootcert=x"), Ok(Some(TlsMode::VerifyCa)));
        assert_eq!(mode("postgres://a@db1/d?sslmode=disable"), Ok(None));
        assert_eq!(mode("postgres://a@db1/d?sslrootcert=x"), Ok(Some(TlsMode::VerifyFull)));
        assert_eq!(mode("postgres://a@localhost/d"), Ok(None));
        assert_eq!(mode("postgres://a@db1/d"), Err("connection.tls_missing".to_owned()));
    }
}
