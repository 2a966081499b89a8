//! The `quality` block of an export: each rule is a field, and its comment is what users read of it.
//! It must not know what is measured, nor what becomes of a run that breaks a rule.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the rows that a run exports have to be like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Quality {
    /// Fewest rows that a run may export. Rows that an incremental run leaves out, because they were exported before, do not
    /// count; with `skip_empty` a run without rows breaks the rule all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_count_min: Option<u64>,
    /// Most rows that a run may export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_count_max: Option<u64>,
    /// By column: the largest share of its rows that may be NULL, from 0 to 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("additionalProperties" = { "type": "number", "minimum": 0, "maximum": 1 }))]
    pub null_ratio_max: BTreeMap<String, f64>,
    /// Columns in which no value comes twice among the rows that a run exports, each by itself. NULLs do not count, as in SQL's
    /// UNIQUE. Values are compared as they are exported: `0.0` and `-0.0` are one number, and so are all NaN; in a column that is
    /// exported as text, such as a `numeric` without bounds, `1.0` and `1.00` are two texts. Where no unique constraint of the source proves it, the run needs up to 16 bytes a row on disk, beside the state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub unique_columns: Vec<String>,
}
