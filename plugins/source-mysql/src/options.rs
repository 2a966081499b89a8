//! The plugin's own options.
//! It must not know the connection keys, which are core's.

use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `source: {type: mysql, …}` beside the connection keys.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MysqlOptions {
    /// Which state of the database several workers read: the same one, or each its own.
    pub workers: Workers,
}

/// Which state of the database several workers read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Workers {
    /// The same: proved by the position in the binary log of MariaDB, so that nobody may write while they begin. Where
    /// there is no such proof one worker reads everything.
    #[default]
    OneSnapshot,
    /// Each its own: rows that change meanwhile may be read twice or not at all. The manifest says `per-split`.
    PerSplit,
}
