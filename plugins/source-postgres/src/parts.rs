//! What is said about a connection, parameter by parameter as libpq names them, and what is refused of it.
//! It must not know where a parameter stands, nor defaults.

use rivet_plugin_api::{Connection, ErrorKind, FilePath, PluginError, Result, Secret, Tls, TlsMode, is_local};
use tokio_postgres::config::ChannelBinding;

use crate::address::SessionAttributes;

/// Of what is wrong with how to connect.
pub const CODE: &str = "postgres.connection";

/// What is said about a connection, piece by piece.
#[derive(Debug, Default)]
pub struct Parts {
    pub host: Option<String>,
    pub host_address: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub passfile: Option<String>,
    pub service: Option<String>,
    pub database: Option<String>,
    pub sslmode: Option<String>,
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub application_name: Option<String>,
    pub server_options: Option<String>,
    pub channel_binding: Option<ChannelBinding>,
    pub connect_timeout_ms: Option<u64>,
    pub session_attributes: Option<SessionAttributes>,
    pub warnings: Vec<String>,
}

impl Parts {
    /// The `tls` block, or what the URL's `sslmode` says in its place.
    ///
    /// # Errors
    /// `Config` when a remote host has none, or what is said contradicts itself.
    pub fn protection(&self, keys: &Connection, host: &str) -> Result<Option<Tls>> {
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
        // As libpq: the system's authorities vouch for names only.
        let is_system = self.ca_file.as_deref() == Some("system");
        if is_system && !matches!(self.sslmode.as_deref(), None | Some("verify-full" | "disable")) {
            return Err(invalid("sslrootcert=system needs sslmode=verify-full", "write sslmode=verify-full"));
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
                return Err(invalid("sslmode is unknown", hint));
            }
        };
        Ok(Some(Tls {
            mode,
            ca_file: self.ca_file.clone().filter(|_| !is_system).map(FilePath::new),
            cert_file: self.cert_file.clone().map(FilePath::new),
            key_file: self.key_file.clone().map(FilePath::new),
            accept_invalid_certs: false,
            accept_invalid_hostnames: false,
        }))
    }

    /// Whether a parameter has a value.
    pub fn says(&self, key: &str) -> bool {
        match key {
            "host" => self.host.is_some(),
            "hostaddr" => self.host_address.is_some(),
            "port" => self.port.is_some(),
            "user" => self.user.is_some(),
            "password" => self.password.is_some(),
            "passfile" => self.passfile.is_some(),
            "dbname" => self.database.is_some(),
            "sslmode" => self.sslmode.is_some(),
            "sslrootcert" => self.ca_file.is_some(),
            "sslcert" => self.cert_file.is_some(),
            "sslkey" => self.key_file.is_some(),
            "application_name" => self.application_name.is_some(),
            "options" => self.server_options.is_some(),
            "channel_binding" => self.channel_binding.is_some(),
            "connect_timeout" => self.connect_timeout_ms.is_some(),
            "target_session_attrs" => self.session_attributes.is_some(),
            _ => false,
        }
    }

    /// Sets a parameter of libpq.
    ///
    /// # Errors
    /// `Config`, without the value.
    pub fn parameter(&mut self, key: &str, value: String) -> Result<()> {
        match key {
            "host" | "hostaddr" if value.contains(',') => return Err(several_hosts()),
            "host" => self.host = Some(value),
            "hostaddr" => self.host_address = Some(value),
            "passfile" => self.passfile = Some(value),
            "service" => self.service = Some(value),
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
                let hint = "write 1 or more: rivet does not wait without end";
                let seconds = seconds.ok_or_else(|| invalid("connect_timeout is no number of seconds", hint))?;
                self.connect_timeout_ms = Some(seconds.saturating_mul(1000));
            }
            "target_session_attrs" => {
                self.session_attributes = Some(match value.as_str() {
                    "any" | "prefer-standby" => SessionAttributes::Any,
                    "read-write" => SessionAttributes::ReadWrite,
                    "read-only" => SessionAttributes::ReadOnly,
                    "primary" => SessionAttributes::Primary,
                    "standby" => SessionAttributes::Standby,
                    _ => {
                        let hint = "there is any, read-write, read-only, primary, standby and prefer-standby";
                        return Err(invalid("target_session_attrs is unknown", hint));
                    }
                });
            }
            // The key is the user's own word, but a URL without escapes may have put a piece of a password here.
            _ => {
                let known = "host, hostaddr, port, user, passfile, service, dbname, sslmode, sslrootcert, sslcert, sslkey, \
                             application_name, options, channel_binding, connect_timeout, target_session_attrs";
                return Err(invalid("there is an unknown parameter", &format!("there is {known}")));
            }
        }
        Ok(())
    }
}

/// A port.
///
/// # Errors
/// `Config`.
pub fn port(text: &str) -> Result<u16> {
    rivet_shared_net::parse_port(text, CODE)
}

/// One server is read from.
pub fn several_hosts() -> PluginError {
    PluginError::new(ErrorKind::Unsupported, "postgres.several_hosts", "there are several hosts")
        .hint("name the one to read from")
}

/// What is wrong with how to connect, and what to do.
pub fn invalid(text: &str, hint: &str) -> PluginError {
    PluginError::new(ErrorKind::Config, CODE, text).hint(hint)
}
