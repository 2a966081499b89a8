//! From a request to splits: which borders a step asks for.
//! It must not know how borders are found.

use rivet_plugin_api::{
    Column, ErrorKind, FILTER_PLACEHOLDER, KeyCut, KeyStep, PluginError, Relation, Result, Split, SplitRequest,
};

use super::KeyRows;
use super::borders::{KeyAnswers, counted, even};
use super::days::{Calendar, by_days};

/// Cuts a relation with these columns along a key, or a split of ours into smaller ones.
///
/// # Errors
/// The engine's; `Config` for a column that is none, a query that has a place for a filter, and for more splits than make sense.
pub fn along(
    engine: &mut impl Calendar,
    request: &SplitRequest,
    cut: &KeyCut,
    columns: &[&Column],
) -> Result<Vec<Split>> {
    if matches!(&request.relation, Relation::Query { sql } if sql.contains(FILTER_PLACEHOLDER)) {
        let text = format!("a query that has {FILTER_PLACEHOLDER} is not cut along a key");
        return Err(PluginError::new(ErrorKind::Config, "sql.key_inside", text)
            .hint("leave the placeholder out: a range inside the query may change what its rows are"));
    }
    let of = all_of(&cut.key, columns)?;
    let (borders, rows) = match cut.step {
        KeyStep::Even => match engine.known(&of, Share::Ranges(request.n_splits))? {
            Some(borders) => (borders, None),
            None => (even(engine, &of, request.n_splits)?, None),
        },
        KeyStep::Rows(rows) => match engine.known(&of, Share::Rows(rows))? {
            Some(borders) => (borders, Some(rows)),
            None => (counted(engine, &of, rows)?, Some(rows)),
        },
        KeyStep::Exactly(rows) => (counted(engine, &of, rows)?, Some(rows)),
        KeyStep::Days(days) => (by_days(engine, &of, days)?, None),
        other => {
            let text = format!("cannot cut by {other:?}");
            return Err(PluginError::new(ErrorKind::Unsupported, "sql.step", text));
        }
    };
    of.cut(borders, rows, None)
}

/// Cuts a split of ours into so many ranges.
///
/// # Errors
/// As [`along`].
pub fn within(engine: &mut impl KeyAnswers, split: &Split, rows: KeyRows, n_splits: usize) -> Result<Vec<Split>> {
    // A row without a key has no place between others; and where all rows are one split nobody knows which have none.
    if rows.nulls || rows.is_all() {
        return Ok(vec![split.clone()]);
    }
    let borders = even(engine, &rows, n_splits)?;
    let share = split.estimated_rows.map(|rows| rows / n_splits.max(1) as u64);
    rows.cut(borders, share, Some(split))
}

/// What borders by statistics are to leave between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many ranges of the same size.
    Ranges(usize),
    /// About so many rows each.
    Rows(u64),
}

fn all_of(key: &[String], columns: &[&Column]) -> Result<KeyRows> {
    let error = |text: String| PluginError::new(ErrorKind::Config, "sql.key", text);
    let mut nullable = Vec::new();
    for name in key {
        let column = columns.iter().find(|column| column.name == *name);
        let column = column.ok_or_else(|| error(format!("the key column \"{name}\" does not exist")))?;
        nullable.extend(column.nullable.then(|| name.clone()));
    }
    if key.is_empty() {
        Err(error("a key without columns".to_owned()))
    } else {
        Ok(KeyRows::with(key.to_vec(), nullable))
    }
}
