//! What a source says of a column that a cursor could go by.
//! It must not know how a cursor is kept, nor which column is chosen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A column whose values grow as rows come or change, as far as the catalogue shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CursorColumn {
    /// Its name.
    pub name: String,
    /// Whether an index of all rows begins with it: a range and the largest value are found without a scan.
    #[serde(default)]
    pub indexed: bool,
    /// When its value is given.
    #[serde(default)]
    pub set_on: SetOn,
}

/// When a column gets its value. A hint: whoever writes rows may give it another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetOn {
    /// When a row comes, by a sequence or the clock; a row that changes keeps it.
    Insert,
    /// Anew whenever a row changes, by a trigger or the engine.
    Change,
    /// The catalogue does not say.
    #[default]
    #[serde(other)]
    Unknown,
}

impl CursorColumn {
    /// A column without an index, of which nothing is known.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), indexed: false, set_on: SetOn::Unknown }
    }
}
