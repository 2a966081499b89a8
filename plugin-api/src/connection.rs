//! Where a server is and how to reach it: the connection keys that core reads for every source.
//! It must not know any engine's URL grammar or default port.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ErrorKind, FilePath, PluginError, Result, Secret};

/// The connection keys of a `source`, resolved: `url_env`, `url_file` and `password_env` are read already.
/// Either `url` is set or the structured fields are, never both.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connection {
    /// Connection URL in the engine's own grammar. Prefer `url_env`: a config is no place for secrets.
    #[schemars(length(min = 1))]
    pub url: Option<Secret>,
    /// Host name, address, or folder of a socket.
    #[schemars(length(min = 1))]
    pub host: Option<String>,
    /// TCP port; the engine's default when absent.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: Option<u16>,
    /// Login name.
    #[schemars(length(min = 1))]
    pub user: Option<String>,
    /// Password. Prefer `password_env`.
    #[schemars(length(min = 1))]
    pub password: Option<Secret>,
    /// Database name.
    #[schemars(length(min = 1))]
    pub database: Option<String>,
    /// How the connection is protected; needed for servers on other machines.
    pub tls: Option<Tls>,
}

/// How far a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// Encrypted; the server's certificate is not checked.
    Require,
    /// Encrypted; the certificate chain is checked, the host name is not.
    VerifyCa,
    /// Encrypted; chain and host name are checked.
    VerifyFull,
}

/// The `tls` block of a source.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// How far the connection is protected.
    #[serde(default = "verify_full")]
    pub mode: TlsMode,
    /// PEM file of trusted authorities; the system's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub ca_file: Option<FilePath>,
    /// PEM file of the client's certificate chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub cert_file: Option<FilePath>,
    /// PEM file of the client's private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub key_file: Option<FilePath>,
    /// Skip the check of the chain.
    #[serde(default)]
    pub accept_invalid_certs: bool,
    /// Skip the check of the host name.
    #[serde(default)]
    pub accept_invalid_hostnames: bool,
}

fn verify_full() -> TlsMode {
    TlsMode::VerifyFull
}

impl Connection {
    /// The first key that is set. A source that reads no server refuses it by name.
    pub fn first_key(&self) -> Option<&'static str> {
        let keys = [
            ("url", self.url.is_some()),
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
            ("database", self.database.is_some()),
            ("tls", self.tls.is_some()),
        ];
        keys.into_iter().find(|(_, set)| *set).map(|(key, _)| key)
    }

    /// The `tls` block to use for `host`. Loopback addresses and sockets need none.
    ///
    /// # Errors
    /// `Config` when the host is remote and neither the config nor the URL says how to protect the connection.
    pub fn tls_for(&self, host: &str) -> Result<Option<&Tls>> {
        if self.tls.is_some() || is_local(host) {
            return Ok(self.tls.as_ref());
        }
        Err(PluginError::new(
            ErrorKind::Config,
            "connection.tls_missing",
            format!("host '{host}' is remote and the source has no tls block"),
        )
        .hint("add `tls: {mode: verify-full}` to the source, or `tls: {mode: disable}` if plain text is meant"))
    }
}

/// Whether a host is this machine: a socket directory, `localhost` or a loopback address.
pub fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.is_empty()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_set_is_found() {
        assert_eq!(Connection::default().first_key(), None);
        let found = |json: &str| serde_json::from_str::<Connection>(json).expect(json).first_key();
        for key in ["url", "host", "user", "password", "database"] {
            assert_eq!(found(&format!("{{\"{key}\": \"x\"}}")), Some(key));
        }
        assert_eq!((found("{\"port\": 1}"), found("{\"tls\": {}}")), (Some("port"), Some("tls")));
    }

    #[test]
    fn only_remote_hosts_need_a_tls_block() {
        let none = Connection::default();
        for host in ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "::1", "/run/postgresql", ""] {
            assert!(none.tls_for(host).is_ok(), "{host}");
        }
        for host in ["db1", "10.0.0.1", "localhost.example", "::2"] {
            let error = none.tls_for(host).expect_err(host);
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }
}
