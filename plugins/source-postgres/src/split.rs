//! Size, and cutting a table into ranges of physical pages: the same range of pages of all its partitions or children.
//! It must not know how many splits are worth it, nor how a range is read.

mod keys;
mod statistics;

use rivet_plugin_api::{Cx, ErrorKind, Estimate, PluginError, Relation, Result, Split, SplitRequest};
use rivet_shared_sql::{Conditions, KeyRows};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalogue::{number, unexpected};
use crate::explain::planned;
use crate::schema::Described;
use crate::session::PgSession;
use crate::sql::from_item;

/// The first version that reads a range of pages without scanning the whole table (TID range scan).
const TID_RANGE_VERSION: u32 = 140_000;

/// Pages that the planner takes a table for that has fewer, and no statistics.
const ASSUMED_PAGES: u64 = 10;

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

    fn into_split(self, n_heaps: usize) -> Split {
        let end = self.end.map_or_else(|| "end".to_owned(), |end| end.to_string());
        let of = if n_heaps > 1 { format!(" of {n_heaps} tables") } else { String::new() };
        Split {
            label: format!("pages {}..{end}{of}", self.first),
            spec: serde_json::to_value(self).unwrap_or(Value::Null),
            estimated_rows: None,
            stable: false,
        }
    }
}

/// The heaps that a table's rows are in: itself, or its partitions and theirs, or itself with its children.
struct Heaps {
    /// Pages of each.
    pages: Vec<u64>,
    /// Bytes of all, with what is stored out of line.
    bytes: u64,
    /// All are heaps, whose pages hold each row once; none is a foreign table or of another access method.
    plain: bool,
    /// All have statistics.
    analyzed: bool,
}

impl Heaps {
    /// Of a table, as it is on disk now.
    fn of(session: &mut PgSession, oid: u32, cx: &Cx) -> Result<Self> {
        let sql = format!(
            "WITH RECURSIVE tree(oid) AS (SELECT '{oid}'::pg_catalog.oid \
               UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid), \
             member AS (SELECT c.oid, c.relkind IN ('r', 'm') AND am.amname = 'heap' AS plain, \
                 c.reltuples < 0 OR c.relpages = 0 AS fresh \
               FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid \
               LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.relkind <> 'p') \
             SELECT coalesce(plain, false), \
               coalesce(CASE WHEN plain THEN pg_catalog.pg_relation_size(oid) \
                 / pg_catalog.current_setting('block_size')::pg_catalog.int8 END, 0), \
               coalesce(pg_catalog.pg_table_size(oid), 0), fresh FROM member ORDER BY oid"
        );
        let mut heaps = Self { pages: Vec::new(), bytes: 0, plain: true, analyzed: true };
        for row in session.client.query(&sql, cx)?.rows {
            let [Some(plain), Some(n_pages), Some(bytes), Some(fresh)] = row.as_slice() else {
                return Err(unexpected());
            };
            heaps.plain &= plain == "t";
            heaps.analyzed &= fresh == "f";
            heaps.pages.push(number(n_pages)?);
            heaps.bytes += number::<u64>(bytes)?;
        }
        Ok(heaps)
    }

    /// What the planner expects of a small table without statistics, as if it had ten pages, for the pages that it has.
    fn corrected(&self, rows: u64) -> u64 {
        match self.pages.as_slice() {
            _ if !self.plain => rows,
            pages if pages.iter().all(|n| *n == 0) => 0,
            [n_pages] if !self.analyzed && *n_pages < ASSUMED_PAGES => (rows * n_pages).div_ceil(ASSUMED_PAGES),
            _ => rows,
        }
    }

    /// How many pages lie before this one in each of them, together.
    fn before(&self, page: u64) -> u64 {
        self.pages.iter().map(|n| page.min(*n)).sum()
    }

