//! From options to an open store: the place, the client, the credentials.
//! It must not know how parts are staged or published.

use opendal::Operator;
use opendal::services::Gcs;
use reqsign_google::RequestSigner;
use rivet_plugin_api::{Cx, Result, Store};
use rivet_shared_object::{Consent, ObjectStore, Talks, Target, endpoint, root};

use crate::credentials::{self, SCOPE};
use crate::error::wrong;
use crate::options::GcsOptions;
use crate::upload::begun;

/// Begins the codes of our errors.
pub const SCHEME: &str = "gcs";
/// Google's own.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// Opens the place that the options name.
///
/// # Errors
/// `Config`, `Auth`, `NotFound` or `Connection`.
pub fn open(options: &GcsOptions, cx: &Cx) -> Result<Box<dyn Store>> {
    let mut talks = Talks::new(options.ca_file.as_deref())?.sealed();
    let root = root(&options.prefix)?;
    if options.bucket.is_empty() || !options.bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        let text = format!("`bucket: {}` is no name of a bucket", options.bucket.escape_debug());
        return Err(wrong("bucket", text, "write its name alone; what comes after it in a URL is the `prefix`"));
    }
    let consent = Consent { remote: options.allow_remote_endpoint, plain_text: options.allow_http };
    let own = options.endpoint.as_deref().map(|own| endpoint(own, is_googles, consent)).transpose()?;
    let place = own.unwrap_or_else(|| ENDPOINT.to_owned());
    if let Some(provider) = credentials::find(options, &talks, cx)? {
        talks = talks.signed(provider, RequestSigner::new("storage").with_scope(SCOPE));
    }
    let builder = Gcs::default()
        .bucket(&options.bucket)
        .root(&format!("/{root}"))
        .endpoint(&place)
        // Credentials are found here, by our rules, and requests signed on their way out.
        .disable_config_load()
        .disable_vm_metadata()
        .skip_signature();
    let operator = Operator::new(builder)
        .map_err(|e| wrong("config", "the bucket cannot be used", "check its options").cause(e.message()))?;
    let location = [&format!("gs://{}", options.bucket), &*root].join("/");
    let bucket_url = format!("{place}/{}", options.bucket);
    let target = Target {
        operator,
        scheme: SCHEME,
        location: location.trim_end_matches('/').to_owned(),
        publish: options.publish,
        uploads: begun(bucket_url, root),
    };
    Ok(Box::new(ObjectStore::open(target, talks, cx)?))
}

/// Whether a host is Cloud Storage itself, which has names of regions and buckets around its own.
fn is_googles(host: &str) -> bool {
    let own = host.strip_suffix(".googleapis.com");
    own.is_some_and(|own| own == "storage" || own.starts_with("storage.") || own.ends_with(".storage"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_cloud_storage_are_googles() {
        for own in ["storage", "storage.europe-west3.rep", "storage.mtls", "bucket.storage"] {
            assert!(is_googles(&format!("{own}.googleapis.com")), "{own}");
        }
        for other in
            ["run.googleapis.com", "googleapis.com", "storage.googleapis.com.evil.example", "mystorage.googleapis.com"]
        {
            assert!(!is_googles(other), "{other}");
        }
    }
}
