//! The options of the `s3` destination.
//! It must not know how they are used.

use rivet_plugin_api::FilePath;
use rivet_shared_object::PublishMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `destination: {type: s3, …}`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Options {
    /// Bucket; it must be there.
    #[schemars(extend("place" = true), length(min = 1))]
    pub bucket: String,
    /// What all keys are below, as `exports/orders`; `{export}`, `{table}`, `{date}` and `{run_id}` are filled in.
    #[schemars(extend("place" = true))]
    #[serde(default)]
    pub prefix: String,
    /// The bucket's region; else `AWS_REGION` or `AWS_DEFAULT_REGION`. Stores that are not Amazon's mostly need none.
    pub region: Option<String>,
    /// URL of a store that is not Amazon's; else `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
    #[schemars(extend("place" = true))]
    pub endpoint: Option<String>,
    /// An `endpoint` on another machine is meant: everything that is exported goes there.
    #[serde(default)]
    pub allow_remote_endpoint: bool,
    /// An `endpoint` on another machine may be reached without encryption.
    #[serde(default)]
    pub allow_http: bool,
    /// PEM file of the authorities that the endpoint's certificate is checked by; the system's by default.
    pub ca_file: Option<FilePath>,
    /// How the bucket stands in URLs; by default in the host for Amazon and in the path for others.
    pub addressing: Option<Addressing>,
    /// Name of the environment variable that holds the access key; goes with `secret_key_env`.
    pub access_key_env: Option<String>,
    /// Name of the environment variable that holds the secret key.
    pub secret_key_env: Option<String>,
    /// Name of the environment variable that holds the session token that belongs to the two keys.
    pub session_token_env: Option<String>,
    /// Profile of the AWS configuration files to take credentials from.
    pub profile: Option<String>,
    /// Requests are not signed at all.
    #[serde(default)]
    pub allow_anonymous: bool,
    /// What the store checks each piece of an upload by. `none` is for stores that refuse both.
    #[serde(default)]
    pub checksum: Checksum,
    /// How parts become visible.
    #[serde(default)]
    pub publish: PublishMode,
}

/// How a bucket stands in URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// `https://endpoint/bucket/key`.
    Path,
    /// `https://bucket.endpoint/key`.
    Virtual,
}

/// What a store checks pieces by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// CRC-32C.
    #[default]
    Crc32c,
    /// MD5.
    Md5,
    /// Nothing: the size alone is compared.
    None,
}
