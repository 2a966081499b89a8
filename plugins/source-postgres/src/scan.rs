//! Reading: the statement of a scan, and its rows as batches.
//! It must not know how rows travel or how a field is decoded.

use std::time::Instant;

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, PluginError, ReadMode, RecordBatch, Result, Scan, SchemaRef, StreamFacts, TableSchema,
};
use rivet_shared_sql::as_planned;

use crate::decode::BatchDecoder;
use crate::filter::rows;
use crate::locks::Locks;
use crate::session::PgSession;
use crate::stream::RowFrames;
use crate::types::ColumnPlan;
use crate::{error, lookback, select, split};

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
    let loose = session.described(&scan.relation, cx)?.loose;
    let schema = TableSchema::of(scan.columns.clone()).arrow_schema(scan.types);
    let decoder = BatchDecoder::new(&columns, schema.clone(), scan.max_batch_rows, scan.max_batch_bytes)?;
    let select = select_sql(scan, &columns, loose)?;
    if tracing::enabled!(tracing::Level::DEBUG) {
        let shown = select_sql(&Scan { filter: scan.filter.without_values(), ..scan.clone() }, &columns, loose)?;
        tracing::debug!("reads: {shown}");
    }
    let timing = Timing::start();
    let names = columns.into_iter().map(|c| c.column.name).collect();
    let reader = Reader { schema, decoder, names, timing };
    match scan.read {
        ReadMode::Stream => {
            let copy = format!("COPY ({select}) TO STDOUT (FORMAT binary)");
            let frames = session.client.copy_out(&copy, cx);
            let frames = frames.map_err(|e| session.locks.futile(lookback::explained(e, &scan.filter)))?;
            Ok(Box::new(CopyStream { reader, frames: Some(frames), locks: &mut session.locks }))
        }
        ReadMode::Fetch => {
            let declare = format!("DECLARE {CURSOR} BINARY NO SCROLL CURSOR WITHOUT HOLD FOR {select}");
            let declared = session.client.execute(&declare, cx);
            declared.map_err(|e| session.locks.futile(lookback::explained(e, &scan.filter)))?;
            let next_rows = FIRST_FETCH_ROWS.min(scan.max_batch_rows);
            let frames = RowFrames::fetch(&mut session.client);
            let (max_rows, max_bytes) = (scan.max_batch_rows, scan.max_batch_bytes);
            let (asked_rows, rows_before) = (0, 0);
            let locks = &mut session.locks;
            Ok(Box::new(FetchStream { reader, frames, locks, asked_rows, rows_before, next_rows, max_rows, max_bytes }))
        }
        other => {
            Err(PluginError::new(ErrorKind::Unsupported, "postgres.read_mode", format!("cannot read by {other:?}")))
        }
    }
}

/// The planned columns as this session's catalogue has them.
fn planned_columns(session: &mut PgSession, scan: &Scan, cx: &Cx) -> Result<Vec<ColumnPlan>> {
    let described = session.described(&scan.relation, cx)?;
    let now =
        |planned| as_planned(planned, &described.columns, |plan| &plan.column, "postgres.schema_changed").cloned();
    scan.columns.iter().map(now).collect()
}

fn select_sql(scan: &Scan, columns: &[ColumnPlan], loose: bool) -> Result<String> {
    let of_split = scan.split.as_ref().map(|split| split::conditions(split, loose)).transpose()?.unwrap_or_default();
    let rows = rows(&scan.relation, &scan.filter, of_split)?;
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
        let Self { decoder, names, .. } = self;
        let read = frames.read(cx, |tuple| {
            decoder.push(tuple)?;
            Ok(!decoder.is_full())
        });
        read.map_err(|e| error::with_column_name(e, names))
    }

    fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.decoder.is_empty() { Ok(None) } else { self.decoder.finish().map(Some) }
    }

    fn facts(&self, locks: &Locks) -> StreamFacts {
        StreamFacts {
            locks: locks.n_held(),
            longest_statement_ms: self.timing.longest_ms(),
            policy_hits: self.decoder.policy_hits(),
            ..Default::default()
        }
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
        self.reader.facts(self.locks)
    }
}

/// A cursor, fetched piece by piece; each piece is a statement. How many rows a piece has follows from the width of
/// those before, so that it is about a batch.
struct FetchStream<'s> {
    reader: Reader,
    frames: RowFrames<'s>,
    locks: &'s mut Locks,
    /// Rows that the piece in progress was asked for; 0 = none was.
    asked_rows: usize,
    /// Rows before that piece.
    rows_before: u64,
    /// Rows to ask for next; 0 = the cursor is at its end.
    next_rows: usize,
    max_rows: usize,
    max_bytes: usize,
}

impl FetchStream<'_> {
    /// Reads on in the piece that was asked for, or in the next one.
    fn read_piece(&mut self, cx: &Cx) -> Result<()> {
        if self.asked_rows == 0 {
            self.reader.timing.begin();
            self.frames.fetch_more(&format!("FETCH FORWARD {} FROM {CURSOR}", self.next_rows), cx)?;
            (self.asked_rows, self.rows_before) = (self.next_rows, self.frames.n_rows());
        }
        if !self.reader.fill(&mut self.frames, cx).map_err(|e| self.locks.futile(e))? {
            return Ok(());
        }
        self.reader.timing.end();
        let came = self.frames.n_rows() - self.rows_before;
        if came < self.asked_rows as u64 {
            self.next_rows = 0;
            self.frames.client.execute(&format!("CLOSE {CURSOR}"), cx)?;
            self.locks.prove(self.frames.client, cx)?;
        } else if let Some(row_bytes) = self.reader.decoder.bytes().checked_div(self.reader.decoder.rows()) {
            self.next_rows = (self.max_bytes / row_bytes.max(1)).clamp(1, self.max_rows);
        }
        self.asked_rows = 0;
        Ok(())
    }
}

impl BatchStream for FetchStream<'_> {
    fn schema(&self) -> SchemaRef {
        self.reader.schema.clone()
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        while self.next_rows > 0 {
            self.read_piece(cx)?;
            if !self.reader.decoder.is_empty() {
                break;
            }
        }
        self.reader.take()
    }

    fn facts(&self) -> StreamFacts {
        self.reader.facts(self.locks)
    }
}
