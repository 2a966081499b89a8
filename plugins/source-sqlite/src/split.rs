//! Size, and cutting a table into ranges of its rowid.
//! It must not know how a range is read.

mod keys;

use rivet_plugin_api::{ErrorKind, Estimate, PluginError, Result, Split, SplitRequest};
use rivet_shared_sql::{Conditions, identifier};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use crate::error::sqlite;
use crate::schema::{Described, Form};

/// Databases up to this size are walked for the bytes of a table: that reads every page of it.
const WALKED_BYTES: i64 = 16 << 20;

/// A split: rowids from `first` up to and without `end`; no bound where it is absent. Rowids are keys: the bounds
/// mean the same in another snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    first: Option<i64>,
    end: Option<i64>,
}

impl Range {
    /// The range that a split of ours describes.
    ///
    /// # Errors
    /// `Internal` for a split of somebody else.
    pub fn of(split: &Split) -> Result<Self> {
        serde_json::from_value(split.spec.clone())
            .map_err(|_| PluginError::new(ErrorKind::Internal, "sqlite.split", "the split was not made by this plugin"))
    }

    /// Conditions that together hold for exactly these rows of `t`; none for all.
    pub fn conditions(self, rowid: &str) -> Conditions {
        let lower = self.first.map(|first| format!("t.{rowid} >= {first}"));
        let upper = self.end.map(|end| format!("t.{rowid} < {end}"));
        lower.into_iter().chain(upper).collect()
    }

    fn into_split(self, estimated_rows: Option<u64>, stable: bool) -> Result<Split> {
        let spec = serde_json::to_value(self)
            .map_err(|e| PluginError::new(ErrorKind::Internal, "sqlite.split", "failed to write a split").cause(e))?;
        let label = match (self.first, self.end) {
            (None, None) => "all rows".to_owned(),
            (Some(first), None) => format!("rowids {first}.."),
            (None, Some(end)) => format!("rowids ..{end}"),
            (Some(first), Some(end)) => format!("rowids {first}..{end}"),
        };
        Ok(Split { spec, label, estimated_rows, stable })
    }

    /// Cuts this range into up to `n` that touch, evenly over the rowids from `min` to `max`; its own bounds stay.
    fn cut(self, min: i64, max: i64, n: usize) -> Vec<Self> {
        let (min, end) = (i128::from(min), i128::from(max) + 1);
        let n = i128::try_from(n).unwrap_or(1).clamp(1, (end - min).max(1));
        let border = |i: i128| i64::try_from(min + (end - min) * i / n).ok();
        let one = |i: i128| Self {
            first: if i == 0 { self.first } else { border(i) },
            end: if i + 1 == n { self.end } else { border(i + 1) },
        };
        (0..n).map(one).collect()
    }
}

/// Smallest and greatest rowid of a range: two walks down the tree.
fn bounds(db: &Connection, table: &str, rowid: &str, range: Range) -> Result<Option<(i64, i64)>> {
    let end = |order: &str| {
        let (table, condition) = (identifier(table), range.conditions(rowid));
        let sql = format!("SELECT t.{rowid} FROM main.{table} AS t{condition} ORDER BY t.{rowid} {order} LIMIT 1");
        db.query_row(&sql, [], |row| row.get(0)).optional().map_err(sqlite("look for the bounds of a table"))
    };
    Ok(end("ASC")?.zip(end("DESC")?))
}

/// Rows by ANALYZE, else by the span of rowids, which is an upper bound; bytes by the table's pages in a small
/// database, else by the file, which is an upper bound too.
///
/// # Errors
/// The database's.
pub fn estimate(db: &Connection, described: &Described) -> Result<Estimate> {
    let (table, rowid) = match &described.form {
        Form::Query { .. } => return Ok(Estimate { rows: None, bytes: None, splittable: false }),
        Form::Rowid { table, rowid, .. } => (table, Some(*rowid)),
        Form::Other { table } => (table, None),
    };
    let analyzed = analyzed_rows(db, table)?;
    let span = match (analyzed, rowid) {
        (None, Some(rowid)) => Some(bounds(db, table, rowid, Range::default())?.map_or(0, |b| n_rowids(b.0, b.1))),
        _ => None,
    };
    Ok(Estimate { rows: analyzed.or(span), bytes: table_bytes(db, table)?, splittable: rowid.is_some() })
}

