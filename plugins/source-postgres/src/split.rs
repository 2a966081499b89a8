//! Size, and cutting a table into ranges of physical pages.
//! It must not know how many splits are worth it, nor how a range is read.

mod keys;
mod statistics;

use rivet_plugin_api::{Cx, ErrorKind, Estimate, PluginError, Relation, Result, Split, SplitRequest};
use rivet_shared_sql::{Conditions, KeyRows};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::session::PgSession;
use crate::sql::from_item;

/// The first version that reads a range of pages without scanning the whole table (TID range scan).
const TID_RANGE_VERSION: u32 = 140_000;

/// A split: the pages from `first` up to and without `end`, 0-based; to the table's end when absent, so that pages
/// added between the snapshot and the look at the file's size are read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pages {
    pub first: u64,
    pub end: Option<u64>,
}

impl Pages {
    /// The range that a split of ours describes.
    pub fn of(split: &Split) -> Result<Self> {
        serde_json::from_value(split.spec.clone()).map_err(|_| {
            PluginError::new(ErrorKind::Internal, "postgres.split", "the split was not made by this plugin")
        })
    }

    /// A condition on `ctid` that holds for exactly the rows of these pages.
    pub fn condition(self) -> String {
        let lower = format!("ctid >= '({},0)'::tid", self.first);
        match self.end {
            Some(end) => format!("{lower} AND ctid < '({end},0)'::tid"),
            None => lower,
        }
    }

    fn into_split(self) -> Split {
        let end = self.end.map_or_else(|| "end".to_owned(), |end| end.to_string());
        Split {
            label: format!("pages {}..{end}", self.first),
            spec: serde_json::to_value(self).unwrap_or(Value::Null),
            estimated_rows: None,
            stable: false,
        }
    }
}

/// Conditions that hold for exactly the rows of a split of ours.
pub fn conditions(split: &Split) -> Result<Conditions> {
    match KeyRows::of(split) {
        Some(rows) => rows.conditions(&mut keys::Literals),
        None => Ok(std::iter::once(Pages::of(split)?.condition()).collect()),
    }
}

/// What the planner expects: statistics scaled to the file's present size, for tables, views and queries alike.
pub fn estimate(session: &mut PgSession, relation: &Relation, cx: &Cx) -> Result<Estimate> {
    let described = session.described(relation, cx)?;
    let explain = format!("SELECT {} FROM {}", described.readable(), from_item(relation));
    let plan = explained(session, &explain, cx)?;
    let rows = plan["Plan Rows"].as_f64().map(|rows| rows as u64);
    let width = plan["Plan Width"].as_u64().unwrap_or(0);
    let disk_bytes = match described.table_oid {
        Some(oid) => {
            session.one_text(&format!("SELECT coalesce(pg_catalog.pg_table_size({oid}), 0)"), cx)?.parse::<u64>().ok()
        }
        None => None,
    };
    let splittable = described.plain_heap && session.client.server_version_num() >= TID_RANGE_VERSION;
    let bytes = disk_bytes.filter(|b| *b > 0).or_else(|| rows.map(|rows| rows.saturating_mul(width)));
    Ok(Estimate { rows, bytes, splittable })
}

/// The planner's top node for a statement.
pub fn explained(session: &mut PgSession, sql: &str, cx: &Cx) -> Result<Value> {
    let text = session.one_text(&format!("EXPLAIN (FORMAT JSON) {sql}"), cx)?;
    let mut plan: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(plan[0]["Plan"].take())
}

/// Cuts along a key where that is asked for; else a plain table, or one of its ranges, into ranges of pages.
pub fn split(session: &mut PgSession, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
    if let Some(splits) = keys::split(session, request, cx)? {
        return Ok(splits);
    }
    let described = session.described(&request.relation, cx)?;
    let whole = match &request.within {
        Some(split) => Pages::of(split)?,
        None => Pages { first: 0, end: None },
    };
    let (true, Some(oid)) = (described.plain_heap, described.table_oid) else { return Ok(vec![whole.into_split()]) };
    if session.client.server_version_num() < TID_RANGE_VERSION {
        return Ok(vec![whole.into_split()]);
    }
    let sql = format!("SELECT pg_catalog.pg_relation_size({oid}) / pg_catalog.current_setting('block_size')::bigint");
    let n_pages = session.one_text(&sql, cx)?.parse::<u64>().unwrap_or(0);
    Ok(cut(whole, n_pages, request.n_splits).into_iter().map(Pages::into_split).collect())
}

/// Cuts `whole` into up to `n` ranges of about equal size that touch and do not overlap.
fn cut(whole: Pages, n_pages: u64, n: usize) -> Vec<Pages> {
    let last = whole.end.unwrap_or(n_pages).max(whole.first);
    let n = (n as u64).clamp(1, (last - whole.first).max(1));
    let border = |i: u64| {
        let offset = u128::from(last - whole.first) * u128::from(i) / u128::from(n);
        whole.first + u64::try_from(offset).unwrap_or(u64::MAX)
    };
    let range = |i: u64| Pages { first: border(i), end: if i + 1 == n { whole.end } else { Some(border(i + 1)) } };
    (0..n).map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_touch_and_the_last_is_open() {
        for (n_pages, n) in [(0, 4), (1, 4), (7, 3), (1_000_003, 16), (5, 5)] {
            let ranges = cut(Pages { first: 0, end: None }, n_pages, n);
            assert_eq!(ranges[0].first, 0);
            assert_eq!(ranges[ranges.len() - 1].end, None);
            assert!(ranges.windows(2).all(|w| w[0].end == Some(w[1].first) && w[0].first < w[1].first), "{ranges:?}");
            assert!(ranges.len() <= n);
        }
    }

    #[test]
    fn a_range_is_cut_within_its_bounds() {
        let half = cut(Pages { first: 10, end: Some(20) }, 999, 2);
        assert_eq!(half, [Pages { first: 10, end: Some(15) }, Pages { first: 15, end: Some(20) }]);
        assert_eq!(half[1].condition(), "ctid >= '(15,0)'::tid AND ctid < '(20,0)'::tid");
    }
}
