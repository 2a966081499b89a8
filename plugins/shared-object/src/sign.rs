//! Requests signed on their way out, each time they are sent: one that was refused since its credentials had ended is signed
//! anew, with credentials that were fetched anew. It must not know whose credentials they are, and never shows any.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use http::Uri;
use http::header::HOST;
use http::request::Parts;
use opendal::HttpTransporter;
use reqsign_core::{SignRequest, Signer, SigningCredential};

use crate::credentials::{Provider, context};

/// What signs the requests of a store.
pub(crate) trait Sign: Send + Sync {
    /// Signs a request; returns which credentials it was signed with.
    fn sign<'a>(&'a self, request: &'a mut Parts) -> BoxFuture<'a, opendal::Result<u64>>;

    /// Credentials that were refused are not used again, if nobody has seen to it yet.
    fn renew(&self, refused: u64);
}

/// Credentials of one place, fetched when they are needed and kept until they end.
struct Signing<C: SigningCredential> {
    origin: Origin,
    provider: Provider<C>,
    /// Counts how often they were given up, and has those that are in use.
    current: Mutex<(u64, Signer<C>)>,
}

/// What signs requests to `place`, a URL, with the credentials of `provider`, which fetches them through `transport`.
pub(crate) fn signing<C: SigningCredential>(
    place: &str,
    provider: Provider<C>,
    requests: impl SignRequest<Credential = C>,
    transport: HttpTransporter,
) -> Arc<dyn Sign> {
    let signer = Signer::new(context(transport), provider.clone(), requests);
    Arc::new(Signing { origin: Origin::of(place), provider, current: Mutex::new((0, signer)) })
}

/// Where signed requests may go: a store names addresses of its own, for example where an upload goes on, and credentials are
/// shown to nobody else for that, nor in plain text.
struct Origin {
    scheme: String,
    authority: String,
}

impl Origin {
    fn of(place: &str) -> Self {
        let (scheme, rest) = place.split_once("://").unwrap_or(("https", place));
        let authority = rest.split('/').next().unwrap_or_default();
        Self { scheme: scheme.to_ascii_lowercase(), authority: authority.to_ascii_lowercase() }
    }

    /// Whether a URL leads there, or to a bucket in the host's name.
    fn holds(&self, uri: &Uri) -> bool {
        let authority = uri.authority().map(|found| found.as_str().to_ascii_lowercase()).unwrap_or_default();
        let below =
            authority.strip_suffix(&self.authority).is_some_and(|bucket| bucket.is_empty() || bucket.ends_with('.'));
        uri.scheme_str() == Some(&self.scheme) && below
    }
}

impl<C: SigningCredential> Sign for Signing<C> {
    fn sign<'a>(&'a self, request: &'a mut Parts) -> BoxFuture<'a, opendal::Result<u64>> {
        Box::pin(async move {
            if !self.origin.holds(&request.uri) {
                return Ok(0);
            }
            let (which, signer) = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            signer.sign(request, None).await.map_err(|e| {
                // What a provider was answered may be in the error: it stays here.
                let text = format!("signing a request failed ({:?})", e.kind());
                opendal::Error::new(opendal::ErrorKind::Unexpected, text)
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
    use reqsign_core::{Context, ProvideCredential};

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
    fn credentials_are_shown_to_the_store_alone() {
        let origin = Origin::of("https://Store.example:9000/account");
        for (uri, held) in [
            ("https://store.example:9000/account/c/k?x", true),
            ("https://bucket.store.example:9000/k", true),
            ("http://store.example:9000/k", false),
            ("https://store.example/k", false),
            ("https://evilstore.example:9000/k", false),
            ("https://store.example:9000.evil.example/k", false),
            ("/k", false),
        ] {
            assert_eq!(origin.holds(&uri.parse().expect("a URI")), held, "{uri}");
        }
    }

    #[test]
    fn credentials_are_kept_until_they_are_refused_and_then_fetched_once() {
        let talks = Talks::new(None).expect("threads");
        let signing =
            signing("https://b.example", Arc::new(Counter::default()) as Provider<Number>, Writes, talks.transport());
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
