//! Uploads that were begun in a bucket: how requests about them are signed.
//! It must not know which of them are looked for.

use reqsign_aws_v4::{Credential, RequestSigner};
use rivet_shared_object::{OpenUploads, Provider, open_uploads};

use crate::store::SCHEME;

/// Those of the bucket at this URL; unsigned without a provider.
pub fn begun(url: String, root: String, region: &str, provider: Option<Provider<Credential>>) -> Box<dyn OpenUploads> {
    open_uploads(url, root, provider.map(|provider| (provider, RequestSigner::new(SCHEME, region))))
}
