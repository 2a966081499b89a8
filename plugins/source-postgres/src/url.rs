//! URLs in libpq's grammar (PostgreSQL documentation, "Connection URIs").
//! It must not know variables or defaults, and never echoes a URL: it may hold a password.

use percent_encoding::percent_decode_str;
use rivet_plugin_api::{Result, Secret};

use crate::parts::{Parts, invalid, port, several_hosts};

/// What a URL says.
///
/// # Errors
/// `Config`, without any part of the URL; `Unsupported` for several hosts.
pub fn parse_url(url: &str) -> Result<Parts> {
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
        return Err(several_hosts());
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

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(std::borrow::Cow::into_owned)
        .map_err(|_| invalid("the url is not UTF-8 once decoded", "percent-encode UTF-8"))
}
