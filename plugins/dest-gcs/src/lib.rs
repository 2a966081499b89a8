//! Google Cloud Storage as a destination.
//! It must not know exports, runs or formats, nor how parts are published.
#![forbid(unsafe_code)]

mod credentials;
mod options;
mod uploads;

use opendal::Operator;
use opendal::services::Gcs;
use reqsign_core::ProvideCredentialChain;
use rivet_plugin_api::{Cx, Destination, ErrorKind, PluginError, Result, Store, StoreCapabilities};
use rivet_shared_object::{Consent, ObjectStore, Talks, Target, endpoint, root};

pub use options::GcsOptions;

/// Begins the codes of our errors.
const SCHEME: &str = "gcs";
/// Google's own.
const ENDPOINT: &str = "https://storage.googleapis.com";

/// The `gcs` destination.
pub struct GcsBucket;

impl Destination for GcsBucket {
    const NAME: &'static str = "gcs";
    type Options = GcsOptions;

    fn capabilities() -> StoreCapabilities {
        StoreCapabilities { objects: true, retractable: true, concurrent: true }
    }

    fn open(options: GcsOptions, cx: &Cx) -> Result<Box<dyn Store>> {
        let talks = Talks::new(options.ca_file.as_deref())?;
        let root = root(&options.prefix)?;
        if options.bucket.is_empty()
            || !options.bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        {
            let text = format!("`bucket: {}` is no name of a bucket", options.bucket.escape_debug());
            return Err(PluginError::new(ErrorKind::Config, "gcs.bucket", text)
                .hint("write its name alone; what comes after it in a URL is the `prefix`"));
        }
        let consent = Consent { remote: options.allow_remote_endpoint, plain_text: options.allow_http };
        let own = options.endpoint.as_deref().map(|own| endpoint(own, is_googles, consent)).transpose()?;
        let place = own.unwrap_or_else(|| ENDPOINT.to_owned());
        let provider = credentials::find(&options, &talks, cx)?;
        let builder = Gcs::default()
            .bucket(&options.bucket)
            .root(&format!("/{root}"))
            .endpoint(&place)
            // Credentials are found here, by our rules.
            .disable_config_load()
            .disable_vm_metadata();
        let builder = match &provider {
            Some(provider) => builder.credential_provider_chain(ProvideCredentialChain::new().push(provider.clone())),
            None => builder.skip_signature(),
        };
        let operator = Operator::new(builder).map_err(|e| {
            PluginError::new(ErrorKind::Config, "gcs.config", "the bucket cannot be used").cause(e.message())
        })?;
        let location = [&format!("gs://{}", options.bucket), &*root].join("/");
        let bucket_url = format!("{place}/{}", options.bucket);
        let target = Target {
            operator,
            scheme: SCHEME,
            location: location.trim_end_matches('/').to_owned(),
            publish: options.publish,
            uploads: Some(Box::new(uploads::Uploads::new(bucket_url, root, provider))),
        };
        Ok(Box::new(ObjectStore::open(target, &talks, cx)?))
    }
}

fn is_googles(host: &str) -> bool {
    host == "storage.googleapis.com" || host.ends_with(".googleapis.com")
}

rivet_plugin_api::plugin!(destination: GcsBucket);
