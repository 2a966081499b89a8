//! What is particular to TLS around TDS.
//! It must not know how far a certificate is checked.

use std::io;

use rivet_plugin_api::{PluginError, Result, Tls};
use rivet_shared_net::tls;
use rustls::ClientConfig;

use crate::error;

/// What is spoken first in the strict form, so that no server of another protocol answers.
const STRICT_PROTOCOL: &[u8] = b"tds/8.0";
const CODE: &str = "mssql.tls";
const VERSIONS: &str =
    "check that the server speaks TLS 1.2; where it is to be strict (TDS 8.0), write `encrypt: strict`";

/// How far the server is trusted, and who we are. Within the packets of a login only TLS 1.2 can be agreed on: what TLS 1.3
/// sends after the handshake has no place there.
///
/// # Errors
/// `Config` when a file cannot be read.
pub fn config(wanted: &Tls, strict: bool) -> Result<ClientConfig> {
    let only_12 = [&rustls::version::TLS12];
    let mut config = tls::config(wanted, CODE, if strict { rustls::ALL_VERSIONS } else { &only_12 })?;
    if strict {
        config.alpn_protocols.push(STRICT_PROTOCOL.to_vec());
    }
    Ok(config)
}

/// A handshake that failed.
pub fn handshake(e: &io::Error) -> PluginError {
    tls::handshake(CODE, e, VERSIONS).unwrap_or_else(|| error::socket("agree on tls with the server", e))
}
