//! Where the server is and who logs in: from the config's keys or a URL in libpq's grammar, then libpq's environment.
//! It must not connect, and never echoes a URL: it may hold a password.

use rivet_plugin_api::{Connection, PluginError, Result, Secret, Tls, is_local};
use rivet_shared_net::stage;
use rivet_shared_net::tls::protection_warning;
use tokio_postgres::config::ChannelBinding;

use crate::parts::{Parts, invalid};
use crate::url::parse_url;
use crate::variables::{self, Lookup};

/// Time for connecting and logging in where the URL names none, ms.
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 10_000;

/// A server, a login and how the connection is protected.
#[derive(Debug, Clone)]
pub struct Settings {
    pub host: Host,
    /// Where the host is, without asking for its name.
    pub host_address: Option<String>,
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
    /// What the server must be.
    pub session_attributes: SessionAttributes,
    /// What the user should know about where these come from, one sentence each.
    pub warnings: Vec<String>,
}

/// `target_session_attrs`: what the server must be, or the login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionAttributes {
    /// `any`, and `prefer-standby` where there is one server only.
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
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
    /// Reads the connection keys. A server's list of sessions shows `label` where nobody says something else.
    ///
    /// # Errors
    /// `Config`, without a value of any key.
    pub fn from_connection(keys: &Connection, label: &str) -> Result<Self> {
        Self::with_variables(keys, label, &variables::of_process)
    }

    /// As [`Settings::from_connection`], with libpq's variables where the keys or the URL say nothing.
    fn with_variables(keys: &Connection, label: &str, variable: Lookup<'_>) -> Result<Self> {
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
        variables::fill(&mut parts, keys.tls.is_some(), variable)?;
        let host = parts.host.clone().or_else(|| parts.host_address.clone()).unwrap_or_else(|| "localhost".to_owned());
        let tls = parts.protection(keys, parts.host_address.as_ref().unwrap_or(&host))?;
        let user = parts.user.filter(|u| !u.is_empty()).ok_or_else(|| {
            invalid("the source names no user", "write `postgres://USER@HOST/DATABASE`, or the key `user`")
        })?;
        Ok(Self {
            host: if host.starts_with('/') { Host::Socket(host) } else { Host::Tcp(host) },
            host_address: parts.host_address,
            port: parts.port.unwrap_or(5432),
            database: parts.database.filter(|d| !d.is_empty()).unwrap_or_else(|| user.clone()),
            user,
            password: parts.password,
            tls,
            application_name: cut(parts.application_name.as_deref().unwrap_or(label)).to_owned(),
            server_options: parts.server_options,
            channel_binding: parts.channel_binding.unwrap_or(ChannelBinding::Prefer),
            connect_timeout_ms: parts.connect_timeout_ms.unwrap_or(DEFAULT_CONNECT_TIMEOUT_MS),
            no_progress_timeout_ms: 0,
            max_value_bytes: 0,
            session_attributes: parts.session_attributes.unwrap_or_default(),
            warnings: parts.warnings,
        })
    }

    /// What is not as safe as it could be about how the connection is protected, with what to do.
    pub fn protection_warning(&self) -> Option<String> {
        let Host::Tcp(host) = &self.host else { return None };
        if is_local(self.host_address.as_ref().unwrap_or(host)) {
            return None;
        }
        protection_warning(host, self.tls.as_ref())
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

/// As much of a name as a server keeps (`NAMEDATALEN`).
const MAX_NAME_BYTES: usize = 63;

fn cut(name: &str) -> &str {
    let end = (0..=MAX_NAME_BYTES.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::TlsMode;

    use super::*;

    fn settings(url: &str) -> Result<Settings> {
        let keys = Connection { url: Some(Secret::new(url)), ..Default::default() };
        Settings::with_variables(&keys, "rivet", &|_| None)
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
            let keys = Connection { url, tls, ..Default::default() };
            let s = Settings::with_variables(&keys, "rivet", &variable).expect("a url");
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
            "postgres://a:canary@localhost/d?target_session_attrs=canary",
            "postgres://a:canary@db1/d?sslrootcert=system&sslmode=require",
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

    #[test]
    fn each_variable_counts_where_its_parameter_is_not_said() {
        let variable = |name: &str| (name == "PGSSLROOTCERT").then(|| "ca.pem".to_owned());
        let keys = |url: &str| Connection { url: Some(Secret::new(url)), ..Default::default() };
        let s =
            Settings::with_variables(&keys("postgres://a@db1/d?sslmode=verify-full"), "x", &variable).expect("a url");
        assert_eq!(s.tls.and_then(|tls| tls.ca_file).as_deref(), Some(std::path::Path::new("ca.pem")));
        let system = settings("postgres://a@db1/d?sslrootcert=system").expect("a url").tls.expect("tls");
        assert_eq!((system.mode, system.ca_file), (TlsMode::VerifyFull, None));
    }

    #[test]
    fn a_session_is_called_what_it_is_for() {
        let name = |label: &str, url: &str| {
            let keys = Connection { url: Some(Secret::new(url)), ..Default::default() };
            Settings::with_variables(&keys, label, &|_| None).expect("a url").application_name
        };
        assert_eq!(
            name("rivet/orders/20261130T000000Z-0f0f0f", "postgres://a@/d"),
            "rivet/orders/20261130T000000Z-0f0f0f"
        );
        assert_eq!(name("rivet/orders/r", "postgres://a@/d?application_name=mine"), "mine");
        assert_eq!(name(&"ä".repeat(40), "postgres://a@/d"), "ä".repeat(31));
    }

    #[test]
    fn only_what_can_be_read_on_the_way_is_a_warning() {
        for (url, said) in [
            ("postgres://a@db1/d?sslmode=disable", "TLS is not enforced"),
            ("postgres://a@db1/d?sslmode=require", "does not prove"),
            ("postgres://a@localhost/d?hostaddr=10.0.0.1&sslmode=disable", "TLS is not enforced"),
            ("postgres://a@db1/d?sslmode=verify-full", ""),
            ("postgres://a@localhost/d", ""),
            ("postgres://a@%2Frun%2Fpg/d", ""),
        ] {
            let warning = settings(url).expect(url).protection_warning().unwrap_or_default();
            assert_eq!(warning.is_empty(), said.is_empty(), "{url}: {warning}");
            assert!(warning.contains(said), "{url}: {warning}");
        }
    }
}
