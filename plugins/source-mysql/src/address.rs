//! Where the server is and who logs in: from the config's keys or a URL.
//! It must not connect, and never echoes a URL: it may hold a password.

use rivet_plugin_api::{Connection, FilePath, PluginError, Result, Secret, Tls, TlsMode, is_local};
use rivet_shared_net::stage;
use rivet_shared_net::tls::protection_warning;

use crate::url::{Parts, invalid, parse_url};

/// Time for connecting and logging in where the URL names none, ms.
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 10_000;

/// A server, a login and how the connection is protected.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A name, an address, or the path of a socket.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    pub database: Option<String>,
    /// Plain text when absent.
    pub tls: Option<Tls>,
    /// What the server's list of connections shows.
    pub program: String,
    pub connect_timeout_ms: u64,
    /// Longest silence while something is awaited, ms; 0 = any.
    pub no_progress_timeout_ms: u64,
    /// Largest row to accept, bytes; 0 = any.
    pub max_value_bytes: u64,
}

impl Settings {
    /// Reads the connection keys.
    ///
    /// # Errors
    /// `Config`, without a value of any key.
    pub fn from_connection(keys: &Connection, label: &str) -> Result<Self> {
        let parts = match &keys.url {
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
        let host = parts.host.clone().unwrap_or_else(|| "localhost".to_owned());
        let tls = protection(&parts, keys, &host)?;
        let user = parts.user.filter(|u| !u.is_empty()).ok_or_else(|| {
            invalid("the source names no user", "write `mysql://USER@HOST/DATABASE`, or the key `user`")
        })?;
        Ok(Self {
            host,
            port: parts.port.unwrap_or(3306),
            database: parts.database.filter(|d| !d.is_empty()),
            user,
            password: parts.password,
            tls,
            program: label.to_owned(),
            connect_timeout_ms: parts.connect_timeout_ms.unwrap_or(DEFAULT_CONNECT_TIMEOUT_MS),
            no_progress_timeout_ms: 0,
            max_value_bytes: 0,
        })
    }

    /// Whether the server is reached through a socket of this machine.
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// What is not as safe as it could be about how the connection is protected, with what to do.
    pub fn protection_warning(&self) -> Option<String> {
        if is_local(&self.host) { None } else { protection_warning(&self.host, self.tls.as_ref()) }
    }

    /// The steps of a connection, in their order.
    pub fn steps(&self) -> Vec<&'static str> {
        match (self.is_socket(), &self.tls) {
            (true, _) => vec![stage::SOCKET, stage::LOGIN],
            (false, None) => vec![stage::TCP, stage::LOGIN],
            (false, Some(_)) => vec![stage::TCP, stage::TLS, stage::LOGIN],
        }
    }

    /// An error at one of these steps.
    pub fn failed_at(&self, stage: &str, e: PluginError) -> PluginError {
        e.detail("stage", stage).detail("steps", self.steps().join(" "))
    }

    /// `host:port/database`, for people.
    pub fn server_label(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database.as_deref().unwrap_or_default())
    }
}

