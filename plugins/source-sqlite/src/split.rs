//! Size, and cutting a table into ranges of its rowid.
//! It must not know how a range is read.

use rivet_plugin_api::{ErrorKind, Estimate, PluginError, Relation, Result, Split, SplitRequest};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::error::sqlite;
use crate::schema::{self, from_item};

/// A split: rowids from `first` up to and without `end`; without a bound where it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rowids {
    /// A name of the rowid that no column of the table hides.
    pub rowid: String,
    pub first: Option<i64>,
    pub end: Option<i64>,
}

impl Rowids {
    /// The range that a split of ours describes.
    pub fn of(split: &Split) -> Result<Self> {
        serde_json::from_value(split.spec.clone())
            .map_err(|_| PluginError::new(ErrorKind::Internal, "sqlite.split", "the split was not made by this plugin"))
    }

    /// A condition that holds for exactly these rows.
    pub fn condition(&self) -> String {
        let lower = self.first.map(|first| format!("{} >= {first}", self.rowid));
        let upper = self.end.map(|end| format!("{} < {end}", self.rowid));
        let both: Vec<String> = lower.into_iter().chain(upper).collect();
        if both.is_empty() { "1".to_owned() } else { both.join(" AND ") }
    }

    fn into_split(self) -> Split {
        let text = |bound: Option<i64>, open: &str| bound.map_or_else(|| open.to_owned(), |b| b.to_string());
        let label = format!("rowids {}..{}", text(self.first, "start"), text(self.end, "end"));
        Split { label, spec: serde_json::to_value(self).unwrap_or_default(), estimated_rows: None, stable: true }
    }
}

/// The name under which a table's rowid can be asked for, if it has one.
fn rowid_of(db: &Connection, relation: &Relation) -> Result<Option<&'static str>> {
    match schema::table(db, relation)? {
        Some(table) if table.is_table && !table.without_rowid => {}
        _ => return Ok(None),
    }
    let columns = schema::describe(db, relation)?.columns;
    let hidden = |name: &str| columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    Ok(["rowid", "_rowid_", "oid"].into_iter().find(|name| !hidden(name)))
}

fn bounds(db: &Connection, relation: &Relation, rowid: &str) -> Result<Option<(i64, i64)>> {
    // Two statements: SQLite answers min and max from the tree's ends only when each is asked for alone.
    let end = |function: &str| {
        let sql = format!("SELECT {function}({rowid}) FROM {}", from_item(relation));
        db.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0)).map_err(sqlite("look for the table's bounds"))
    };
    Ok(end("min")?.zip(end("max")?))
}

/// Rows by the span of rowids (an upper bound), bytes by the file.
pub fn estimate(db: &Connection, relation: &Relation) -> Result<Estimate> {
    let pages = db.query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| {
        row.get::<_, i64>(0)
    });
    let bytes = pages.ok().and_then(|b| u64::try_from(b).ok());
    let Some(rowid) = rowid_of(db, relation)? else { return Ok(Estimate { rows: None, bytes, splittable: false }) };
    let rows = match bounds(db, relation, rowid)? {
        Some((first, last)) => last.abs_diff(first).saturating_add(1),
        None => 0,
    };
    Ok(Estimate { rows: Some(rows), bytes, splittable: true })
}

/// Cuts a table, or one of its ranges, into ranges of rowids.
pub fn split(db: &Connection, request: &SplitRequest) -> Result<Vec<Split>> {
    let Some(rowid) = rowid_of(db, &request.relation)? else { return Ok(Vec::new()) };
    let whole = match &request.within {
        Some(split) => Rowids::of(split)?,
        None => Rowids { rowid: rowid.to_owned(), first: None, end: None },
    };
    let Some((min, max)) = bounds(db, &request.relation, rowid)? else { return Ok(vec![whole.into_split()]) };
    Ok(cut(&whole, min, max, request.n_splits).into_iter().map(Rowids::into_split).collect())
}

/// Cuts `whole` into up to `n` ranges that touch; the outer bounds stay as they are.
fn cut(whole: &Rowids, min: i64, max: i64, n: usize) -> Vec<Rowids> {
    let first = i128::from(whole.first.unwrap_or(min));
    let end = whole.end.map_or(i128::from(max) + 1, i128::from).max(first);
    let n = (n as i128).clamp(1, (end - first).max(1));
    let border = |i: i128| i64::try_from(first + (end - first) * i / n).ok();
    (0..n)
        .map(|i| Rowids {
            rowid: whole.rowid.clone(),
            first: if i == 0 { whole.first } else { border(i) },
            end: if i + 1 == n { whole.end } else { border(i + 1) },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_touch_and_the_outer_ones_are_open() {
        let whole = Rowids { rowid: "rowid".to_owned(), first: None, end: None };
        for (min, max, n) in [(1, 100, 4), (-5, 5, 3), (i64::MIN, i64::MAX, 7), (3, 3, 4), (1, 2, 9)] {
            let ranges = cut(&whole, min, max, n);
            assert!(ranges.len() <= n && ranges[0].first.is_none() && ranges[ranges.len() - 1].end.is_none());
            assert!(ranges.windows(2).all(|w| w[0].end.is_some() && w[0].end == w[1].first), "{ranges:?}");
        }
    }
}
