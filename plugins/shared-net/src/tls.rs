//! TLS by rustls: how far the server's certificate is checked, and what a refusal means.
//! It must not know any protocol: an engine tells the code of its errors.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rivet_plugin_api::{ErrorKind, PluginError, Result, Tls, TlsMode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};

/// How far the server is trusted, and who we are.
///
/// # Errors
/// `Config` when a file cannot be read.
pub fn config(tls: &Tls, code: &'static str, versions: &[&'static SupportedProtocolVersion]) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|e| invalid(code, "the tls versions do not fit together", &e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(tls, code, provider)?);
    let Some((cert, key)) = identity(tls, code)? else { return Ok(builder.with_no_client_auth()) };
    let chain =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|e| unreadable(code, cert, &e))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(code, key, &e))?;
    let with_identity = builder.with_client_auth_cert(chain, key);
    with_identity.map_err(|e| invalid(code, "client certificate and key do not fit", &e))
}

/// The files of our own certificate and its key.
///
/// # Errors
/// `Config` for one without the other.
pub fn identity<'t>(tls: &'t Tls, code: &'static str) -> Result<Option<(&'t Path, &'t Path)>> {
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        _ => {
            let text = "a client certificate needs cert_file and key_file";
            Err(PluginError::new(ErrorKind::Config, code, text).hint("set both or none"))
        }
    }
}

/// Whether the server proves by its certificate who it is: nobody in between can read or change a byte.
pub fn proves_server(tls: &Tls) -> bool {
    matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull) && !tls.accept_invalid_certs
}

/// What is not as safe as it could be about how the connection with this host, which is another machine, is protected,
/// with what to do.
pub fn protection_warning(host: &str, tls: Option<&Tls>) -> Option<String> {
    let fix = "write `tls: {mode: verify-full}`, with `ca_file` where the server's authority is your own";
    match tls {
        None => Some(format!(
            "TLS is not enforced: what goes to {host} and comes from there can be read and changed on the way; {fix}"
        )),
        Some(tls) if !proves_server(tls) => Some(format!(
            "TLS does not prove who {host} is: its certificate is not checked, so that somebody in between can read \
             and change all; {fix}"
        )),
        Some(_) => None,
    }
}

/// The authorities that are trusted: those of the config's file, or the system's that are any in rustls's eyes.
///
/// # Errors
/// `Config` when the file cannot be read, or there is none.
pub fn roots(tls: &Tls, code: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let found = match &tls.ca_file {
        Some(file) => {
            let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let all = all.map_err(|e| unreadable(code, file, &e))?;
            let mut store = RootCertStore::empty();
            all.iter().try_for_each(|root| store.add(root.clone())).map_err(|e| unreadable(code, file, &e))?;
            all
        }
        None => {
            let usable = |root: &CertificateDer<'static>| RootCertStore::empty().add(root.clone()).is_ok();
            rustls_native_certs::load_native_certs().certs.into_iter().filter(usable).collect()
        }
    };
    if found.is_empty() {
        return Err(PluginError::new(ErrorKind::Config, code, "no certificate authority is trusted")
            .hint("name one with `tls: {ca_file: …}`"));
    }
    Ok(found)
}

fn verifier(tls: &Tls, code: &'static str, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    if !proves_server(tls) {
        return Ok(Arc::new(Lenient { inner: None, provider }));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(self::roots(tls, code)?);
    let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|e| invalid(code, "the trusted authorities cannot be used", &e))?;
    if tls.mode == TlsMode::VerifyCa || tls.accept_invalid_hostnames {
        return Ok(Arc::new(Lenient { inner: Some(strict), provider }));
    }
    Ok(strict)
}

/// Checks the chain but not the name, or nothing at all but that the server holds the certificate's key.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A file of the `tls` block that cannot be read.
pub fn unreadable(code: &'static str, file: &Path, e: &dyn std::fmt::Display) -> PluginError {
    let text = format!("failed to read the certificate file '{}'", file.display());
    PluginError::new(ErrorKind::Config, code, text).cause(e).hint("it must be PEM and readable")
}

fn invalid(code: &'static str, text: &str, e: &dyn std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Config, code, text).cause(e)
}

/// A handshake that failed; none where it was not TLS that failed, but the socket. `versions` is what the server has to speak.
pub fn handshake(code: &'static str, e: &io::Error, versions: &str) -> Option<PluginError> {
    match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(cause) => Some(refused(code, cause, versions)),
        None if e.kind() == io::ErrorKind::InvalidInput => {
            Some(invalid(code, "the host is no name a certificate can have", e))
        }
        None => None,
    }
}

/// What a refusal means. `versions` is what the server has to speak.
pub fn refused(code: &'static str, cause: &rustls::Error, versions: &str) -> PluginError {
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
        _ => versions,
    };
    PluginError::new(kind, code, "the tls handshake failed").cause(cause).hint(hint)
}
