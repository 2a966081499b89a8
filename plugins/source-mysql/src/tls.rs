//! What the driver is told of TLS.
//! It must not know how far a certificate is checked.

use std::path::Path;

use mysql_async::{ClientIdentity, SslOpts};
use rivet_plugin_api::{PluginError, Result, Tls, TlsMode};
use rivet_shared_net::tls;

const CODE: &str = "mysql.tls";

/// How far the server is trusted, and who we are.
///
/// # Errors
/// `Config` when a file cannot be read.
pub fn options(wanted: &Tls) -> Result<SslOpts> {
    // Each image has statics of its own; that somebody was first is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut options = SslOpts::default();
    if tls::proves_server(wanted) {
        let roots = tls::roots(wanted, CODE)?.iter().map(|root| root.as_ref().to_vec().into()).collect();
        options = options.with_disable_built_in_roots(true).with_root_certs(roots);
        let by_name = wanted.mode == TlsMode::VerifyFull && !wanted.accept_invalid_hostnames;
        options = options.with_danger_skip_domain_validation(!by_name);
    } else {
        options = options.with_danger_accept_invalid_certs(true);
    }
    let Some((cert, key)) = tls::identity(wanted, CODE)? else { return Ok(options) };
    let read = |file: &Path| std::fs::read(file).map_err(|e| tls::unreadable(CODE, file, &e));
    Ok(options.with_client_identity(Some(ClientIdentity::new(read(cert)?.into(), read(key)?.into()))))
}

/// A handshake that failed.
pub fn handshake(cause: &rustls::Error) -> PluginError {
    tls::refused(CODE, cause, "check that the server speaks TLS 1.2 or 1.3")
}
