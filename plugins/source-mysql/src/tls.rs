//! TLS by rustls: what the driver is told about how far the server's certificate is checked, and what a refusal means.
//! It must not know the MySQL protocol.

use std::path::Path;

use mysql_async::{ClientIdentity, SslOpts};
use rivet_plugin_api::{ErrorKind, PluginError, Result, Tls, TlsMode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, RootCertStore};

/// How far the server is trusted, and who we are.
///
/// # Errors
/// `Config` when a file cannot be read.
pub fn options(tls: &Tls) -> Result<SslOpts> {
    // Each image has statics of its own; that somebody was first is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut options = SslOpts::default();
    if proves_server(tls) {
        let roots = roots(tls)?.iter().map(|root| root.as_ref().to_vec().into()).collect();
        options = options.with_disable_built_in_roots(true).with_root_certs(roots);
        let by_name = tls.mode == TlsMode::VerifyFull && !tls.accept_invalid_hostnames;
        options = options.with_danger_skip_domain_validation(!by_name);
    } else {
        options = options.with_danger_accept_invalid_certs(true);
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            let identity = ClientIdentity::new(read(cert)?.into(), read(key)?.into());
            Ok(options.with_client_identity(Some(identity)))
        }
        (None, None) => Ok(options),
        _ => {
            let text = "a client certificate needs cert_file and key_file";
            Err(PluginError::new(ErrorKind::Config, "mysql.tls", text).hint("set both or none"))
        }
    }
}

/// Whether the server proves by its certificate who it is: nobody in between can read or change a byte.
pub fn proves_server(tls: &Tls) -> bool {
    matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull) && !tls.accept_invalid_certs
}

fn roots(tls: &Tls) -> Result<Vec<CertificateDer<'static>>> {
    let found = match &tls.ca_file {
        Some(file) => {
            let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            all.map_err(|e| unreadable(file, &e))?
        }
        // What is no authority in anybody's eyes is left out.
        None => {
            let usable = |root: &CertificateDer<'static>| RootCertStore::empty().add(root.clone()).is_ok();
            rustls_native_certs::load_native_certs().certs.into_iter().filter(usable).collect()
        }
    };
    if found.is_empty() {
        return Err(PluginError::new(ErrorKind::Config, "mysql.tls", "no certificate authority is trusted")
            .hint("name one with `tls: {ca_file: …}`"));
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|e| unreadable(file, &e))
}

fn unreadable(file: &Path, e: &dyn std::fmt::Display) -> PluginError {
    let text = format!("failed to read the certificate file '{}'", file.display());
    PluginError::new(ErrorKind::Config, "mysql.tls", text).cause(e).hint("it must be PEM and readable")
}

/// A handshake that failed.
pub fn handshake(cause: &rustls::Error) -> PluginError {
    let kind = match cause {
        // Who the server is does not change by trying again.
        rustls::Error::InvalidCertificate(_) => ErrorKind::Auth,
        _ => ErrorKind::Connection,
    };
    let hint = match cause {
        rustls::Error::InvalidCertificate(c) => match c {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired: renew it"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another host name: connect by that name, or use mode verify-ca"
            }
            CertificateError::UnknownIssuer => {
                "nobody trusted signed the server's certificate: name its authority with `tls: {ca_file: …}`"
            }
            _ => "check the server's certificate",
        },
        rustls::Error::AlertReceived(_) => {
            "the server refused us: it may ask for a client certificate (`cert_file`, `key_file`)"
        }
        _ => "check that the server speaks TLS 1.2 or 1.3",
    };
    PluginError::new(kind, "mysql.tls", "the tls handshake failed").cause(cause).hint(hint)
}
