//! URLs as MySQL's own tools and drivers read them: `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=…`.
//! It must not know defaults, and never echoes a URL: it may hold a password.

use percent_encoding::percent_decode_str;
use rivet_plugin_api::{ErrorKind, PluginError, Result, Secret};

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
    let rest = url.strip_prefix("mysql://").or_else(|| url.strip_prefix("mariadb://"));
    let rest = rest.ok_or_else(|| {
        invalid("the url does not start with mysql://", "write `mysql://USER:PASSWORD@HOST:PORT/DATABASE`")
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
        return Err(PluginError::new(ErrorKind::Unsupported, "mysql.several_hosts", "there are several hosts")
            .hint("name the one to read from"));
    }
    let (host, port) = host_and_port(place)?;
    parts.host = Some(decoded(host)?).filter(|h| !h.is_empty());
    parts.port = port.map(parse_port).transpose()?;
    parts.database = Some(decoded(database)?).filter(|d| !d.is_empty());
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| invalid("a parameter of the url has no value", "write key=value"))?;
        parameter(&mut parts, key, decoded(value)?)?;
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

fn host_and_port(place: &str) -> Result<(&str, Option<&str>)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (address, rest) =
            rest.split_once(']').ok_or_else(|| invalid("the url's address has no closing bracket", "write [::1]"))?;
        return Ok((address, rest.strip_prefix(':')));
    }
    Ok(place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port).filter(|p| !p.is_empty()))))
}

fn parse_port(text: &str) -> Result<u16> {
    text.parse().map_err(|_| {
        invalid("the port is no number", "a password with / ? # @ or : must be percent-encoded, as %2F %3F %23 %40 %3A")
    })
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(std::borrow::Cow::into_owned)
        .map_err(|_| invalid("the url is not UTF-8 once decoded", "percent-encode UTF-8"))
}

/// What is wrong with how to connect, and what to do.
pub fn invalid(text: &str, hint: &str) -> PluginError {
    PluginError::new(ErrorKind::Config, "mysql.connection", text).hint(hint)
}
