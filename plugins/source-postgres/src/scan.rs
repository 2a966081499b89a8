//! Reading: the statement of a scan, and its rows as batches.
//! It must not know how rows travel or how a field is decoded.

use std::time::Instant;

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, PluginError, ReadMode, RecordBatch, Result, Scan, SchemaRef, StreamFacts, TableSchema,
};

use crate::connect::Client;
use crate::decode::BatchDecoder;
use crate::filter::Rows;
use crate::locks::Locks;
use crate::session::PgSession;
use crate::split::Pages;
use crate::stream::RowFrames;
use crate::types::ColumnPlan;
use crate::{error, select};

/// The cursor of a scan in fetch mode; one at a time per session.
const CURSOR: &str = "rivet_cursor";

/// Rows of the first fetch: enough to learn how wide rows are.
const FIRST_FETCH_ROWS: usize = 100;

/// Starts a scan.
///
/// # Errors
/// `Schema` when the relation no longer has the planned columns, else the server's error.
pub fn start<'s>(session: &'s mut PgSession, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
    let columns = planned_columns(session, scan, cx)?;
    let schema = TableSchema { columns: scan.columns.clone() }.arrow_schema(scan.types);
    let decoder = BatchDecoder::new(&columns, schema.clone(), scan.max_batch_rows, scan.max_batch_bytes)?;
    let select = select_sql(scan, &columns)?;
    let timing = Timing::start();
    let names = columns.into_iter().map(|c| c.column.name).collect();
    let reader = Reader { schema, decoder, names, timing };
    match scan.read {
        ReadMode::Stream => {
            let frames = session.client.copy_out(&format!("COPY ({select}) TO STDOUT (FORMAT binary)"), cx);
            let frames = frames.map_err(|e| session.locks.futile(e))?;
            Ok(Box::new(CopyStream { reader, frames: Some(frames), locks: &mut session.locks }))
        }
        ReadMode::Fetch => {
            let declare = format!("DECLARE {CURSOR} BINARY NO SCROLL CURSOR WITHOUT HOLD FOR {select}");
            session.client.execute(&declare, cx).map_err(|e| session.locks.futile(e))?;
            let next_rows = FIRST_FETCH_ROWS.min(scan.max_batch_rows);
            let (max_rows, max_bytes) = (scan.max_batch_rows, scan.max_batch_bytes);
            let PgSession { client, locks, .. } = session;
            Ok(Box::new(FetchStream { reader, client, locks, next_rows, max_rows, max_bytes }))
        }
    }
}

/// The planned columns as this session's catalogue has them.
fn planned_columns(session: &mut PgSession, scan: &Scan, cx: &Cx) -> Result<Vec<ColumnPlan>> {
    let described = session.described(&scan.relation, cx)?;
    let found = |planned: &rivet_plugin_api::Column| {
        let now = described.columns.iter().find(|c| c.column.name == planned.name);
        match now {
            Some(now) if now.column.native_type == planned.native_type && now.column.logical == planned.logical => {
                Ok(now.clone())
            }
            now => {
                let kind = |c: &rivet_plugin_api::Column| format!("{} (read as {})", c.native_type, c.logical);
                let what =
                    now.map_or("is gone".to_owned(), |n| format!("was {} and is {}", kind(planned), kind(&n.column)));
                Err(PluginError::new(ErrorKind::Schema, "postgres.schema_changed", format!("the column {what}"))
                    .detail("column", &planned.name)
                    .hint("the table changed while it was exported: run the export again"))
            }
        }
    };
    scan.columns.iter().map(found).collect()
}

fn select_sql(scan: &Scan, columns: &[ColumnPlan]) -> Result<String> {
    let mut rows = Rows::of(&scan.relation, &scan.filter)?;
    if let Some(split) = &scan.split {
        rows.conditions.push(Pages::of(split)?.condition());
    }
    let limit = scan.limit.map(|n| format!(" LIMIT {n}")).unwrap_or_default();
    Ok(format!("SELECT {} FROM {rows}{limit}", select::list(columns)))
}

