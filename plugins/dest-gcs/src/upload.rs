//! Uploads that were begun in a bucket: how requests about them are addressed and signed.
//! It must not know which of them are looked for.

use std::fmt;

use opendal::HttpTransporter;
use reqsign_core::Signer;
use reqsign_google::{Credential, RequestSigner};
use rivet_shared_object::{OpenUploads, Provider, context, signing_failed};

use crate::credentials::SCOPE;

/// A bucket whose uploads are looked at.
pub struct Uploads {
    bucket_url: String,
    root: String,
    signer: Option<Signer<Credential>>,
}

impl Uploads {
    /// Those of the bucket at this URL; unsigned without a provider.
    pub fn new(bucket_url: String, root: String, provider: Option<Provider<Credential>>) -> Self {
        let none = reqsign_core::Context::new();
        let signer =
            provider.map(|provider| Signer::new(none, provider, RequestSigner::new("storage").with_scope(SCOPE)));
        Self { bucket_url, root, signer }
    }
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bucket_url)
    }
}

impl OpenUploads for Uploads {
    fn bucket_url(&self) -> &str {
        &self.bucket_url
    }

    fn root(&self) -> &str {
        &self.root
    }

    fn sign<'a>(
        &'a self,
        request: &'a mut http::request::Parts,
        transport: HttpTransporter,
    ) -> futures_util::future::BoxFuture<'a, opendal::Result<()>> {
        Box::pin(async move {
            let Some(signer) = &self.signer else { return Ok(()) };
            let signer = signer.clone().with_context(context(transport));
            signer.sign(request, None).await.map_err(|e| signing_failed(&e))
        })
    }
}
