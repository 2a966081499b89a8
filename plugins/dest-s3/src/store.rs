//! From options to an open store: the place, the client, the credentials.
//! It must not know how parts are staged or published.

use opendal::Operator;
use opendal::services::S3;
use reqsign_core::ProvideCredentialChain;
use rivet_plugin_api::{Cx, Result, Store};
use rivet_shared_object::{Consent, ObjectStore, Talks, Target, endpoint, found, root};

use crate::credentials;
use crate::error::wrong;
use crate::options::{Addressing, Checksum, S3Options};
use crate::upload::Uploads;

/// Begins the codes of our errors.
pub const SCHEME: &str = "s3";
/// What stores that are not Amazon's take as a region.
const ANY_REGION: &str = "us-east-1";

/// Opens the place that the options name.
///
/// # Errors
/// `Config`, `Auth`, `NotFound` or `Connection`.
pub fn open(options: &S3Options, cx: &Cx) -> Result<Box<dyn Store>> {
    let talks = Talks::new(options.ca_file.as_deref())?;
    let root = root(&options.prefix)?;
    let place = Place::of(options)?;
    let mut builder = S3::default()
        .bucket(&options.bucket)
        .root(&format!("/{root}"))
        .region(&place.region)
        .endpoint(&place.endpoint)
        // Credentials and endpoint are found here, by our rules.
        .disable_config_load()
        .disable_ec2_metadata();
    if place.addressing == Addressing::Virtual {
        builder = builder.enable_virtual_host_style();
    }
    match options.checksum {
        Checksum::Crc32c => builder = builder.checksum_algorithm("crc32c"),
        Checksum::Md5 => builder = builder.checksum_algorithm("md5"),
        Checksum::None => {}
    }
    let provider = credentials::find(options, &talks, cx)?;
    builder = match &provider {
        Some(provider) => builder.credential_provider_chain(ProvideCredentialChain::new().push(provider.clone())),
        None => builder.skip_signature(),
    };
    let operator = Operator::new(builder)
        .map_err(|e| wrong("config", "the bucket cannot be used", "check its options").cause(e.message()))?;
    let location = [&format!("s3://{}", options.bucket), &*root].join("/");
    let target = Target {
        operator,
        scheme: SCHEME,
        location: location.trim_end_matches('/').to_owned(),
        publish: options.publish,
        uploads: Some(Box::new(Uploads::new(place.bucket_url(&options.bucket), root, &place.region, provider))),
    };
    Ok(Box::new(ObjectStore::open(target, &talks, cx)?))
}

/// Where the bucket is.
struct Place {
    endpoint: String,
    region: String,
    addressing: Addressing,
}

impl Place {
    fn of(options: &S3Options) -> Result<Self> {
        if options.bucket.is_empty()
            || !options.bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        {
            let text = format!("`bucket: {}` is no name of a bucket", options.bucket.escape_debug());
            return Err(wrong("bucket", text, "write its name alone; what comes after it in a URL is the `prefix`"));
        }
        let from_environment =
            |names: &[&str]| names.iter().find_map(|name| found(name)).map(|value| value.expose().to_owned());
        let own = options.endpoint.clone().or_else(|| from_environment(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
        let region = options.region.clone().or_else(|| from_environment(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let consent = Consent { remote: options.allow_remote_endpoint, plain_text: options.allow_http };
        let own = own.map(|own| endpoint(&own, is_amazons, consent)).transpose()?;
        let of_amazon = own.as_ref().is_none_or(|own| own.contains(".amazonaws.com"));
        let region = match region {
            Some(region) => region,
            None if of_amazon => {
                return Err(wrong(
                    "region",
                    "no region is named",
                    "set `region` to the bucket's, or AWS_REGION in the environment",
                ));
            }
            None => ANY_REGION.to_owned(),
        };
        // A certificate is not for names with dots in the bucket's.
        let usual = if of_amazon && !options.bucket.contains('.') { Addressing::Virtual } else { Addressing::Path };
        let endpoint = own.unwrap_or_else(|| {
            let china = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://s3.{region}.amazonaws.com{china}")
        });
        Ok(Self { endpoint, region, addressing: options.addressing.unwrap_or(usual) })
    }

    fn bucket_url(&self, bucket: &str) -> String {
        match (self.addressing, self.endpoint.split_once("://")) {
            (Addressing::Virtual, Some((scheme, host))) => format!("{scheme}://{bucket}.{host}"),
            _ => format!("{}/{bucket}", self.endpoint),
        }
    }
}

fn is_amazons(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}
