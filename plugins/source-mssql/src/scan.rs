//! Reading: the statement of a scan.
//! It must not know how rows travel or how a value is decoded.

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, PluginError, ReadMode, RecordBatch, Relation, Result, Scan, SchemaRef, StreamFacts,
    TableSchema,
};
use rivet_shared_sql::{as_planned, hint};

use crate::decode::BatchDecoder;
use crate::filter::rows;
use crate::read::Reading;
use crate::schema::Described;
use crate::session::{MssqlSession, lost};
use crate::split;
use crate::sql::identifier;
use crate::types::ColumnPlan;

/// Starts a scan.
///
/// # Errors
/// `Schema` when the relation no longer has the planned columns, else the server's error.
pub fn start<'s>(session: &'s mut MssqlSession, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
    if scan.read != ReadMode::Stream {
        let text = format!("cannot read by {:?}", scan.read);
        return Err(PluginError::new(ErrorKind::Unsupported, "mssql.read_mode", text));
    }
    let described = session.described(&scan.relation, cx)?;
    let now = |planned| as_planned(planned, &described.columns, |plan| &plan.column, "mssql.schema_changed").cloned();
    let columns = scan.columns.iter().map(now).collect::<Result<Vec<ColumnPlan>>>()?;
    let schema = TableSchema::of(scan.columns.clone()).arrow_schema(scan.types);
    let select = select_sql(scan, &columns, &described)?;
    if tracing::enabled!(tracing::Level::DEBUG) {
        let shown = Scan { filter: scan.filter.without_values(), ..scan.clone() };
        tracing::debug!("reads: {}", select_sql(&shown, &columns, &described)?);
    }
    let limits = (scan.max_batch_rows, scan.max_batch_bytes);
    let converted: Vec<String> =
        columns.iter().filter(|plan| plan.may_not_fit()).map(|plan| plan.column.name.clone()).collect();
    let decoder = BatchDecoder::new(columns, schema.clone(), limits, session.max_value_bytes)?;
    let in_snapshot = session.is_in_snapshot();
    let reading = Reading::start(&mut session.client, select, decoder, cx);
    let reading = reading.map_err(|e| unfit(lost(in_snapshot, e), &converted))?;
    Ok(Box::new(Stream { schema, reading, in_snapshot, converted }))
}

fn select_sql(scan: &Scan, columns: &[ColumnPlan], described: &Described) -> Result<String> {
    let of_split = scan.split.as_ref().map(split::conditions).transpose()?.unwrap_or_default();
    if let Relation::Query { sql } = &scan.relation
        && scan.filter.is_empty()
        && of_split.is_empty()
        && scan.limit.is_none()
        && is_as_it_is(columns, described)
    {
        // What begins with WITH, or ends in ORDER BY, can be no part of another query.
        return Ok(of_split.fill(sql).0);
    }
    let rows = rows(&scan.relation, &scan.filter, of_split)?;
    let list: Vec<String> =
        columns.iter().map(|c| format!("{} AS {}", c.expression(), identifier(&c.column.name))).collect();
    let top = scan.limit.map(|n| format!("TOP ({n}) ")).unwrap_or_default();
    Ok(format!("SELECT {top}{} FROM {rows}", list.join(", ")))
}

/// Whether all columns are asked for, in their order and each as it is.
fn is_as_it_is(columns: &[ColumnPlan], described: &Described) -> bool {
    let same =
        |(asked, there): (&ColumnPlan, &ColumnPlan)| asked.column.name == there.column.name && asked.select == "@";
    let is_all = !described.skipped && columns.len() == described.columns.len();
    is_all && columns.iter().zip(&described.columns).all(same)
}

/// One statement for everything.
struct Stream<'s> {
    schema: SchemaRef,
    reading: Reading<'s>,
    in_snapshot: bool,
    /// Columns that the server converts to what was chosen for them.
    converted: Vec<String>,
}

/// The server says of a value that cannot be converted neither its column nor what to do.
fn unfit(e: PluginError, converted: &[String]) -> PluginError {
    if e.kind() != ErrorKind::Data || e.vendor().is_none() || converted.is_empty() {
        return e;
    }
    let e = if let [one] = converted { e.detail("column", one) } else { e };
    let lines: Vec<String> = converted.iter().map(|name| hint::column(name, "text")).collect();
    e.hint(format!(
        "where the value does not fit the type that was chosen, read the column as text: {}",
        lines.join(" or ")
    ))
}

impl BatchStream for Stream<'_> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        self.reading.next(cx).map_err(|e| unfit(lost(self.in_snapshot, e), &self.converted))
    }
    fn facts(&self) -> StreamFacts {
        StreamFacts {
            longest_statement_ms: self.reading.elapsed_ms(),
            policy_hits: self.reading.policy_hits(),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::Choices;

    use super::*;

    #[test]
    fn a_query_with_a_column_that_is_left_out_is_not_run_as_it_is() {
        let plan = ColumnPlan::chosen("id", true, "int", None, &Choices::default()).expect("a number");
        let sql = "SELECT id, place FROM t";
        let scan = Scan::new(Relation::Query { sql: sql.to_owned() }, vec![plan.column.clone()]);
        let columns = vec![plan];
        for (skipped, begins) in [(false, sql), (true, "SELECT \"id\" AS \"id\" FROM (")] {
            let described = Described { columns: columns.clone(), skipped, object: None };
            let found = select_sql(&scan, &columns, &described).expect("a statement");
            assert!(found.starts_with(begins), "{found}");
        }
    }
}
