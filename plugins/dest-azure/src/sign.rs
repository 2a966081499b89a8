//! How requests to Azure are signed, with what a copy reads.
//! It must not know where credentials come from.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use reqsign_azure_storage::{Credential, RequestSigner};
use reqsign_core::{Context, Error, Result, SignRequest};

/// What a copy reads: a URL.
const SOURCE: HeaderName = HeaderName::from_static("x-ms-copy-source");

/// Signs requests. A shared access signature goes to what a copy reads too: the service lets nobody read by the signature of
/// where it writes.
#[derive(Debug, Default)]
pub struct Signer(RequestSigner);

impl SignRequest for Signer {
    type Credential = Credential;

    async fn sign_request(
        &self,
        context: &Context,
        request: &mut Parts,
        credential: Option<&Credential>,
        expires_in: Option<Duration>,
    ) -> Result<()> {
        if let (Some(source), Some(Credential::SasToken { .. })) = (request.headers.get(SOURCE), credential) {
            let unusable = |_| Error::request_invalid("what a copy reads is no URL");
            let (mut read, ()) = Request::get(source.as_bytes()).body(()).map_err(unusable)?.into_parts();
            self.0.sign_request(context, &mut read, credential, None).await?;
            let mut signed = HeaderValue::try_from(read.uri.to_string())
                .map_err(|_| Error::request_invalid("what a copy reads is no header"))?;
            signed.set_sensitive(true);
            request.headers.insert(SOURCE, signed);
        }
        self.0.sign_request(context, request, credential, expires_in).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Poll, Waker};

    use super::*;

    fn signed(credential: &Credential) -> Parts {
        let request = Request::put("https://a.blob.core.windows.net/c/to")
            .header(SOURCE, "https://a.blob.core.windows.net/c/from%20here")
            .header("x-ms-version", "2022-11-02");
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let (signer, context) = (Signer::default(), Context::new());
        {
            let signing = pin!(signer.sign_request(&context, &mut parts, Some(credential), None));
            let done = signing.poll(&mut std::task::Context::from_waker(Waker::noop()));
            assert!(matches!(done, Poll::Ready(Ok(()))), "{done:?}");
        }
        parts
    }

    #[test]
    fn a_shared_access_signature_lets_a_copy_read() {
        let parts = signed(&Credential::with_sas_token("sv=2024&sig=x"));
        assert_eq!(parts.uri, "https://a.blob.core.windows.net/c/to?sv=2024&sig=x");
        assert_eq!(parts.headers[SOURCE], "https://a.blob.core.windows.net/c/from%20here?sv=2024&sig=x");
    }

    #[test]
    fn a_key_signs_the_request_alone() {
        let parts = signed(&Credential::with_shared_key("a", "Y2FuYXJ5"));
        assert_eq!(parts.headers[SOURCE], "https://a.blob.core.windows.net/c/from%20here");
        assert!(parts.headers.contains_key("authorization"));
    }
}
