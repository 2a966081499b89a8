//! What the planner says about rows and about questions: nothing here reads a row of a relation.
//! It must not know how a filter or a question becomes SQL, nor what an index is made of.

use rivet_plugin_api::{Cx, Explain, Explained, KeyValue, Measure, Relation, Result};
use rivet_shared_sql::{Conditions, Rows};
use serde_json::Value;

use crate::filter::{question_sql, rows};
use crate::session::PgSession;
use crate::sql::literal;
use crate::{index, lookback};

/// What is read for less than this, in the planner's units, is not worth an index: about 8 MiB in a row.
const SMALL_COST: f64 = 1000.0;
/// A question that costs more, in the planner's units, is not answered by a look at an index: some thousand pages.
const LOOK_COST: f64 = 10_000.0;
/// Most scans that are named.
const MAX_NAMED: usize = 4;

/// What the planner says about the rows of a filter, or about a question.
///
/// # Errors
/// The server's.
pub fn explain(session: &mut PgSession, explain: &Explain, cx: &Cx) -> Result<Explained> {
    let rows = rows(&explain.relation, &explain.filter, Conditions::default())?;
    if let Some(measure) = &explain.measure {
        return question(session, &explain.relation, rows, measure, cx);
    }
    let columns = session.described(&explain.relation, cx)?.readable();
    let statement = format!("SELECT {columns} FROM {rows}");
    let plan = planned(session, &statement, cx).map_err(|e| lookback::explained(e, &explain.filter))?;
    let mut scans = scans(&plan);
    mark_partial(session, &mut scans, cx)?;
    let goes_by_index = |scan: &&ScanNode<'_>| scan.goes_by_index();
    let by_index = scans.iter().any(|s| s.goes_by_index())
        && scans.iter().filter(|s| !s.goes_by_index()).all(|s| s.cost < SMALL_COST);
    let scanned: Vec<&ScanNode<'_>> = scans.iter().filter(|s| !s.goes_by_index()).collect();
    let scanned_rows = rows_of(session, &scanned, cx)?;
    let index_statements = match &explain.filter.range {
        Some(range) if !by_index && !scans.is_empty() => {
            let names: Vec<_> = scanned.iter().filter_map(|s| s.name).collect();
            index::statements(session, &explain.relation, &range.key, &names, cx)?
        }
        _ => Vec::new(),
    };
    Ok(Explained {
        rows: plan["Plan Rows"].as_f64().map(|rows| rows as u64),
        scan: words(&scans),
        by_index: (!scans.is_empty()).then_some(by_index),
        partial_index: scans.iter().filter(goes_by_index).any(|s| s.partial),
        scanned_rows: (!scans.is_empty()).then_some(scanned_rows),
        index_statements,
        known: None,
        statement: Some(statement),
    })
}

/// The planner's top node for a statement.
pub fn planned(session: &mut PgSession, sql: &str, cx: &Cx) -> Result<Value> {
    let text = session.one_text(&format!("EXPLAIN (VERBOSE, FORMAT JSON) {sql}"), cx)?;
    let mut plan: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(plan[0]["Plan"].take())
}

/// Whether indexes answer a question at once. Whether there is such an index is asked, not whether the planner prefers
/// it: of a small relation it would rather read all.
fn question(session: &mut PgSession, relation: &Relation, rows: Rows, measure: &Measure, cx: &Cx) -> Result<Explained> {
    let sql = question_sql(rows, measure)?;
    let before = session.one_text("SELECT pg_catalog.current_setting('enable_seqscan')", cx)?;
    session.client.execute("SET LOCAL enable_seqscan = off", cx)?;
    let plan = planned(session, &sql, cx)?;
    session.client.execute(&format!("SET LOCAL enable_seqscan = {}", literal(&before)), cx)?;
    let scans = scans(&plan);
    let counts = matches!(measure, Measure::Count | Measure::CountNull { .. });
    let is_look = |scan: &ScanNode<'_>| scan.index.is_some() && (scan.has_condition || !counts);
    let cheap = plan["Total Cost"].as_f64().is_some_and(|cost| cost < LOOK_COST)
        && !has_node(&plan, "Sort")
        && scans.iter().all(is_look);
    let known = match measure {
        Measure::Max { key } if !cheap => statistics(session, relation, key, cx)?,
        _ => None,
    };
    Ok(Explained { by_index: Some(cheap), scan: words(&scans), known, ..Default::default() })
}

