//! Requests signed on their way out, each time they are sent: one that was refused since its credentials had ended is signed
//! anew, with credentials that were fetched anew. It must not know whose credentials they are, and never shows any.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use http::Uri;
use http::header::HOST;
use http::request::Parts;
use opendal::HttpTransporter;
use reqsign_core::{Context, SignRequest, Signer, SigningCredential};

use crate::credentials::{Provider, context};
use crate::talk::{Client, Conversation};

/// What signs the requests of a store.
pub(crate) trait Sign: Send + Sync {
    /// Signs a request; returns which credentials it was signed with.
    fn sign<'a>(&'a self, request: &'a mut Parts) -> BoxFuture<'a, opendal::Result<u64>>;

    /// Credentials that were refused are not used again, if nobody has seen to it yet.
    fn renew(&self, refused: u64);
}

/// Credentials of one place, fetched when they are needed and kept until they end.
struct Signing<C: SigningCredential> {
    client: Client,
    provider: Provider<C>,
    /// Counts how often they were given up, and has those that are in use.
    current: Mutex<(u64, Signer<C>)>,
}

/// What signs with the credentials of `provider`, which fetches them with `client`.
pub(crate) fn signing<C: SigningCredential>(
    client: Client,
    provider: Provider<C>,
    requests: impl SignRequest<Credential = C>,
) -> Arc<dyn Sign> {
    let signer = Signer::new(Context::new(), provider.clone(), requests);
    Arc::new(Signing { client, provider, current: Mutex::new((0, signer)) })
}

/// Whether a request goes on with an upload at an address that the store named, as Google does: the address is all that it
/// takes, and credentials go nowhere but where the config says.
fn is_session(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("upload_id=")))
}

impl<C: SigningCredential> Sign for Signing<C> {
    fn sign<'a>(&'a self, request: &'a mut Parts) -> BoxFuture<'a, opendal::Result<u64>> {
        Box::pin(async move {
            if is_session(&request.uri) {
                return Ok(0);
            }
            let (which, signer) = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let asked = Conversation::new(&self.client, None);
            let signer = signer.with_context(context(HttpTransporter::new(asked.clone())));
            signer.sign(request, None).await.map_err(|e| {
                // What a provider was answered may be in the error: it stays here.
                let text = format!("signing a request failed ({:?})", e.kind());
                let error = opendal::Error::new(opendal::ErrorKind::Unexpected, text);
                if asked.refusal().is_some_and(|answer| answer.is_passing()) { error.set_temporary() } else { error }
            })?;
            // The client knows it better, by the version of HTTP.
            request.headers.remove(HOST);
            Ok(which)
        })
    }

    fn renew(&self, refused: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (which, signer) = &mut *current;
        if *which == refused {
            tracing::info!("the store says that the credentials have expired: they are fetched again");
            *signer = signer.clone().with_credential_provider(self.provider.clone());
            *which += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};
    use opendal::Buffer;
    use reqsign_core::ProvideCredential;

    use super::*;
    use crate::runtime::Talks;

    #[derive(Debug, Clone)]
    struct Number(usize);

    impl SigningCredential for Number {
        fn is_valid(&self) -> bool {
            true
        }
    }

    /// Counts how often it was asked.
    #[derive(Debug, Default)]
    struct Counter(Mutex<usize>);

    impl ProvideCredential for Counter {
        type Credential = Number;

        async fn provide_credential(&self, _: &Context) -> reqsign_core::Result<Option<Number>> {
            let mut asked = self.0.lock().expect("not poisoned");
            *asked += 1;
            Ok(Some(Number(*asked)))
        }
    }

    #[derive(Debug)]
    struct Writes;

    impl SignRequest for Writes {
        type Credential = Number;

        async fn sign_request(
            &self,
            _: &Context,
            request: &mut Parts,
            credential: Option<&Number>,
            _: Option<std::time::Duration>,
        ) -> reqsign_core::Result<()> {
            let number = credential.map_or(0, |number| number.0);
            request.headers.insert("authorization", HeaderValue::from(number));
            Ok(())
        }
    }

    #[test]
    fn an_address_that_the_store_named_gets_no_credentials() {
        for (uri, named) in [
            ("https://elsewhere.example/upload/o?uploadType=resumable&upload_id=x", true),
            ("https://b.example/k?uploadId=x&partNumber=1", false),
            ("https://b.example/upload/o?name=upload_id%3Dx", false),
            ("https://b.example/k", false),
        ] {
            assert_eq!(is_session(&uri.parse().expect("a URI")), named, "{uri}");
        }
    }

    #[test]
    fn credentials_are_kept_until_they_are_refused_and_then_fetched_once() {
        let talks = Talks::new(None).expect("threads");
        let signing = signing(talks.client(), Arc::new(Counter::default()) as Provider<Number>, Writes);
        let signed = || {
            let (mut parts, _) =
                Request::get("https://b.example/k").body(Buffer::new()).expect("a request").into_parts();
            let which = talks.finish(signing.sign(&mut parts)).expect("signed");
            (which, parts.headers["authorization"].clone())
        };
        assert_eq!(signed(), (0, HeaderValue::from(1)));
        assert_eq!(signed(), (0, HeaderValue::from(1)));
        // Several requests are refused at once, all signed with the same.
        signing.renew(0);
        signing.renew(0);
        assert_eq!(signed(), (1, HeaderValue::from(2)));
        assert_eq!(signed(), (1, HeaderValue::from(2)));
    }
}
