//! HTTP to a store: one client with its trusted authorities, and for each call a conversation that waits out what is
//! temporary, fetches credentials that have expired once more, and remembers the last refusal. It must not know what is asked.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream;
use http::header::RANGE;
use http::{Method, Request, Response, StatusCode};
use opendal::raw::oio::ReadStream;
use opendal::{Buffer, HttpBody, HttpTransport};
use opendal_http_transport_reqwest::ReqwestTransport;
use rivet_plugin_api::{ErrorKind, PluginError, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::answer::Answer;
use crate::checksum::seal;
use crate::document::whole;
use crate::sign::Sign;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a store may be silent.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// As [`SILENCE_TIMEOUT`] while it is sent something or copies: it says nothing until it has all of it.
const WORK_TIMEOUT: Duration = Duration::from_secs(600);
/// As much of a refusal as is read, bytes.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// What is waited before each further attempt of a request that failed for a moment, unless the store asks for more.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(600),
    Duration::from_millis(1_800),
    Duration::from_millis(5_400),
];
/// Longest wait that is spent within a call; who asks for more is asked again by the host, later.
const MAX_PAUSE: Duration = Duration::from_secs(20);

/// The HTTP client of an open store.
#[derive(Clone)]
pub struct Client {
    plain: ReqwestTransport,
    /// For requests that take the store as long as they are large.
    patient: ReqwestTransport,
}