    /// The first page before which so many lie.
    fn page_after(&self, n_before: u64) -> u64 {
        let (mut low, mut high) = (0, self.pages.iter().copied().max().unwrap_or(0));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.before(middle) < n_before { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Cuts `whole` into up to `n` ranges of about as many pages each that touch and do not overlap. The last one stays
    /// open where `whole` is.
    fn cut(&self, whole: Pages, n: usize) -> Vec<Pages> {
        let end = whole.end.unwrap_or(u64::MAX);
        let (from, to) = (self.before(whole.first), self.before(end));
        let n = (n as u64).clamp(1, to.saturating_sub(from).max(1));
        let border = |i: u64| {
            let offset = u128::from(to - from) * u128::from(i) / u128::from(n);
            self.page_after(from + u64::try_from(offset).unwrap_or(u64::MAX))
        };
        let mut borders: Vec<u64> = (1..n).map(border).filter(|page| *page > whole.first && *page < end).collect();
        borders.dedup();
        let firsts = [whole.first].into_iter().chain(borders.iter().copied());
        let ends = borders.iter().copied().map(Some).chain([whole.end]);
        firsts.zip(ends).map(|(first, end)| Pages { first, end }).collect()
    }
}

/// Whether a table is to be cut by its pages, as far as its description says.
fn may_be_cut(session: &PgSession, described: &Described) -> Option<u32> {
    described.table_oid.filter(|_| described.own_pages && session.client.server_version_num() >= TID_RANGE_VERSION)
}

/// Conditions that hold for exactly the rows of a split of ours.
pub fn conditions(split: &Split, loose: bool) -> Result<Conditions> {
    match KeyRows::of(split) {
        Some(rows) => rows.conditions(&mut keys::Literals { loose }),
        None => Ok(std::iter::once(Pages::of(split)?.condition()).collect()),
    }
}

/// What the planner expects: statistics scaled to the file's present size, for tables, views and queries alike.
pub fn estimate(session: &mut PgSession, relation: &Relation, cx: &Cx) -> Result<Estimate> {
    let described = session.described(relation, cx)?;
    let plan = planned(session, &format!("SELECT {} FROM {}", described.readable(), from_item(relation)), cx)?;
    let rows = plan["Plan Rows"].as_f64().map(|rows| rows as u64);
    let width = plan["Plan Width"].as_u64().unwrap_or(0);
    let heaps = described.table_oid.map(|oid| Heaps::of(session, oid, cx)).transpose()?;
    let rows = match &heaps {
        Some(heaps) if described.has_own_rows => rows.map(|rows| heaps.corrected(rows)),
        _ => rows,
    };
    let disk_bytes = heaps.as_ref().map(|heaps| heaps.bytes).filter(|bytes| *bytes > 0);
    let bytes = disk_bytes.or_else(|| rows.map(|rows| rows.saturating_mul(width)));
    let splittable = may_be_cut(session, &described).is_some() && heaps.is_some_and(|heaps| heaps.plain);
    Ok(Estimate { rows, bytes, splittable })
}

/// Cuts along a key where that is asked for; else a table, or one of its ranges, into ranges of pages.
pub fn split(session: &mut PgSession, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
    if let Some(splits) = keys::split(session, request, cx)? {
        return Ok(splits);
    }
    let described = session.described(&request.relation, cx)?;
    let whole = match &request.within {
        Some(split) => Pages::of(split)?,
        None => Pages { first: 0, end: None },
    };
    let Some(oid) = may_be_cut(session, &described) else { return Ok(vec![whole.into_split(1)]) };
    let heaps = Heaps::of(session, oid, cx)?;
    let n_heaps = heaps.pages.len();
    let ranges = if heaps.plain { heaps.cut(whole, request.n_splits) } else { vec![whole] };
    Ok(ranges.into_iter().map(|range| range.into_split(n_heaps)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heaps(pages: &[u64]) -> Heaps {
        Heaps { pages: pages.to_vec(), bytes: 0, plain: true, analyzed: true }
    }

    #[test]
    fn ranges_touch_and_the_last_is_open() {
        let trees: [&[u64]; 8] = [&[], &[0], &[1], &[7], &[1_000_003], &[0, 5, 0], &[3, 1_000, 10], &[1; 40]];
        for pages in trees {
            for n in [1, 3, 4, 16] {
                let ranges = heaps(pages).cut(Pages { first: 0, end: None }, n);
                assert_eq!((ranges[0].first, ranges[ranges.len() - 1].end), (0, None));
                let touch = |w: &[Pages]| w[0].end == Some(w[1].first) && w[0].first < w[1].first;
                assert!(ranges.windows(2).all(touch), "{pages:?} {ranges:?}");
                assert!(ranges.len() <= n);
            }
        }
    }

    #[test]
    fn each_range_has_about_as_many_pages_of_all_tables_together() {
        let heaps = heaps(&[100, 300, 0, 1_000]);
        let ranges = heaps.cut(Pages { first: 0, end: None }, 4);
        let sizes = ranges.iter().map(|r| heaps.before(r.end.unwrap_or(u64::MAX)) - heaps.before(r.first));
        assert_eq!(sizes.collect::<Vec<_>>(), [350; 4]);
    }

    #[test]
    fn without_statistics_a_small_table_is_no_larger_than_its_pages() {
        let fresh = |pages: &[u64]| Heaps { analyzed: false, ..heaps(pages) };
        assert_eq!((fresh(&[1]).corrected(1270), fresh(&[12]).corrected(1270)), (127, 1270));
        assert_eq!((fresh(&[0, 0]).corrected(2550), heaps(&[1]).corrected(5)), (0, 5));
        assert_eq!(Heaps { plain: false, ..fresh(&[]) }.corrected(7), 7);
    }

    #[test]
    fn a_range_is_cut_within_its_bounds() {
        let half = heaps(&[999]).cut(Pages { first: 10, end: Some(20) }, 2);
        assert_eq!(half, [Pages { first: 10, end: Some(15) }, Pages { first: 15, end: Some(20) }]);
        assert_eq!(half[1].condition(), "ctid >= '(15,0)'::tid AND ctid < '(20,0)'::tid");
        let beyond = heaps(&[5]).cut(Pages { first: 10, end: None }, 3);
        assert_eq!(beyond, [Pages { first: 10, end: None }]);
    }
}
