//! Reading: the statement of a scan, and its rows as batches.
//! It must not know how rows travel or how a value is decoded.

use std::time::Instant;

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, PluginError, ReadMode, RecordBatch, Result, Scan, SchemaRef, StreamFacts, TableSchema,
};
use rivet_shared_sql::{Rows, as_planned};

use crate::decode::BatchDecoder;
use crate::error::TOO_LARGE;
use crate::filter::rows;
use crate::schema::Described;
use crate::session::MySession;
use crate::sql::identifier;
use crate::types::ColumnPlan;
use crate::{oversized, split};

/// Starts a scan.
///
/// # Errors
/// `Schema` when the relation no longer has the planned columns, else the server's error.
pub fn start<'s>(session: &'s mut MySession, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
    if scan.read != ReadMode::Stream {
        let text = format!("cannot read by {:?}", scan.read);
        return Err(PluginError::new(ErrorKind::Unsupported, "mysql.read_mode", text));
    }
    let described = session.described(&scan.relation, cx)?;
    let columns = planned_columns(&described, scan)?;
    let schema = TableSchema::of(scan.columns.clone()).arrow_schema(scan.types);
    let decoder = BatchDecoder::new(&columns, schema.clone(), scan.max_batch_rows, scan.max_batch_bytes)?;
    let rows = rows_of(scan, &described)?;
    if tracing::enabled!(tracing::Level::DEBUG) {
        let hidden = Scan { filter: scan.filter.without_values(), split: None, ..scan.clone() };
        let split = scan.split.as_ref().map(|split| format!(", {}", split.label)).unwrap_or_default();
        tracing::debug!("reads: {}{split}", select_sql(&hidden, &columns, &rows_of(&hidden, &described)?));
    }
    let started = Instant::now();
    session.client.start(&select_sql(scan, &columns, &rows), cx)?;
    let longest_ms = None;
    Ok(Box::new(Stream { session, schema, decoder, columns, rows: rows.to_string(), started, longest_ms }))
}

/// The planned columns as this session's catalogue has them.
fn planned_columns(described: &Described, scan: &Scan) -> Result<Vec<ColumnPlan>> {
    let now = |planned| as_planned(planned, &described.columns, |plan| &plan.column, "mysql.schema_changed").cloned();
    scan.columns.iter().map(now).collect()
}

fn rows_of(scan: &Scan, described: &Described) -> Result<Rows> {
    let of_split = scan.split.as_ref().map(|split| split::conditions(split, described)).transpose()?;
    rows(&scan.relation, &scan.filter, described, of_split.unwrap_or_default())
}

fn select_sql(scan: &Scan, columns: &[ColumnPlan], rows: &Rows) -> String {
    let limit = scan.limit.map(|n| format!(" LIMIT {n}")).unwrap_or_default();
    let items: Vec<String> = columns.iter().map(|plan| plan.select.render(&identifier(&plan.column.name))).collect();
    format!("SELECT {} FROM {rows}{limit}", items.join(", "))
}

/// One statement for everything.
struct Stream<'s> {
    session: &'s mut MySession,
    schema: SchemaRef,
    decoder: BatchDecoder,
    columns: Vec<ColumnPlan>,
    /// What follows FROM, to find which column is too large.
    rows: String,
    started: Instant,
    /// How long the statement took, once it has ended.
    longest_ms: Option<u64>,
}

impl Stream<'_> {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl BatchStream for Stream<'_> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        if self.longest_ms.is_none() {
            let decoder = &mut self.decoder;
            let read = self.session.client.rows(cx, |row| {
                decoder.push(row)?;
                Ok(!decoder.is_full())
            });
            match read {
                Ok(true) => self.longest_ms = Some(self.elapsed_ms()),
                Ok(false) => {}
                Err(e) if e.code() == TOO_LARGE => {
                    let row = self.decoder.rows() + 1;
                    return Err(oversized::named(
                        e,
                        self.session.client.settings(),
                        &self.columns,
                        &self.rows,
                        row,
                        cx,
                    ));
                }
                Err(e) => return Err(e),
            }
        }
        if self.decoder.is_empty() { Ok(None) } else { self.decoder.finish().map(Some) }
    }

    fn facts(&self) -> StreamFacts {
        StreamFacts {
            longest_statement_ms: self.longest_ms.unwrap_or_else(|| self.elapsed_ms()),
            policy_hits: self.decoder.policy_hits(),
            ..Default::default()
        }
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.session.client.cancel_and_drain();
    }
}
