//! TLS by rustls: how far the server's certificate is checked, and what a refusal means.
//! It must not know the PostgreSQL protocol beyond the hash that channel binding asks for.

use std::sync::Arc;

use rivet_plugin_api::{ErrorKind, PluginError, Result, Tls, TlsMode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// A TLS connection to `host`, not yet begun.
///
/// # Errors
/// `Config` when a file cannot be read.
pub fn connection(tls: &Tls, host: &str) -> Result<ClientConnection> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| invalid("the tls versions do not fit together", &e))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(tls, provider)?);
    let config = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            let chain =
                CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).map_err(|e| unreadable(cert, &e))?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(key, &e))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| invalid("client certificate and key do not fit", &e))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => {
            return Err(PluginError::new(
                ErrorKind::Config,
                "postgres.tls",
                "a client certificate needs cert_file and key_file",
            )
            .hint("set both or none"));
        }
    };
    let name =
        ServerName::try_from(host.to_owned()).map_err(|e| invalid("the host is no name a certificate can have", &e))?;
    ClientConnection::new(Arc::new(config), name).map_err(|e| invalid("tls cannot start", &e))
}

fn verifier(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    if tls.mode == TlsMode::Require || tls.accept_invalid_certs {
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
        return Err(PluginError::new(ErrorKind::Config, "postgres.tls", "no certificate authority is trusted")
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

fn unreadable(file: &str, e: &dyn std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Config, "postgres.tls", format!("failed to read the certificate file '{file}'"))
        .cause(e)
        .hint("it must be PEM and readable")
}

fn invalid(text: &str, e: &dyn std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Config, "postgres.tls", text).cause(e)
}

/// A handshake that failed.
pub fn handshake(e: &rustls::Error) -> PluginError {
    let kind = match e {
        // Who the server is does not change by trying again.
        rustls::Error::InvalidCertificate(_) => ErrorKind::Auth,
        _ => ErrorKind::Connection,
    };
    let error = PluginError::new(kind, "postgres.tls", "the tls handshake failed").cause(e);
    let hint = match e {
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
    error.hint(hint)
}

/// The hash of the server's certificate for `tls-server-end-point` (RFC 5929 §4.1): by the hash of its signature
/// algorithm, SHA-256 in place of MD5 and SHA-1; none where the algorithm names no hash.
pub fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    match signature_algorithm(certificate)? {
        // 1.2.840.113549.1.1.{4,5,11,12,13}: RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, n] => hash(
            certificate,
            match n {
                4 | 5 | 11 => 256,
                12 => 384,
                13 => 512,
                _ => return None,
            },
        ),
        // 1.2.840.10045.4.1 and 4.3.{2,3,4}: ECDSA with SHA-1, SHA-256, SHA-384, SHA-512
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => hash(certificate, 256),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, n] => hash(
            certificate,
            match n {
                2 => 256,
                3 => 384,
                4 => 512,
                _ => return None,
            },
        ),
        _ => None,
    }
}

fn hash(certificate: &[u8], bits: u16) -> Option<Vec<u8>> {
    Some(match bits {
        256 => Sha256::digest(certificate).to_vec(),
        384 => Sha384::digest(certificate).to_vec(),
        _ => Sha512::digest(certificate).to_vec(),
    })
}

/// The object identifier in `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID … } … }`.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (_, body, _) = element(certificate)?;
    let (_, _, after_tbs) = element(body)?;
    let (_, algorithm, _) = element(after_tbs)?;
    let (tag, oid, _) = element(algorithm)?;
    (tag == 6).then_some(oid)
}

/// Tag, contents and rest of a DER element (X.690).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [tag, first, rest @ ..] = der else { return None };
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((*tag, contents, rest))
}
