//! One request to a web server, within a time that nothing on the way can stretch.
//! It must not know what is sent. What it says of a failure has no word of the address, which is a secret, nor of the answer, but
//! for a code such as `no_service`.

use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rustls::CertificateError;
use rustls::crypto::aws_lc_rs;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body, Error, Proxy};

/// Time that the body of a refusal is waited for: the status has said enough.
const BODY_LIMIT: Duration = Duration::from_millis(500);
/// Bytes of an answer that are looked at.
const MAX_ANSWER_BYTES: u64 = 64;

/// Posts JSON. A redirect is not followed.
///
/// # Errors
/// Why it was not taken: a clause.
pub fn post(url: &str, body: String, limit: Duration) -> Result<(), String> {
    let url: Uri = url.parse().map_err(|_| "its URL cannot be read".to_owned())?;
    let (answer, answered) = mpsc::channel();
    // On a thread of its own, which is left behind: whatever of this waits for the system cannot hold up the run.
    let started = std::thread::Builder::new().spawn(move || answer.send(sent(&url, &body, limit)));
    started.map_err(|e| format!("no thread could be started: {}", e.kind()))?;
    answered.recv_timeout(limit).unwrap_or_else(|_| Err(late(limit)))
}

fn late(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}

fn sent(url: &Uri, body: &str, limit: Duration) -> Result<(), String> {
    let agent = Agent::config_builder()
        .timeout_global(Some(limit))
        .timeout_recv_body(Some(BODY_LIMIT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("rivet/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy(url)?)
        .tls_config(tls())
        .build()
        .new_agent();
    let answer = agent.post(url).content_type("application/json; charset=utf-8").send(body);
    judged(answer.map_err(|e| failed(&e, limit))?)
}

fn judged(answer: Response<Body>) -> Result<(), String> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(format!("it answers {} to go elsewhere, which is not followed", status.as_u16()));
    }
    let mut said = Vec::new();
    // As far as it comes.
    let _ = answer.into_body().into_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut said);
    let is_code = !said.is_empty() && said.iter().all(|b| b.is_ascii_lowercase() || *b == b'_');
    let code = String::from_utf8(said).ok().filter(|_| is_code).map_or_else(String::new, |code| format!(" ({code})"));
    Err(format!("it answers {}{code}", status.as_u16()))
}

/// The proxy that the environment names for an address, unless it names the host as one to reach without. The common name counts
/// where there is none for the scheme.
fn proxy(url: &Uri) -> Result<Option<Proxy>, String> {
    if Proxy::try_from_env().is_some_and(|any| any.is_no_proxy(url)) {
        return Ok(None);
    }
    let names = if url.scheme_str() == Some("http") {
        ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    };
    let named = names.into_iter().find_map(|name| Some((name, std::env::var(name).ok().filter(|v| !v.is_empty())?)));
    named
        .map(|(name, value)| {
            Proxy::new(&value).map_err(|_| format!("the variable {name} does not hold the URL of a proxy"))
        })
        .transpose()
}

/// By the authorities that this machine trusts, or those that `SSL_CERT_FILE` names.
fn tls() -> TlsConfig {
    let trusted = rustls_native_certs::load_native_certs().certs;
    let trusted = trusted.iter().map(|der| Certificate::from_der(der).to_owned());
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(trusted.collect())))
        .build()
}

fn failed(error: &Error, limit: Duration) -> String {
    match error {
        Error::Timeout(_) => late(limit),
        Error::HostNotFound => "its host is not known".to_owned(),
        Error::ConnectProxyFailed(_) => "the proxy does not connect to it".to_owned(),
        Error::Rustls(e) => of_tls(e),
        Error::Io(e) => match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(e) => of_tls(e),
            None => format!("the connection failed: {}", e.kind()),
        },
        Error::Protocol(_) | Error::Http(_) | Error::LargeResponseHeader(..) => "its answer is not HTTP".to_owned(),
        _ => "the request could not be made".to_owned(),
    }
}

fn of_tls(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(why) = error else { return "TLS failed".to_owned() };
    let why = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "is another host's",
        CertificateError::UnknownIssuer => "is signed by nobody whom this machine trusts",
        _ => "is not valid",
    };
    format!("its certificate {why}")
}
