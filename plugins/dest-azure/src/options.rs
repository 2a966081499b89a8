//! The options of the `azure` destination.
//! It must not know how they are used.

use rivet_plugin_api::FilePath;
use rivet_shared_object::PublishMode;
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `destination: {type: azure, …}`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureOptions {
    /// Container; it must be there.
    #[schemars(extend("place" = true))]
    pub container: Option<String>,
    /// The same as `container`.
    #[schemars(extend("place" = true))]
    pub bucket: Option<String>,
    /// What all blobs are below, as `exports/orders`; `{export}`, `{table}`, `{date}` and `{run_id}` are filled in.
    #[schemars(extend("place" = true))]
    #[serde(default)]
    pub prefix: String,
    /// Storage account; else `AZURE_STORAGE_ACCOUNT`.
    #[schemars(extend("place" = true))]
    pub account_name: Option<String>,
    /// Name of the environment variable that holds the account's key.
    pub account_key_env: Option<String>,
    /// Name of the environment variable that holds a shared access signature.
    pub sas_token_env: Option<String>,
    /// Requests are not signed at all.
    #[serde(default)]
    pub allow_anonymous: bool,
    /// URL of the account where it is not Azure's own, with the account's name in it, as an emulator's
    /// `http://127.0.0.1:10000/devstoreaccount1`.
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
    /// How parts become visible.
    #[serde(default)]
    pub publish: PublishMode,
}
