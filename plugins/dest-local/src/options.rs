//! The options of the `local` destination.
//! It must not know the file system.

use rivet_plugin_api::FilePath;
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `destination: {type: local, …}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalOptions {
    /// Folder that everything is written below. A relative path starts where the command runs, `{config_dir}` is the config's
    /// folder, `~` the home folder; `{export}`, `{table}`, `{date}` and `{run_id}` are filled in.
    #[schemars(extend("from" = "working-directory"))]
    pub path: FilePath,
}
