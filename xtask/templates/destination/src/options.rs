//! The destination's own options; doc comments are what `rivet plugin info skeleton` prints.
//! It must not know names or bytes.

use rivet_plugin_api::FilePath;
use schemars::JsonSchema;
use serde::Deserialize;

// A key or token is a `rivet_plugin_api::Secret`: it cannot be printed, and the schema marks it.
/// Options of `destination: {type: skeleton, …}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkeletonOptions {
    /// Folder to write to; a relative one starts where the command runs.
    #[schemars(extend("from" = "working-directory"))]
    pub path: FilePath,
}