fn n_rowids(min: i64, max: i64) -> u64 {
    max.abs_diff(min).saturating_add(1)
}

/// The first number of `sqlite_stat1.stat`. A partial index counts less than the table.
fn analyzed_rows(db: &Connection, table: &str) -> Result<Option<u64>> {
    let failed = sqlite("read the statistics of a table");
    let exists = "SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_stat1'";
    if db.query_row(exists, [], |row| row.get::<_, i64>(0)).map_err(&failed)? == 0 {
        return Ok(None);
    }
    let sql = "SELECT max(CAST(stat AS INTEGER)) FROM main.sqlite_stat1 WHERE tbl = ?1 COLLATE NOCASE";
    let rows: Option<i64> = db.query_row(sql, [table], |row| row.get(0)).map_err(&failed)?;
    Ok(rows.and_then(|rows| u64::try_from(rows).ok()))
}

fn table_bytes(db: &Connection, table: &str) -> Result<Option<u64>> {
    let failed = sqlite("read the size of the database");
    let number = |name: &str| db.pragma_query_value(Some("main"), name, |row| row.get::<_, i64>(0)).map_err(&failed);
    let all = number("page_count")?.saturating_mul(number("page_size")?);
    if all > WALKED_BYTES {
        return Ok(u64::try_from(all).ok());
    }
    let sql = "SELECT sum(pgsize) FROM dbstat('main') WHERE name = ?1 COLLATE NOCASE";
    let walked: Option<i64> = db.query_row(sql, [table], |row| row.get(0)).map_err(&failed)?;
    Ok(walked.and_then(|bytes| u64::try_from(bytes).ok()))
}

/// Cuts along a key where that is asked for; else a table, or one of its ranges, into ranges of rowids; what has none is one
/// split.
///
/// # Errors
/// The database's.
pub fn split(db: &Connection, described: &Described, request: &SplitRequest) -> Result<Vec<Split>> {
    if let Some(splits) = keys::split(db, described, request)? {
        return Ok(splits);
    }
    let whole = request.within.as_ref().map(Range::of).transpose()?.unwrap_or_default();
    let Form::Rowid { table, rowid, kept } = &described.form else { return Ok(vec![whole.into_split(None, true)?]) };
    let Some((min, max)) = bounds(db, table, rowid, whole)? else { return Ok(vec![whole.into_split(Some(0), *kept)?]) };
    let ranges = whole.cut(min, max, request.n_splits);
    // The span of a range is what it can hold; ANALYZE knows how much of the whole span is there.
    let analyzed = analyzed_rows(db, table)?.zip(bounds(db, table, rowid, Range::default())?);
    let share = |n: u64| match analyzed {
        Some((rows, (first, last))) => {
            let share = u128::from(rows) * u128::from(n) / u128::from(n_rowids(first, last));
            u64::try_from(share).unwrap_or(u64::MAX)
        }
        None => n,
    };
    let split = |range: Range| {
        let first = range.first.unwrap_or(min).max(min);
        let last = range.end.map_or(max, |end| end.saturating_sub(1)).min(max);
        range.into_split(Some(share(n_rowids(first, last))), *kept)
    };
    ranges.into_iter().map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_touch_and_keep_the_outer_bounds() {
        for whole in [Range::default(), Range { first: Some(-9), end: None }, Range { first: None, end: Some(200) }] {
            for (min, max, n) in [(1, 100, 4), (-5, 5, 3), (i64::MIN, i64::MAX, 7), (3, 3, 4), (1, 2, 9), (1, 9, 0)] {
                let ranges = whole.cut(min, max, n);
                assert!(!ranges.is_empty() && ranges.len() <= n.max(1), "{ranges:?}");
                assert_eq!((ranges[0].first, ranges[ranges.len() - 1].end), (whole.first, whole.end));
                for pair in ranges.windows(2) {
                    let border = pair[0].end.expect("a border");
                    assert!(Some(border) == pair[1].first && border > min && border <= max, "{ranges:?}");
                }
                let borders: Vec<_> = ranges.iter().filter_map(|r| r.first).collect();
                assert!(borders.is_sorted_by(|a, b| a < b) || whole.first.is_some(), "{ranges:?}");
            }
        }
    }
}
