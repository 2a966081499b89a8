//! The plugin's own options.
//! It must not know the connection keys, which are core's.

use rivet_plugin_api::FilePath;
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `source: {type: sqlite, …}`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteOptions {
    /// Database file. Instead of it, `url: sqlite:FILE` or `url: file:FILE` may name the file; with `?immutable=1` the
    /// file is read alone, which is refused while a `-wal` or a journal beside it holds rows.
    pub path: Option<FilePath>,
}
