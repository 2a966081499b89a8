//! Cutting along a key: which one, and how far a border is from the next.
//! It must not know how an engine finds borders, nor what a split looks like.

use serde::{Deserialize, Serialize};

/// Cuts along a key: into ranges that touch, of which the first and the last are open, and a split of the rows whose key
/// has a NULL, where there can be one. The engine's own order and comparison count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCut {
    /// Columns that are compared as one row, in this order. At least one.
    pub key: Vec<String>,
    /// Where the borders are.
    pub step: KeyStep,
}

/// How far a border of a [`KeyCut`] is from the next. Rows of one key are never parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyStep {
    /// As many splits as are wanted, of about equally many rows.
    Even,
    /// About so many rows, by statistics where there are any; at least 1.
    Rows(u64),
    /// So many rows, counted; at least 1.
    Exactly(u64),
    /// So many days, counted from the day of the first key; at least 1. For a key of one column of dates or timestamps.
    Days(u32),
}
