//! What a source lists: the relations that it has.
//! It must not know patterns, nor what becomes of a listed relation.

use serde::{Deserialize, Serialize};

use crate::Relation;

/// A relation of the source, as [`Session::tables`](crate::Session::tables) lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedTable {
    /// Schema, exactly; none where the engine has none.
    #[serde(default)]
    pub schema: Option<String>,
    /// Name, exactly, unquoted.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// Whether this session may read at least one of its columns.
    pub readable: bool,
    /// Whether the name alone finds it, without the schema.
    pub in_search_path: bool,
}

/// What a listed relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TableKind {
    /// A table that holds rows of its own, or all the rows of its partitions.
    Table,
    /// A part of a table that is listed itself.
    Partition,
    /// A view, materialized or not.
    View,
    /// Anything else that can be read like a table.
    #[serde(other)]
    Other,
}

impl ListedTable {
    /// A table that can be read and is found by its name alone.
    pub fn new(schema: Option<String>, name: impl Into<String>) -> Self {
        Self { schema, name: name.into(), kind: TableKind::Table, readable: true, in_search_path: true }
    }

    /// What to read.
    pub fn relation(&self) -> Relation {
        Relation::Table { schema: self.schema.clone(), name: self.name.clone() }
    }
}
