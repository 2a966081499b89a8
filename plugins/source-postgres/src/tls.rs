//! What is particular to TLS around the PostgreSQL protocol.
//! It must not know how far a certificate is checked.

use std::io;

use rivet_plugin_api::{PluginError, Result, Tls, TlsMode};
use rivet_shared_net::tls;
use rustls::ClientConfig;

use crate::error;

const CODE: &str = "postgres.tls";

/// How far the server is trusted, and who we are.
///
/// # Errors
/// `Config` when a file cannot be read.
pub fn config(wanted: &Tls) -> Result<ClientConfig> {
    tls::config(wanted, CODE, rustls::DEFAULT_VERSIONS)
}

/// Whether its certificate says who the server is: checked by the authorities that the config names, or by any with its
/// host's name. Who is asked for his password in clear must be that sure.
pub fn knows_server(wanted: &Tls) -> bool {
    let by_name = wanted.mode == TlsMode::VerifyFull && !wanted.accept_invalid_hostnames;
    tls::proves_server(wanted) && (wanted.ca_file.is_some() || by_name)
}

/// A handshake that failed.
pub fn handshake(e: &io::Error) -> PluginError {
    let versions = "check that the server speaks TLS 1.2 or 1.3";
    tls::handshake(CODE, e, versions).unwrap_or_else(|| error::socket("agree on tls with the server", e))
}