/// What both ways of reading share.
struct Reader {
    schema: SchemaRef,
    decoder: BatchDecoder,
    names: Vec<String>,
    timing: Timing,
}

impl Reader {
    /// Decodes until a batch is full or the frames end; says whether they ended.
    fn fill(&mut self, frames: &mut RowFrames<'_>, cx: &Cx) -> Result<bool> {
        while !self.decoder.is_full() {
            match frames.next(cx) {
                Ok(Some(tuple)) => self.decoder.push(tuple)?,
                Ok(None) => return Ok(true),
                Err(e) => return Err(error::with_column_name(e, &self.names)),
            }
        }
        Ok(false)
    }

    /// Decodes until the frames end, however many there are.
    fn fill_all(&mut self, frames: &mut RowFrames<'_>, cx: &Cx) -> Result<()> {
        while let Some(tuple) = frames.next(cx).map_err(|e| error::with_column_name(e, &self.names))? {
            self.decoder.push(tuple)?;
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.decoder.is_empty() { Ok(None) } else { self.decoder.finish().map(Some) }
    }

    fn facts(&self) -> StreamFacts {
        StreamFacts { longest_statement_ms: self.timing.longest_ms(), policy_hits: self.decoder.policy_hits() }
    }
}

/// How long statements take.
struct Timing {
    started: Instant,
    longest_ms: u64,
    running: bool,
}

impl Timing {
    fn start() -> Self {
        Self { started: Instant::now(), longest_ms: 0, running: true }
    }

    fn begin(&mut self) {
        self.started = Instant::now();
        self.running = true;
    }

    fn end(&mut self) {
        self.longest_ms = self.longest_ms();
        self.running = false;
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn longest_ms(&self) -> u64 {
        if self.running { self.longest_ms.max(self.elapsed_ms()) } else { self.longest_ms }
    }
}

/// One COPY for everything.
struct CopyStream<'s> {
    reader: Reader,
    frames: Option<RowFrames<'s>>,
    locks: &'s mut Locks,
}

impl BatchStream for CopyStream<'_> {
    fn schema(&self) -> SchemaRef {
        self.reader.schema.clone()
    }
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        if let Some(frames) = &mut self.frames
            && self.reader.fill(frames, cx).map_err(|e| self.locks.futile(e))?
        {
            self.reader.timing.end();
            self.locks.prove(frames.client, cx)?;
            self.frames = None;
        }
        self.reader.take()
    }
    fn facts(&self) -> StreamFacts {
        self.reader.facts()
    }
}

/// A cursor, fetched piece by piece; each piece is a statement and a batch. How many rows a piece has follows from
/// the width of those before, so that a batch keeps to its bytes.
struct FetchStream<'s> {
    reader: Reader,
    client: &'s mut Client,
    locks: &'s mut Locks,
    /// Rows to ask for next; 0 = the cursor is at its end.
    next_rows: usize,
    max_rows: usize,
    max_bytes: usize,
}

impl BatchStream for FetchStream<'_> {
    fn schema(&self) -> SchemaRef {
        self.reader.schema.clone()
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        if self.next_rows == 0 {
            return Ok(None);
        }
        self.reader.timing.begin();
        let fetch = format!("FETCH FORWARD {} FROM {CURSOR}", self.next_rows);
        let mut frames = self.client.fetch_rows(&fetch, cx)?;
        self.reader.fill_all(&mut frames, cx).map_err(|e| self.locks.futile(e))?;
        drop(frames);
        self.reader.timing.end();
        let rows = self.reader.decoder.rows();
        if rows < self.next_rows {
            self.next_rows = 0;
            self.client.execute(&format!("CLOSE {CURSOR}"), cx)?;
            self.locks.prove(self.client, cx)?;
        } else {
            let row_bytes = (self.reader.decoder.bytes() / rows).max(1);
            self.next_rows = (self.max_bytes / row_bytes).clamp(1, self.max_rows);
        }
        self.reader.take()
    }

    fn facts(&self) -> StreamFacts {
        self.reader.facts()
    }
}
