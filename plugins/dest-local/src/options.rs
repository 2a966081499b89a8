//! The options of the `local` destination.
//! It must not know the file system.

use rivet_plugin_api::FilePath;
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `destination: {type: local, …}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalOptions {
    /// Folder that everything is written below; relative to the config. `{export}`, `{table}`, `{date}` and `{run_id}`
    /// are filled in.
    pub path: FilePath,
}