impl Client {
    /// A client that trusts the authorities of `ca_file`, or those of the system, and goes through the proxy that the
    /// environment names.
    ///
    /// # Errors
    /// `Config` when the file cannot be read.
    pub fn new(ca_file: Option<&Path>) -> Result<Self> {
        let failed = |e: &dyn std::fmt::Display| {
            PluginError::new(ErrorKind::Config, "store.tls", "the tls settings cannot be used").cause(e)
        };
        let mut roots = RootCertStore::empty();
        match ca_file {
            Some(file) => {
                let unreadable = |e: &dyn std::fmt::Display| {
                    let text = format!("failed to read the certificate file '{}'", file.display());
                    PluginError::new(ErrorKind::Config, "store.tls", text)
                        .cause(e)
                        .hint("`ca_file` must be PEM and readable")
                };
                for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unreadable(&e))? {
                    roots.add(certificate.map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = |silence: Duration| {
            let client = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(silence)
                .redirect(reqwest::redirect::Policy::none())
                .build();
            client.map(ReqwestTransport::new).map_err(|e| failed(&e))
        };
        Ok(Self { plain: client(SILENCE_TIMEOUT)?, patient: client(WORK_TIMEOUT)? })
    }

    fn for_(&self, request: &Request<Buffer>) -> &ReqwestTransport {
        if is_work(request) { &self.patient } else { &self.plain }
    }
}

/// The requests of one call.
#[derive(Clone)]
pub struct Conversation {
    client: Client,
    signing: Option<Arc<dyn Sign>>,
    /// Whether what is put has a checksum with it.
    is_sealed: bool,
    refusal: Arc<Mutex<Option<Answer>>>,
    copy_pending: Arc<AtomicBool>,
}

impl Conversation {
    /// A new one, signed by somebody or not at all.
    pub(crate) fn new(client: &Client, signing: Option<Arc<dyn Sign>>) -> Self {
        Self {
            client: client.clone(),
            signing,
            is_sealed: false,
            refusal: Arc::default(),
            copy_pending: Arc::default(),
        }
    }

    /// The same, and what is put has a checksum with it or not.
    pub(crate) fn sealed(self, is_sealed: bool) -> Self {
        Self { is_sealed, ..self }
    }

    /// The last refusal, whatever it was about.
    pub fn refusal(&self) -> Option<Answer> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last answer said that a copy within the store goes on after it.
    pub fn is_copy_pending(&self) -> bool {
        self.copy_pending.load(Ordering::Relaxed)
    }

    /// Sends a request, signed; with the answer comes which credentials it was signed with.
    async fn send(&self, request: Request<Buffer>) -> opendal::Result<(opendal::Result<Response<HttpBody>>, u64)> {
        let client = self.client.for_(&request);
        // What is asked for with a range is data, and goes through.
        let is_data = request.method() == Method::HEAD || request.headers().contains_key(RANGE);
        let is_change = request.method() != Method::GET;
        let fetch = async |request| {
            let response = client.fetch(request).await?;
            if is_data || !response.status().is_success() { Ok(response) } else { whole(response, is_change).await }
        };
        let (mut parts, body) = request.into_parts();
        if self.is_sealed {
            seal(&mut parts, &body);
        }
        let Some(signing) = &self.signing else { return Ok((fetch(Request::from_parts(parts, body)).await, 0)) };
        let signed = signing.sign(&mut parts).await;
        if let Err(error) = &signed {
            // Where credentials have ended for good, that is the reason why there are none.
            let ended = self.refusal().is_some_and(|answer| answer.is_expired());
            if error.is_temporary() || !ended {
                self.remember(Answer::unsigned());
            }
        }
        let which = signed?;
        Ok((fetch(Request::from_parts(parts, body)).await, which))
    }

    /// What was asked again with success is no reason for what fails later, unless another request was refused meanwhile.
    fn forget(&self, own: Option<Answer>) {
        let mut last = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_some() && *last == own {
            *last = None;
        }
    }

    fn remember(&self, answer: Answer) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

impl HttpTransport for Conversation {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let mut pauses = PAUSES.into_iter();
        let mut renewable = self.signing.as_ref();
        let mut own = None;
        loop {
            let (fetched, which) = self.send(request.clone()).await?;
            let (fetched, wait) = match fetched {
                Ok(response) if is_refusal(response.status()) => {
                    let (response, answer) = refused(response).await?;
                    if let Some(signing) = renewable.take_if(|_| answer.is_expired()) {
                        self.remember(answer);
                        signing.renew(which);
                        continue;
                    }
                    let wait = answer.is_temporary().then_some(answer.wait);
                    self.remember(answer);
                    (Ok(response), wait)
                }
                Ok(response) => {
                    self.forget(own.take());
                    let pending = response.headers().get("x-ms-copy-status").is_some_and(|status| status == "pending");
                    self.copy_pending.store(pending, Ordering::Relaxed);
                    (Ok(response), None)
                }
                Err(e) => {
                    let answer = Answer::none(&e);
                    let wait = (e.is_temporary() && answer.tls.is_none()).then_some(None);
                    self.remember(answer);
                    (Err(e), wait)
                }
            };
            own = self.refusal();
            let pause = wait.and_then(|asked| Some(pauses.next()?.max(asked.unwrap_or_default())));
            match pause.filter(|pause| *pause <= MAX_PAUSE) {
                Some(pause) => tokio::time::sleep(jittered(pause)).await,
                None => return fetched,
            }
        }
    }
}

/// What is no success and no part of a conversation either: 304 answers a condition, 308 goes on with an upload.
fn is_refusal(status: StatusCode) -> bool {
    !status.is_success() && !matches!(status.as_u16(), 100..200 | 304 | 308)
}

/// Whether the store is sent bytes or copies some itself.
fn is_work(request: &Request<Buffer>) -> bool {
    let copies = ["x-amz-copy-source", "x-ms-copy-source"];
    !request.body().is_empty()
        || copies.iter().any(|name| request.headers().contains_key(*name))
        || request.uri().path().contains("/rewriteTo/")
}

/// A refusal with its body, which is short: what is longer is cut.
async fn refused(response: Response<HttpBody>) -> opendal::Result<(Response<HttpBody>, Answer)> {
    let (parts, mut body) = response.into_parts();
    // An answer to HEAD has the length of what it does not send.
    let mut pieces = Vec::new();
    let mut n_bytes = 0;
    while n_bytes < MAX_REFUSAL_BYTES {
        match body.read().await {
            Ok(piece) if !piece.is_empty() => {
                n_bytes += piece.len();
                pieces.push(piece);
            }
            _ => break,
        }
    }
    let read: Buffer = pieces.into_iter().flatten().collect();
    let read = read.slice(..read.len().min(MAX_REFUSAL_BYTES));
    let length = read.len() as u64;
    let whole = Response::from_parts(parts, read);
    let answer = Answer::of(&whole);
    let whole = whole.map(|body| HttpBody::new(stream::iter([Ok(body)]), Some(length)));
    Ok((whole, answer))
}

/// Up to a quarter longer, so that many who were refused at once do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    pause + pause / 4 * (now.subsec_nanos() % 1_000) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_or_copied_is_waited_for_longer() {
        let request = |uri: &str, header: Option<&'static str>, body: &'static str| {
            let request = header.into_iter().fold(Request::put(uri), |request, name| request.header(name, "x"));
            is_work(&request.body(Buffer::from(body)).expect("a request"))
        };
        assert!(request("https://b.example/k", None, "piece"));
        assert!(request("https://b.example/k", Some("x-amz-copy-source"), ""));
        assert!(request("https://b.example/k", Some("x-ms-copy-source"), ""));
        assert!(request("https://b.example/storage/v1/b/b/o/k/rewriteTo/b/b/o/l", None, ""));
        assert!(!request("https://b.example/k", Some("range"), ""));
    }

    #[test]
    fn of_a_long_refusal_the_beginning_is_read() {
        let piece = || Ok(Buffer::from(vec![b'x'; 40 << 10]));
        let endless = HttpBody::new(stream::iter(std::iter::repeat_with(piece)), None);
        let response = Response::builder().status(400).body(endless).expect("a response");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (mut whole, answer) = runtime.block_on(refused(response)).expect("a refusal");
        assert_eq!(answer.status, 400);
        let read = runtime.block_on(whole.body_mut().read_all()).expect("its body");
        assert_eq!(read.len(), MAX_REFUSAL_BYTES);
    }
}
