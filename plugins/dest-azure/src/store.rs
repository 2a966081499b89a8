//! From options to an open store: the place, the client, the credentials.
//! It must not know how parts are staged or published.

use opendal::Operator;
use opendal::services::Azblob;
use rivet_plugin_api::{Cx, Result, Store};
use rivet_shared_object::{Consent, ObjectStore, Talks, Target, endpoint, found, root};

use crate::credentials;
use crate::error::wrong;
use crate::options::AzureOptions;
use crate::sign::Signer;
use crate::upload::begun;

/// Begins the codes of our errors.
pub const SCHEME: &str = "azure";

/// Opens the place that the options name.
///
/// # Errors
/// `Config`, `Auth`, `NotFound` or `Connection`.
pub fn open(options: &AzureOptions, cx: &Cx) -> Result<Box<dyn Store>> {
    let mut talks = Talks::new(options.ca_file.as_deref())?.sealed();
    let root = root(&options.prefix)?;
    let container = container(options)?;
    let account = options.account_name.clone().or_else(|| {
        found("AZURE_STORAGE_ACCOUNT")
            .or_else(|| found("AZURE_STORAGE_ACCOUNT_NAME"))
            .map(|name| name.expose().to_owned())
    });
    let consent = Consent { remote: options.allow_remote_endpoint, plain_text: options.allow_http };
    let own = options.endpoint.as_deref().map(|own| endpoint(own, is_microsofts, consent)).transpose()?;
    let place = match (own, &account) {
        (Some(own), _) => own,
        (None, Some(account)) if account.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) => {
            format!("https://{account}.blob.core.windows.net")
        }
        (None, Some(account)) => {
            let text = format!("`account_name: {}` is no name of a storage account", account.escape_debug());
            return Err(wrong("account", text, "it has lower-case letters and digits alone"));
        }
        (None, None) => {
            return Err(wrong(
                "account",
                "no storage account is named",
                "set `account_name`, or AZURE_STORAGE_ACCOUNT in the environment",
            ));
        }
    };
    // Requests are signed on their way out.
    let builder = Azblob::default().container(container).root(&format!("/{root}")).endpoint(&place).skip_signature();
    if let Some(provider) = credentials::find(options, account.as_deref(), &talks, cx)? {
        talks = talks.signed(provider, Signer::default());
    }
    let operator = Operator::new(builder)
        .map_err(|e| wrong("config", "the container cannot be used", "check its options").cause(e.message()))?;
    let location = format!("{place}/{container}/{root}");
    let target = Target {
        operator,
        scheme: SCHEME,
        location: location.trim_end_matches('/').to_owned(),
        publish: options.publish,
        uploads: begun(),
    };
    Ok(Box::new(ObjectStore::open(target, talks, cx)?))
}

/// `container`, which `bucket` stands for where a config was written for another store.
fn container(options: &AzureOptions) -> Result<&str> {
    let wrong = |text: &str| wrong("container", text, "set `container` to the name of a container");
    let name = match (&options.container, &options.bucket) {
        (Some(_), Some(_)) => return Err(wrong("`container` and `bucket` are both set")),
        (None, None) => return Err(wrong("no container is named")),
        (Some(name), None) | (None, Some(name)) => name,
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'$');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(wrong(&format!("'{}' is no name of a container", name.escape_debug())));
    }
    Ok(name)
}

fn is_microsofts(host: &str) -> bool {
    [".blob.core.windows.net", ".blob.core.chinacloudapi.cn", ".blob.core.usgovcloudapi.net"]
        .iter()
        .any(|own| host.ends_with(own))
}
