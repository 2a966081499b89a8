//! URLs as MySQL's own tools and drivers read them: `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=…`.
//! It must not know defaults, and never echoes a URL: it may hold a password.

use rivet_plugin_api::{ErrorKind, PluginError, Result, Secret};
use rivet_shared_net::{Url, host_and_port};

/// Of what is wrong with how to connect.
const CODE: &str = "mysql.connection";

/// What is said about a connection, piece by piece.
#[derive(Debug, Default)]
pub struct Parts {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
    pub ssl_mode: Option<String>,
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub connect_timeout_ms: Option<u64>,
}

/// What a URL says.
///
/// # Errors
/// `Config`, without any part of the URL; `Unsupported` for several hosts.
pub fn parse_url(url: &str) -> Result<Parts> {
    let url = Url::parse(url, &["mysql", "mariadb"], CODE)?;
    if url.place.contains(',') {
        return Err(PluginError::new(ErrorKind::Unsupported, "mysql.several_hosts", "there are several hosts")
            .hint("name the one to read from"));
    }
    let (host, port) = host_and_port(&url.place, CODE)?;
    let Url { user, password, database, .. } = url;
    let mut parts = Parts { host, port, user, password, database, ..Parts::default() };
    for (key, value) in url.parameters {
        parameter(&mut parts, &key, value)?;
    }
    Ok(parts)
}

fn parameter(parts: &mut Parts, key: &str, value: String) -> Result<()> {
    match key {
        "ssl-mode" | "ssl_mode" | "sslmode" => parts.ssl_mode = Some(value),
        "ssl-ca" | "ssl_ca" => parts.ca_file = Some(value),
        "ssl-cert" | "ssl_cert" => parts.cert_file = Some(value),
        "ssl-key" | "ssl_key" => parts.key_file = Some(value),
        "socket" => parts.host = Some(value),
        "connect_timeout" | "connect-timeout" => {
            let seconds = value.parse::<u64>().ok().filter(|s| *s > 0);
            let hint = "write 1 or more: rivet does not wait without end";
            let seconds = seconds.ok_or_else(|| invalid("connect_timeout is no number of seconds", hint))?;
            parts.connect_timeout_ms = Some(seconds.saturating_mul(1000));
        }
        // The key is the user's own word, but a URL without escapes may have put a piece of a password here.
        _ => {
            let known = "there is ssl-mode, ssl-ca, ssl-cert, ssl-key, socket and connect_timeout";
            return Err(invalid("the url has an unknown parameter", known));
        }
    }
    Ok(())
}

/// What is wrong with how to connect, and what to do.
pub fn invalid(text: &str, hint: &str) -> PluginError {
    PluginError::new(ErrorKind::Config, CODE, text).hint(hint)
}
