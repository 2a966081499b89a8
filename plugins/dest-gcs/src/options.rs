//! The options of the `gcs` destination.
//! It must not know how they are used.

use rivet_plugin_api::FilePath;
use rivet_shared_object::PublishMode;
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `destination: {type: gcs, …}`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GcsOptions {
    /// Bucket; it must be there.
    #[schemars(extend("place" = true), length(min = 1))]
    pub bucket: String,
    /// What all keys are below, as `exports/orders`; `{export}`, `{table}`, `{date}` and `{run_id}` are filled in.
    #[schemars(extend("place" = true))]
    #[serde(default)]
    pub prefix: String,
    /// JSON file of a service account, of `gcloud auth application-default login`, or of a workload identity.
    pub credentials_file: Option<FilePath>,
    /// Name of the environment variable that holds an access token, as `gcloud auth print-access-token` prints it. It is not
    /// renewed.
    pub access_token_env: Option<String>,
    /// Requests are not signed at all, as emulators like it.
    #[serde(default)]
    pub allow_anonymous: bool,
    /// URL of a store that is not Google's, such as an emulator's.
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