/// The largest value of a column as its histogram has it.
fn statistics(session: &mut PgSession, relation: &Relation, key: &[String], cx: &Cx) -> Result<Option<KeyValue>> {
    let ([column], Some(oid)) = (key, session.described(relation, cx)?.table_oid) else { return Ok(None) };
    let sql = format!(
        "SELECT b.bounds[pg_catalog.array_upper(b.bounds, 1)], pg_catalog.format_type(a.atttypid, NULL) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
         JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname \
         CROSS JOIN LATERAL (SELECT s.histogram_bounds::pg_catalog.text::pg_catalog.text[] AS bounds) b \
         WHERE c.oid = {oid} AND a.attname = {} AND b.bounds IS NOT NULL ORDER BY s.inherited DESC LIMIT 1",
        literal(column)
    );
    Ok(match session.client.query(&sql, cx)?.rows.first().map(Vec::as_slice) {
        Some([Some(text), Some(native_type)]) => Some(KeyValue::new(native_type, text)),
        _ => None,
    })
}

/// A node of a plan that reads a relation, or makes rows.
struct ScanNode<'p> {
    kind: &'p str,
    /// Schema and name of what is read.
    name: Option<(&'p str, &'p str)>,
    index: Option<&'p str>,
    /// The index is asked for something, not read to its end.
    has_condition: bool,
    /// The index has some of the rows only.
    partial: bool,
    rows: f64,
    cost: f64,
}

impl ScanNode<'_> {
    fn goes_by_index(&self) -> bool {
        self.index.is_some() && (self.has_condition || self.partial)
    }
}

/// All of a plan's scans. What only hands on the rows of a part of the plan is none.
fn scans(plan: &Value) -> Vec<ScanNode<'_>> {
    let mut found = Vec::new();
    walk(plan, &mut |node| {
        let kind = node["Node Type"].as_str().unwrap_or_default();
        let hands_on = ["Bitmap Index Scan", "CTE Scan", "WorkTable Scan", "Subquery Scan"].contains(&kind);
        if kind.ends_with("Scan") && !hands_on {
            let (index, has_condition) = index_of(node);
            found.push(ScanNode {
                kind,
                name: node["Schema"].as_str().zip(node["Relation Name"].as_str()),
                index,
                has_condition,
                partial: false,
                rows: node["Plan Rows"].as_f64().unwrap_or(0.0),
                cost: node["Total Cost"].as_f64().unwrap_or(0.0),
            });
        }
    });
    found
}

fn walk<'p>(node: &'p Value, visit: &mut impl FnMut(&'p Value)) {
    visit(node);
    for part in node["Plans"].as_array().into_iter().flatten() {
        walk(part, visit);
    }
}

fn has_node(plan: &Value, kind: &str) -> bool {
    let mut found = false;
    walk(plan, &mut |node| found |= node["Node Type"].as_str().is_some_and(|k| k.ends_with(kind)));
    found
}

/// The index that a scan goes by, and whether it is asked for something; that of a bitmap is below it.
fn index_of(scan: &Value) -> (Option<&str>, bool) {
    let (mut index, mut has_condition) = (None, false);
    let mut look =
        |node: &Value, name: Option<&str>| has_condition |= name.is_some() && node.get("Index Cond").is_some();
    match scan["Node Type"].as_str() {
        Some("Bitmap Heap Scan") => walk(scan, &mut |node| {
            let name = node["Index Name"].as_str();
            look(node, name);
            index = index.or(name);
        }),
        _ => {
            index = scan["Index Name"].as_str();
            look(scan, index);
        }
    }
    (index, has_condition)
}

