//! The key `meta_columns`: all, none, a list, or each with true or false.
//! It must not know what is in these columns.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Columns that Rivet adds after those of the relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MetaColumns {
    /// `_rivet_exported_at`: when the run started, one value for all rows.
    pub exported_at: bool,
    /// `_rivet_row_hash`: a hash of all values of the row.
    pub row_hash: bool,
}

/// What the key takes.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum MetaChoice {
    All(bool),
    These(Vec<MetaColumn>),
    Each(MetaBlock),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetaBlock {
    /// `_rivet_exported_at`
    #[serde(default)]
    exported_at: bool,
    /// `_rivet_row_hash`
    #[serde(default)]
    row_hash: bool,
}

#[derive(PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MetaColumn {
    ExportedAt,
    RowHash,
}

/// The columns that a value of the key means.
pub(super) fn meta_columns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MetaColumns, D::Error> {
    let chosen = MetaChoice::deserialize(deserializer)?;
    let has = |column| match &chosen {
        MetaChoice::All(all) => *all,
        MetaChoice::These(these) => these.contains(&column),
        MetaChoice::Each(each) if column == MetaColumn::RowHash => each.row_hash,
        MetaChoice::Each(each) => each.exported_at,
    };
    Ok(MetaColumns { exported_at: has(MetaColumn::ExportedAt), row_hash: has(MetaColumn::RowHash) })
}
