//! The plugin's own keys of the `source` block; doc comments are what `rivet plugin info skeleton` prints.
//! It must not know the connection keys, which are core's.

use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `source: {type: skeleton, …}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SkeletonOptions {
    /// Rows of the table `numbers`.
    pub n_rows: i64,
}

impl Default for SkeletonOptions {
    fn default() -> Self {
        Self { n_rows: 1000 }
    }
}
