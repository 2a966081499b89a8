//! From options to an open store: the place, the client, the credentials.
//! It must not know how parts are staged or published.

use opendal::Operator;
use opendal::services::S3;
use reqsign_aws_v4::RequestSigner;
use rivet_plugin_api::{Cx, Result, Store};
use rivet_shared_object::{Consent, ObjectStore, Talks, Target, endpoint, found, root};

use crate::credentials;
use crate::error::wrong;
use crate::options::{Addressing, Checksum, S3Options};
use crate::upload::begun;

/// Begins the codes of our errors.
pub const SCHEME: &str = "s3";
/// What stores that are not Amazon's take as a region.
const ANY_REGION: &str = "us-east-1";

/// Opens the place that the options name.
///
/// # Errors
/// `Config`, `Auth`, `NotFound` or `Connection`.
pub fn open(options: &S3Options, cx: &Cx) -> Result<Box<dyn Store>> {
    let mut talks = Talks::new(options.ca_file.as_deref())?;
    let root = root(&options.prefix)?;
    let place = Place::of(options)?;
    let mut builder = S3::default()
        .bucket(&options.bucket)
        .root(&format!("/{root}"))
        .region(&place.region)
        .endpoint(&place.endpoint)
        // Credentials and endpoint are found here, by our rules, and requests signed on their way out.
        .disable_config_load()
        .disable_ec2_metadata()
        .skip_signature();
    if place.addressing == Addressing::Virtual {
        builder = builder.enable_virtual_host_style();
    }
    match options.checksum {
        Checksum::Crc32c => builder = builder.checksum_algorithm("crc32c"),
        // For pieces of a larger upload the client library knows none.
        Checksum::Md5 => talks = talks.sealed(),
        Checksum::None => {}
    }
    if let Some(provider) = credentials::find(options, &talks, cx)? {
        talks = talks.signed(provider, RequestSigner::new(SCHEME, &place.region));
    }
    let operator = Operator::new(builder)
        .map_err(|e| wrong("config", "the bucket cannot be used", "check its options").cause(e.message()))?;
    let location = [&format!("s3://{}", options.bucket), &*root].join("/");
    let target = Target {
        operator,
        scheme: SCHEME,
        location: location.trim_end_matches('/').to_owned(),
        publish: options.publish,
        uploads: begun(place.bucket_url(&options.bucket), root),
    };
    Ok(Box::new(ObjectStore::open(target, talks, cx)?))
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
        // A bucket in the host is put there by its name alone, and Amazon's own host without a region is of no region.
        let own = own.map(|own| own.replacen(&format!("//{}.", options.bucket), "//", 1));
        let own = own.filter(|own| host_of(own) != "s3.amazonaws.com");
        let of_amazon = own.as_deref().is_none_or(|own| is_amazons(host_of(own)));
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

/// The host of an endpoint that was found to be a URL.
fn host_of(endpoint: &str) -> &str {
    let after = endpoint.split_once("://").map_or(endpoint, |(_, after)| after);
    after.split(['/', ':']).next().unwrap_or_default()
}

/// Whether a host is S3 itself: Amazon's customers have hosts below the same domain for machines of their own.
fn is_amazons(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let Some(own) = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn")) else {
        return false;
    };
    let labels: Vec<&str> = own.split('.').collect();
    let Some(service) = labels.iter().rposition(|label| *label == "s3" || label.starts_with("s3-")) else {
        return false;
    };
    let is_region = |label: &str| label.contains('-') && label.ends_with(|c: char| c.is_ascii_digit());
    labels[service + 1..].iter().all(|label| matches!(*label, "dualstack" | "vpce") || is_region(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_s3_are_amazons() {
        for own in [
            "https://s3.amazonaws.com",
            "https://s3.eu-west-1.amazonaws.com:443/x",
            "https://s3-us-west-2.amazonaws.com",
            "https://s3.dualstack.us-east-1.amazonaws.com",
            "https://s3-fips.us-gov-west-1.amazonaws.com",
            "https://bucket.vpce-1a2b-5c6d.s3.us-east-1.vpce.amazonaws.com",
            "https://s3.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(is_amazons(host_of(own)), "{own}");
        }
        for other in [
            "https://ec2-1-2-3-4.compute-1.amazonaws.com",
            "https://s3-1.us-east-1.elb.amazonaws.com",
            "https://abc.execute-api.us-east-1.amazonaws.com",
            "https://s3.us-east-1.amazonaws.com.evil.example",
            "https://evil.example/s3.amazonaws.com",
            "https://amazonaws.com",
        ] {
            assert!(!is_amazons(host_of(other)), "{other}");
        }
    }
}
