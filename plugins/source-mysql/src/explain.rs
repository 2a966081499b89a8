//! What the planner says about rows and about questions: nothing here reads a row of a relation.
//! It must not know how a filter or a question becomes SQL.

use mysql_async::Value;
use rivet_plugin_api::{Cx, Explain, Explained, Measure, Result};
use rivet_shared_sql::Conditions;

use crate::filter::{question_sql, rows};
use crate::schema::Described;
use crate::session::MySession;
use crate::sql::identifier;

/// Reading fewer rows is not worth an index.
const FEW_ROWS: f64 = 1_000.0;
/// Most scans that are named.
const MAX_NAMED: usize = 4;

/// One row of EXPLAIN: how a table is read.
pub struct Step {
    /// 1 is the outermost SELECT.
    select: u64,
    table: String,
    /// `ALL`, `index`, `range`, `ref` and the like.
    access: String,
    index: Option<String>,
    rows: f64,
    /// Rows that meet the conditions, as a share.
    share: f64,
    extra: String,
}

impl Step {
    fn goes_by_index(&self) -> bool {
        self.index.is_some() && !matches!(self.access.as_str(), "index" | "ALL")
    }
}

/// What the planner says about the rows of a filter, or about a question.
///
/// # Errors
/// The server's.
pub fn explain(session: &mut MySession, explain: &Explain, cx: &Cx) -> Result<Explained> {
    let described = session.described(&explain.relation, cx)?;
    let rows = rows(&explain.relation, &explain.filter, &described, Conditions::default())?;
    if let Some(measure) = &explain.measure {
        let counts = matches!(measure, Measure::Count | Measure::CountNull { .. });
        let steps = planned(session, &question_sql(rows, &described, measure)?, cx)?;
        let is_look = |step: &Step| step.index.is_some() && (!counts || step.goes_by_index());
        let cheap = !steps.is_empty() && steps.iter().all(is_look) && !sorts(&steps);
        return Ok(Explained { by_index: Some(cheap), scan: words(&steps), ..Default::default() });
    }
    let names: Vec<String> = described.columns.iter().map(|plan| identifier(&plan.column.name)).collect();
    let list = if names.is_empty() { "1".to_owned() } else { names.join(", ") };
    let statement = format!("SELECT {list} FROM {rows}");
    let steps = planned(session, &statement, cx)?;
    let scanned = || steps.iter().filter(|step| !step.goes_by_index());
    let by_index = steps.iter().any(Step::goes_by_index) && scanned().all(|step| step.rows < FEW_ROWS);
    let index_statements = match &explain.filter.range {
        Some(range) if !by_index => index_statement(&described, &range.key).into_iter().collect(),
        _ => Vec::new(),
    };
    Ok(Explained {
        rows: expected(&steps),
        scan: words(&steps),
        by_index: (!steps.is_empty()).then_some(by_index),
        partial_index: false,
        scanned_rows: (!steps.is_empty()).then(|| scanned().map(|step| step.rows).sum::<f64>() as u64),
        index_statements,
        known: None,
        statement: Some(statement),
    })
}

/// The rows that the outermost SELECT is expected to deliver.
pub fn expected(steps: &[Step]) -> Option<u64> {
    let outermost = steps.iter().filter(|step| step.select <= 1);
    let rows = outermost.map(|step| step.rows * step.share).reduce(|a, b| a * b)?;
    Some(rows.round() as u64)
}

/// Whether an order is made that no index gives.
pub fn sorts(steps: &[Step]) -> bool {
    steps.iter().any(|step| step.extra.contains("filesort") || step.extra.contains("temporary"))
}

/// The planner's steps for a statement.
///
/// # Errors
/// The server's.
pub fn planned(session: &mut MySession, sql: &str, cx: &Cx) -> Result<Vec<Step>> {
    let how = if session.client.is_mariadb() { "EXPLAIN" } else { "EXPLAIN FORMAT=TRADITIONAL" };
    let (columns, rows) = session.client.values(&format!("{how} {sql}"), cx)?;
    let names: Vec<String> = columns.iter().map(|column| column.name_str().to_ascii_lowercase()).collect();
    let step = |row: &Vec<Value>| {
        let text = |name: &str| {
            let at = names.iter().position(|found| found == name)?;
            match row.get(at)? {
                Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                Value::Int(n) => Some(n.to_string()),
                Value::UInt(n) => Some(n.to_string()),
                Value::Double(n) => Some(n.to_string()),
                Value::Float(n) => Some(n.to_string()),
                _ => None,
            }
        };
        let table = text("table")?;
        let number = |name: &str| text(name).and_then(|n| n.parse::<f64>().ok());
        Some(Step {
            select: text("id").and_then(|n| n.parse().ok()).unwrap_or(1),
            table,
            access: text("type").unwrap_or_default(),
            index: text("key"),
            rows: number("rows").unwrap_or_default(),
            share: number("filtered").map_or(1.0, |percent| percent / 100.0),
            extra: text("extra").unwrap_or_default(),
        })
    };
    Ok(rows.iter().filter_map(step).collect())
}

/// What makes the index that finds a range of a key of one column.
fn index_statement(described: &Described, key: &[String]) -> Option<String> {
    let ([name], Some(table)) = (key, described.table.as_ref().filter(|table| table.has_own_rows())) else {
        return None;
    };
    let plan = described.column(name)?;
    // Those need a length, which nobody can guess.
    let is_long = ["text", "blob", "json", "geometry"].iter().any(|long| plan.catalog.name.ends_with(long));
    let (schema, table) = (identifier(&table.schema), identifier(&table.name));
    (!is_long).then(|| format!("ALTER TABLE {schema}.{table} ADD INDEX ({});", identifier(name)))
}

/// The steps in the server's words, those without an index first.
fn words(steps: &[Step]) -> Option<String> {
    let one = |step: &Step| {
        let using = step.index.as_ref().map(|name| format!(" using {name}")).unwrap_or_default();
        format!("{}{using} on {}", step.access, step.table)
    };
    let (with, without): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(|step| step.goes_by_index());
    let mut all: Vec<String> = without.into_iter().chain(with).map(one).collect();
    let n_more = all.len().saturating_sub(MAX_NAMED);
    all.truncate(MAX_NAMED);
    let more = if n_more > 0 { format!(", and {n_more} more") } else { String::new() };
    (!all.is_empty()).then(|| all.join(", ") + &more)
}