/// The `tls` block, or what the URL's `ssl-mode` says in its place.
fn protection(parts: &Parts, keys: &Connection, host: &str) -> Result<Option<Tls>> {
    let named = parts.ssl_mode.is_some() || parts.ca_file.is_some() || parts.cert_file.is_some();
    if !named {
        return Ok(keys.tls_for(host)?.filter(|tls| tls.mode != TlsMode::Disable).cloned());
    }
    if keys.tls.is_some() {
        return Err(invalid("both the url and the tls block say how to protect the connection", "keep one of the two"));
    }
    let word = parts.ssl_mode.as_deref().map(|mode| mode.to_ascii_uppercase().replace('-', "_"));
    let mode = match word.as_deref() {
        Some("DISABLED" | "DISABLE") => return Ok(None),
        Some("PREFERRED") if is_local(host) => return Ok(None),
        Some("PREFERRED") => {
            return Err(invalid(
                "ssl-mode PREFERRED falls back to plain text",
                "write ssl-mode=VERIFY_IDENTITY, or ssl-mode=DISABLED if plain text is meant",
            ));
        }
        Some("REQUIRED" | "REQUIRE") => TlsMode::Require,
        Some("VERIFY_CA") => TlsMode::VerifyCa,
        Some("VERIFY_IDENTITY" | "VERIFY_FULL") | None => TlsMode::VerifyFull,
        Some(_) => {
            let hint = "there is DISABLED, REQUIRED, VERIFY_CA and VERIFY_IDENTITY";
            return Err(invalid("ssl-mode is unknown", hint));
        }
    };
    Ok(Some(Tls {
        mode,
        ca_file: parts.ca_file.clone().map(FilePath::new),
        cert_file: parts.cert_file.clone().map(FilePath::new),
        key_file: parts.key_file.clone().map(FilePath::new),
        accept_invalid_certs: false,
        accept_invalid_hostnames: false,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<Settings> {
        Settings::from_connection(&Connection { url: Some(Secret::new(url)), ..Default::default() }, "rivet")
    }

    #[test]
    fn urls_are_read_as_mysqls_tools_read_them() {
        for (url, label, user, password) in [
            ("mysql://a:b@localhost/d", "localhost:3306/d", "a", Some("b")),
            ("mariadb://a@127.0.0.1:99", "127.0.0.1:99/", "a", None),
            ("mysql://a:p%40%2F%3a@[::1]:7/d%20e", "::1:7/d e", "a", Some("p@/:")),
            ("mysql://u@localhost/d?socket=/run/m.sock", "/run/m.sock:3306/d", "u", None),
            ("mysql://u:x@y@localhost/d", "localhost:3306/d", "u", Some("x@y")),
        ] {
            let s = settings(url).expect(url);
            assert_eq!((s.server_label().as_str(), s.user.as_str()), (label, user), "{url}");
            assert_eq!(s.password.as_ref().map(Secret::expose), password, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for url in [
            "postgres://a:canary@h/d",
            "mysql://a:canary@h:x/d?ssl-mode=REQUIRED",
            "mysql://a:can/ary@localhost/d",
            "mysql://a:canary@db1/d",
            "mysql://a:canary@db1/d?ssl-mode=PREFERRED",
            "mysql://a:canary@localhost/d?x=canary",
            "mysql://:canary@localhost/d",
            "mysql://a:canary@h1,h2/d",
            "mysql://a:canary%ff@localhost/d",
            "mysql://a:canary@localhost/d?ssl-mode=canary",
            "mysql://a:canary@localhost/d?connect_timeout=canary",
        ] {
            let e = settings(url).expect_err(url);
            assert!(!format!("{e:?}{e}").contains("canary"), "{e:?}");
            assert!(e.hint_text().is_some(), "{url}");
        }
        let shown = format!("{:?}", settings("mysql://a:canary@localhost/d").expect("a url"));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn the_urls_ssl_mode_is_the_users_choice() {
        let mode = |url: &str| settings(url).map(|s| s.tls.map(|t| t.mode)).map_err(|e| e.code().to_owned());
        assert_eq!(mode("mysql://a@db1/d?ssl-mode=REQUIRED"), Ok(Some(TlsMode::Require)));
        assert_eq!(mode("mysql://a@db1/d?ssl-mode=verify-ca"), Ok(Some(TlsMode::VerifyCa)));
        assert_eq!(mode("mysql://a@db1/d?ssl-mode=DISABLED"), Ok(None));
        assert_eq!(mode("mysql://a@db1/d?ssl-ca=x"), Ok(Some(TlsMode::VerifyFull)));
        assert_eq!(mode("mysql://a@localhost/d"), Ok(None));
        assert_eq!(mode("mysql://a@db1/d"), Err("connection.tls_missing".to_owned()));
    }
}
