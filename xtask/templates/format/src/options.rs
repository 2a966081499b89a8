//! The format's own options; doc comments are what `rivet plugin info skeleton` prints.
//! It must not know what is written.

use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `format: {type: skeleton, …}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SkeletonOptions {
    /// What stands between two values: one character.
    pub separator: String,
}

impl Default for SkeletonOptions {
    fn default() -> Self {
        Self { separator: "\t".to_owned() }
    }
}
