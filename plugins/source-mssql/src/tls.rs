//! TLS by rustls: how far the server's certificate is checked, and what a refusal means.
//! It must not know the TDS protocol.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rivet_plugin_api::{ErrorKind, PluginError, Result, Tls, TlsMode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error;

/// What is spoken first in the strict form, so that no server of another protocol answers.
const STRICT_PROTOCOL: &[u8] = b"tds/8.0";

/// How far the server is trusted, and who we are. Within the packets of a login only TLS 1.2 can be agreed on: what TLS 1.3
/// sends after the handshake has no place there.
///
/// # Errors
/// `Config` when a file cannot be read.
pub fn config(tls: &Tls, strict: bool) -> Result<ClientConfig> {
    let only_12 = [&rustls::version::TLS12];
    let mut config = agreed(tls, if strict { rustls::ALL_VERSIONS } else { &only_12 })?;
    if strict {
        config.alpn_protocols.push(STRICT_PROTOCOL.to_vec());
    }
    Ok(config)
}

fn agreed(tls: &Tls, versions: &[&'static rustls::SupportedProtocolVersion]) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|e| invalid("the tls versions do not fit together", &e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(tls, provider)?);
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            let chain =
                CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|e| unreadable(cert, &e))?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(key, &e))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| invalid("client certificate and key do not fit", &e))
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        _ => {
            let text = "a client certificate needs cert_file and key_file";
            Err(PluginError::new(ErrorKind::Config, "mssql.tls", text).hint("set both or none"))
        }
    }
}

/// Whether the server proves by its certificate who it is: nobody in between can read or change a byte.
pub fn proves_server(tls: &Tls) -> bool {
    matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull) && !tls.accept_invalid_certs
}

fn verifier(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    if !proves_server(tls) {
        return Ok(Arc::new(Lenient { inner: None, provider }));
    }
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unreadable(file, &e))? {
                roots.add(certificate.map_err(|e| unreadable(file, &e))?).map_err(|e| unreadable(file, &e))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(PluginError::new(ErrorKind::Config, "mssql.tls", "no certificate authority is trusted")
            .hint("name one with `tls: {ca_file: …}`"));
    }
    let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|e| invalid("the trusted authorities cannot be used", &e))?;
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

fn unreadable(file: &Path, e: &dyn std::fmt::Display) -> PluginError {
    let text = format!("failed to read the certificate file '{}'", file.display());
    PluginError::new(ErrorKind::Config, "mssql.tls", text).cause(e).hint("it must be PEM and readable")
}

fn invalid(text: &str, e: &dyn std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Config, "mssql.tls", text).cause(e)
}

/// A handshake that failed.
pub fn handshake(e: &io::Error) -> PluginError {
    let Some(cause) = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match e.kind() {
            io::ErrorKind::InvalidInput => invalid("the host is no name a certificate can have", e),
            _ => error::socket("agree on tls with the server", e),
        };
    };
    let kind = match cause {
        // Who the server is does not change by trying again.
        rustls::Error::InvalidCertificate(_) => ErrorKind::Auth,
        _ => ErrorKind::Connection,
    };
    let error = PluginError::new(kind, "mssql.tls", "the tls handshake failed").cause(cause);
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
        _ => "check that the server speaks TLS 1.2; where it is to be strict (TDS 8.0), write `encrypt: strict`",
    };
    error.hint(hint)
}
