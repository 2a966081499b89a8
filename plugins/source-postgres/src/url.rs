//! URLs in libpq's grammar (PostgreSQL documentation, "Connection URIs").
//! It must not know variables or defaults, and never echoes a URL: it may hold a password.

use rivet_plugin_api::Result;
use rivet_shared_net::{Url, host_and_port};

use crate::parts::{CODE, Parts, several_hosts};

/// What a URL says.
///
/// # Errors
/// `Config`, without any part of the URL; `Unsupported` for several hosts.
pub fn parse_url(url: &str) -> Result<Parts> {
    let url = Url::parse(url, &["postgres", "postgresql"], CODE)?;
    if url.place.contains(',') {
        return Err(several_hosts());
    }
    let (host, port) = host_and_port(&url.place, CODE)?;
    let Url { user, password, database, .. } = url;
    let mut parts = Parts { host, port, user, password, database, ..Parts::default() };
    for (key, value) in url.parameters {
        parts.parameter(&key, value)?;
    }
    Ok(parts)
}
