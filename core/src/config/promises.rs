//! What a run promises of its files: of which state they are, how they were looked at, what becomes of a schema that changes.
//! It must not know how a promise is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which states of the source the files of a run may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consistent {
    /// When a snapshot is lost, or a killed run is gone on with, finished ranges of a key are kept, and the rest is read in another
    /// snapshot.
    #[default]
    Mixed,
    /// One: whatever was read is read again.
    Required,
}

/// How closely a run looks at what it wrote before it says that it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// All files are there, with their sizes.
    #[default]
    Size,
    /// And all of them are read back, as `--validate` does it for all exports.
    Content,
}

/// What happens when the schema is not that of the last good run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftPolicy {
    /// Say so and go on.
    #[default]
    Warn,
    /// Go on.
    Continue,
    /// Stop before a byte is written.
    Fail,
}
