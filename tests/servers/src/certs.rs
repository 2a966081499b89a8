//! The certificates of one test server: good ones, and one of each bad kind.
//! Must not know which server presents them.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Which certificate a server presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerCert {
    /// For `localhost` and 127.0.0.1, by the CA of `ca_file`.
    Good,
    /// As `Good`, but it ended in 2021.
    Expired,
    /// As `Good`, but for `wrong.invalid` only.
    WrongHost,
    /// As `Good`, but by the CA of `other_ca_file`.
    OtherCa,
    /// As `Good`, but signed by nobody else.
    SelfSigned,
}

impl ServerCert {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "server",
            Self::Expired => "server-expired",
            Self::WrongHost => "server-wrong-host",
            Self::OtherCa => "server-other-ca",
            Self::SelfSigned => "server-self-signed",
        }
    }
}

/// Certificates (`.pem`) and keys (`.key`, readable by the owner only) in one folder.
#[derive(Debug)]
pub(crate) struct Certs {
    dir: PathBuf,
}

impl Certs {
    /// Writes all certificates into `dir`; the client certificate is for the role `client_name`.
    pub(crate) fn write(dir: &Path, client_name: &str) -> Result<Self> {
        std::fs::create_dir(dir).with_context(|| format!("create {}", dir.display()))?;
        let certs = Self { dir: dir.to_owned() };
        let ca = certs.ca("ca", "rivet test CA")?;
        let other = certs.ca("other-ca", "unrelated test CA")?;
        let local = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        certs.leaf(ServerCert::Good.name(), server(&local)?, &ca)?;
        certs.leaf(ServerCert::OtherCa.name(), server(&local)?, &other)?;
        let key = KeyPair::generate().context("make a key")?;
        let own = server(&local)?.self_signed(&key).context("sign the certificate of nobody else")?;
        write_private(&certs.pem(ServerCert::SelfSigned.name()), &own.pem())?;
        write_private(&certs.key(ServerCert::SelfSigned.name()), &key.serialize_pem())?;
        let elsewhere = ["wrong.invalid".to_owned()];
        certs.leaf(ServerCert::WrongHost.name(), server(&elsewhere)?, &ca)?;
        let mut expired = server(&local)?;
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2021, 1, 1);
        certs.leaf(ServerCert::Expired.name(), expired, &ca)?;
        let mut client = leaf_params(&[], client_name)?;
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        certs.leaf("client", client, &ca)?;
        Ok(certs)
    }

    fn ca(&self, file: &str, name: &str) -> Result<Issuer<'static, KeyPair>> {
        let mut params = CertificateParams::new(Vec::new()).context("describe a CA")?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().context("make a CA key")?;
        let cert = params.self_signed(&key).context("sign a CA")?;
        write_private(&self.pem(file), &cert.pem())?;
        Ok(Issuer::new(params, key))
    }

    fn leaf(&self, file: &str, params: CertificateParams, issuer: &Issuer<'static, KeyPair>) -> Result<()> {
        let key = KeyPair::generate().context("make a key")?;
        let cert = params.signed_by(&key, issuer).with_context(|| format!("sign the certificate {file}"))?;
        write_private(&self.pem(file), &cert.pem())?;
        write_private(&self.key(file), &key.serialize_pem())
    }

    /// The path of certificate `file`.
    pub(crate) fn pem(&self, file: &str) -> PathBuf {
        self.dir.join(format!("{file}.pem"))
    }

    /// The path of the key of certificate `file`.
    pub(crate) fn key(&self, file: &str) -> PathBuf {
        self.dir.join(format!("{file}.key"))
    }

    /// Certificate and key of a server.
    pub(crate) fn server(&self, cert: ServerCert) -> (PathBuf, PathBuf) {
        (self.pem(cert.name()), self.key(cert.name()))
    }
}

/// What a TLS server with a certificate for these names presents, by an authority of its own: `ca.pem` in the folder, which is
/// made.
pub(crate) fn server_config(dir: &Path, names: &[&str]) -> Result<ServerConfig> {
    std::fs::create_dir(dir).with_context(|| format!("create {}", dir.display()))?;
    let certs = Certs { dir: dir.to_owned() };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let name = ServerCert::Good.name();
    certs.leaf(name, server(&names)?, &certs.ca("ca", "rivet test CA")?)?;
    presenting(&certs, ServerCert::Good)
}

/// What a TLS server that presents this certificate is configured with.
pub(crate) fn presenting(certs: &Certs, cert: ServerCert) -> Result<ServerConfig> {
    let (pem, key) = certs.server(cert);
    let chain = CertificateDer::pem_file_iter(&pem).and_then(Iterator::collect).context("read the certificate")?;
    let key = PrivateKeyDer::from_pem_file(&key).context("read the key")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    config.with_no_client_auth().with_single_cert(chain, key).context("use the certificate")
}

fn server(names: &[String]) -> Result<CertificateParams> {
    let mut params = leaf_params(names, "rivet test server")?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn leaf_params(names: &[String], common_name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names).context("describe a certificate")?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}

/// A fresh private key for RSA, in PEM.
///
/// # Errors
/// When it cannot be made.
pub fn rsa_key() -> Result<String> {
    Ok(KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).context("make an RSA key")?.serialize_pem())
}
