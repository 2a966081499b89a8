//! The plugin's own keys of the `source` block; their doc comments are what `rivet plugin info ndjson` prints.
//! It must not know the files.

use std::collections::BTreeMap;

use rivet_plugin_api::{Column, FilePath, LogicalType};
use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `source: {type: ndjson, …}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NdjsonOptions {
    /// Folder of the files; a relative one is relative to the config.
    pub path: FilePath,
    /// Columns of each table, by its name: table `orders` is the file `orders.ndjson`.
    pub tables: BTreeMap<String, Vec<ColumnOptions>>,
}

/// A column: the value of one key of each line.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnOptions {
    /// The key, and the name of the column.
    pub name: String,
    /// What the values are.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether every line has a value; a line without one is an error then, and NULL otherwise.
    #[serde(default)]
    pub required: bool,
}

/// Type of a column.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// Whole numbers of 64 bits.
    Int64,
    /// Numbers as IEEE 754 holds them.
    Float64,
    /// Strings.
    Text,
}

impl ColumnOptions {
    /// The column as Rivet knows it.
    pub fn column(&self) -> Column {
        let (native_type, logical) = match self.kind {
            Kind::Bool => ("bool", LogicalType::Bool),
            Kind::Int64 => ("int64", LogicalType::Int { bits: 64, signed: true }),
            Kind::Float64 => ("float64", LogicalType::Float { bits: 64 }),
            Kind::Text => ("text", LogicalType::Text),
        };
        Column { nullable: !self.required, ..Column::new(&self.name, native_type, logical) }
    }
}
