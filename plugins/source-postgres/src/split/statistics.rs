//! Borders along a key by what ANALYZE left: no row is read.
//! It must not know what happens where there are no statistics.

use rivet_plugin_api::{Cx, KeyValue, LogicalType, Relation, Result};
use rivet_shared_sql::{Key, Share, identifier};

use crate::catalogue::number;
use crate::explain::planned;
use crate::session::PgSession;
use crate::sql::{from_item, literal};

/// Fewer rows than this are looked at faster than their statistics.
const SMALL_ROWS: u64 = 10_000;

/// Borders along a column of a table that is read whole; none where the statistics do not say enough.
///
/// # Errors
/// The server's.
pub fn borders(
    session: &mut PgSession,
    relation: &Relation,
    column: &str,
    share: Share,
    cx: &Cx,
) -> Result<Option<Vec<Key>>> {
    let described = session.described(relation, cx)?;
    let plan = described.columns.iter().find(|plan| plan.column.name == column);
    let (Some(oid), Some(plan)) = (described.table_oid, plan) else { return Ok(None) };
    // Lists of lists, and of what is made of several values, cannot be read back by the type's name.
    if matches!(plan.column.logical, LogicalType::List { .. } | LogicalType::Struct { .. }) {
        return Ok(None);
    }
    let of_plan = planned(session, &format!("SELECT {} FROM {}", identifier(column), from_item(relation)), cx)?;
    let expected = of_plan["Plan Rows"].as_f64().unwrap_or(0.0) as u64;
    if expected < SMALL_ROWS {
        return Ok(None);
    }
    let values = values(session, &statement(relation, oid, column, &plan.column.native_type), cx)?;
    if values.is_empty() {
        return Ok(None);
    }
    let n_ranges = match share {
        Share::Ranges(n) => n,
        Share::Rows(rows) => usize::try_from(expected.div_ceil(rows.max(1))).unwrap_or(usize::MAX),
    };
    // With fewer values than ranges, those would be of more than twice the size that was asked for.
    Ok((n_ranges < values.len()).then(|| chosen(values, n_ranges)))
}

/// A value, and which part of all rows has no larger one.
type Value = (KeyValue, f64);

/// Each value of the statistics in the order of the column, whose type and collation a UNION takes from the column itself.
fn statement(relation: &Relation, oid: u32, column: &str, native_type: &str) -> String {
    let of = format!(
        "pg_catalog.pg_stats s JOIN pg_catalog.pg_namespace n ON n.nspname = s.schemaname \
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename AND c.oid = {oid} \
         AND s.inherited = (c.relkind = 'p') AND s.attname = {}",
        literal(column)
    );
    let column = identifier(column);
    format!(
        "SELECT r.v::text, pg_catalog.pg_typeof(coalesce(r.v, NULL))::text, \
           pg_catalog.sum(r.w) OVER (ORDER BY r.v) \
         FROM (SELECT {column} AS v, 0::float8 AS w FROM {from} WHERE false \
           UNION ALL SELECT m.v, m.w::float8 FROM {of} CROSS JOIN LATERAL ROWS FROM ( \
             pg_catalog.unnest(s.most_common_vals::text::{native_type}[]), pg_catalog.unnest(s.most_common_freqs)) AS m(v, w) \
           UNION ALL SELECT h.v, CASE WHEN h.i = 1 THEN 0 ELSE \
               (1 - s.null_frac - coalesce((SELECT pg_catalog.sum(f) FROM pg_catalog.unnest(s.most_common_freqs) f), 0)) \
               / greatest(pg_catalog.array_length(s.histogram_bounds::text::{native_type}[], 1) - 1, 1) END \
             FROM {of} CROSS JOIN LATERAL pg_catalog.unnest(s.histogram_bounds::text::{native_type}[]) \
             WITH ORDINALITY AS h(v, i)) AS r ORDER BY r.v",
        from = from_item(relation)
    )
}

fn values(session: &mut PgSession, sql: &str, cx: &Cx) -> Result<Vec<Value>> {
    let found = session.client.query(sql, cx)?;
    let value = |row: &Vec<Option<String>>| match row.as_slice() {
        [Some(text), Some(native_type), Some(upto)] => Ok(Some((KeyValue::new(native_type, text), number(upto)?))),
        _ => Ok(None),
    };
    Ok(found.rows.iter().map(value).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// The values nearest to the ends of so many equal parts.
fn chosen(values: Vec<Value>, n_ranges: usize) -> Vec<Key> {
    let all = values.last().map_or(0.0, |(_, upto)| *upto);
    let mut borders: Vec<Key> = Vec::new();
    let mut next = 1;
    // Nothing is below the first.
    for (value, upto) in values.into_iter().skip(1) {
        if next < n_ranges && upto * n_ranges as f64 >= all * next as f64 && upto < all {
            next = (upto * n_ranges as f64 / all) as usize + 1;
            borders.push(vec![value]);
        }
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_part_the_rows_evenly() {
        let values = |upto: &[f64]| -> Vec<Value> {
            upto.iter().enumerate().map(|(i, upto)| (KeyValue::new("integer", i.to_string()), *upto)).collect()
        };
        let picked = |upto: &[f64], n| -> Vec<String> {
            chosen(values(upto), n).into_iter().map(|key| key[0].text.clone()).collect()
        };
        let even: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
        assert_eq!(picked(&even, 4), ["25", "50", "75"]);
        assert_eq!(picked(&even, 1), [""; 0]);
        // One value has most rows: it is one range, with what is around it.
        assert_eq!(picked(&[0.1, 0.9, 0.95, 1.0], 4), ["1"]);
        assert_eq!(picked(&[0.0, 0.0, 0.0], 2), [""; 0]);
    }
}