/// Looks up which of the indexes have some of the rows only. An index is in the schema of its table.
fn mark_partial(session: &mut PgSession, scans: &mut [ScanNode<'_>], cx: &Cx) -> Result<()> {
    let named = scans.iter().filter_map(|s| Some(pair(s.name?.0, s.index?)));
    let named: Vec<String> = named.collect();
    if named.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE i.indpred IS NOT NULL AND (n.nspname, c.relname) IN ({})",
        named.join(", ")
    );
    for row in session.client.query(&sql, cx)?.rows {
        let [Some(schema), Some(index)] = row.as_slice() else { continue };
        for scan in scans.iter_mut() {
            scan.partial |= scan.index == Some(index) && scan.name.is_some_and(|(of, _)| of == schema);
        }
    }
    Ok(())
}

/// How many rows these scans go through, by the statistics of what they read; what has none counts as the planner says.
fn rows_of(session: &mut PgSession, scans: &[&ScanNode<'_>], cx: &Cx) -> Result<u64> {
    let expected: f64 = scans.iter().map(|s| s.rows).sum();
    let named: Vec<String> = scans.iter().filter_map(|s| s.name).map(|(schema, name)| pair(schema, name)).collect();
    if named.is_empty() {
        return Ok(expected as u64);
    }
    let sql = format!(
        "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0) FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE (n.nspname, c.relname) IN ({})",
        named.join(", ")
    );
    let known: f64 = session.one_text(&sql, cx)?.parse().unwrap_or(0.0);
    Ok(known.max(expected) as u64)
}

fn pair(schema: &str, name: &str) -> String {
    format!("({}, {})", literal(schema), literal(name))
}

/// The scans in the server's words, those without an index first.
fn words(scans: &[ScanNode<'_>]) -> Option<String> {
    let one = |scan: &ScanNode<'_>| {
        let using = scan.index.map(|name| format!(" using {name}")).unwrap_or_default();
        let on = scan.name.map(|(_, name)| format!(" on {name}")).unwrap_or_default();
        format!("{}{using}{on}", scan.kind)
    };
    let (with, without): (Vec<_>, Vec<_>) = scans.iter().partition(|s| s.goes_by_index());
    let mut all: Vec<String> = without.into_iter().chain(with).map(one).collect();
    let n_more = all.len().saturating_sub(MAX_NAMED);
    all.truncate(MAX_NAMED);
    let more = if n_more > 0 { format!(", and {n_more} more") } else { String::new() };
    (!all.is_empty()).then(|| all.join(", ") + &more)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_whole_plan_is_looked_at() {
        let scan = |kind: &str, name: &str, more: Value| {
            let mut node = json!({"Node Type": kind, "Schema": "s", "Relation Name": name, "Total Cost": 5.0});
            node.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            node
        };
        let plan = json!({"Node Type": "Append", "Plans": [
            scan("Index Scan", "a", json!({"Index Name": "a_at", "Index Cond": "(at > 1)"})),
            scan("Index Only Scan", "b", json!({"Index Name": "b_at"})),
            scan("Bitmap Heap Scan", "c", json!({"Plans": [{"Node Type": "BitmapOr", "Plans": [
                {"Node Type": "Bitmap Index Scan", "Index Name": "c_at", "Index Cond": "(at > 1)"}]}]})),
            {"Node Type": "Subquery Scan", "Plans": [scan("Seq Scan", "d", json!({}))]},
            {"Node Type": "CTE Scan"},
        ]});
        let found = scans(&plan);
        let by_index: Vec<_> = found.iter().map(|s| (s.kind, s.index, s.goes_by_index())).collect();
        assert_eq!(
            by_index,
            [
                ("Index Scan", Some("a_at"), true),
                ("Index Only Scan", Some("b_at"), false),
                ("Bitmap Heap Scan", Some("c_at"), true),
                ("Seq Scan", None, false),
            ]
        );
        let said = words(&found).expect("there are scans");
        assert!(
            said.starts_with("Index Only Scan using b_at on b, Seq Scan on d, Index Scan using a_at on a"),
            "{said}"
        );
        assert_eq!(words(&[]), None);
    }
}
