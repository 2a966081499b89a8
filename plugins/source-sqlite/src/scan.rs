//! Reading: rows of a statement on the connection's thread, batches on the caller's.
//! It must not know how a value becomes Arrow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Instant;

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, PluginError, RecordBatch, Result, Scan, SchemaRef, StreamFacts, TableSchema,
};
use rusqlite::limits::Limit;
use rusqlite::{Connection, Row};

use crate::actor::{Actor, guarded};
use crate::decode::{ColumnBuilder, Place};
use crate::error::{sql, sqlite};
use crate::filter::{self, where_clause};
use crate::schema::{self, Form, identifier};
use crate::split::Range;

/// Batches that wait for the caller: the thread reads the next one meanwhile.
const N_WAITING: usize = 1;
/// A batch is cut here at the latest: one more value of SQLite's greatest length still fits Arrow's 32-bit offsets.
const LONGEST_BATCH_BYTES: usize = 1 << 30;

/// After a batch of more than so many times its limit, which is due to a long value, nothing is read ahead.
const LONG_BATCHES: usize = 4;

/// What the thread sends: that the statement is ready, batches, then the end.
enum Message {
    Ready,
    Batch(RecordBatch),
    /// The thread waits until this is dropped.
    Waiting(Sender<()>),
    End,
    Failed(PluginError),
}

/// Starts a scan and waits until its statement is compiled.
///
/// # Errors
/// As [`Session::scan`](rivet_plugin_api::Session::scan).
pub fn start<'s>(actor: &'s Actor, scan: &Scan, max_value_bytes: u64, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
    cx.check()?;
    let schema = TableSchema { columns: scan.columns.clone() }.arrow_schema(scan.types);
    let (sender, messages) = sync_channel(N_WAITING);
    let (running, done) = channel::<()>();
    let (scan, batch_schema, stopped) = (scan.clone(), schema.clone(), actor.stopped());
    actor.begin(Box::new(move |db| {
        let out = Out { sender, stopped: &stopped };
        let end = match guarded(|| produce(db, &scan, &batch_schema, max_value_bytes, &out)) {
            Ok(()) => Message::End,
            Err(e) => Message::Failed(e),
        };
        // A reader that has gone away needs no end.
        let _ = out.sender.send(end);
        drop(running);
    }))?;
    let messages = Some(messages);
    let mut stream = Stream { actor, schema, messages, done, statement: Instant::now(), longest_ms: 0, ended: false };
    match stream.receive(cx)? {
        Message::Failed(e) => Err(e),
        _ => Ok(Box::new(stream)),
    }
}

struct Stream<'s> {
    actor: &'s Actor,
    schema: SchemaRef,
    /// Taken when the stream is dropped, so that the thread's next `send` fails.
    messages: Option<Receiver<Message>>,
    done: Receiver<()>,
    statement: Instant,
    longest_ms: u64,
    ended: bool,
}

impl Stream<'_> {
    fn receive(&mut self, cx: &Cx) -> Result<Message> {
        let Some(messages) = &self.messages else { return Ok(Message::End) };
        let message = self.actor.wait(cx, messages)?;
        self.longest_ms = u64::try_from(self.statement.elapsed().as_millis()).unwrap_or(u64::MAX);
        match message {
            Message::Failed(_) if cx.is_cancelled() => Ok(Message::Failed(PluginError::cancelled())),
            message => Ok(message),
        }
    }
}

impl BatchStream for Stream<'_> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        if self.ended {
            return Ok(None);
        }
        cx.check()?;
        let message = match self.receive(cx)? {
            // Whoever asks for more is done with the long values before.
            Message::Waiting(wanted) => {
                drop(wanted);
                self.receive(cx)?
            }
            message => message,
        };
        match message {
            Message::Batch(batch) => Ok(Some(batch)),
            Message::Ready | Message::Waiting(_) | Message::End => {
                self.ended = true;
                Ok(None)
            }
            Message::Failed(e) => {
                self.ended = true;
                Err(e)
            }
        }
    }

    /// The whole scan is one statement.
    fn facts(&self) -> StreamFacts {
        StreamFacts { longest_statement_ms: self.longest_ms, ..Default::default() }
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.messages = None;
        self.actor.finish(&self.done);
    }
}

/// Where batches go.
struct Out<'a> {
    sender: SyncSender<Message>,
    stopped: &'a AtomicBool,
}

impl Out<'_> {
    /// # Errors
    /// `Cancelled` when the reader has gone away.
    fn send(&self, message: Message) -> Result<()> {
        self.sender.send(message).map_err(|_| PluginError::cancelled())
    }

    /// Reads no further before all that was sent is taken, and more is asked for.
    fn wait_until_wanted(&self) -> Result<()> {
        let (answer, wanted) = channel::<()>();
        self.send(Message::Waiting(answer))?;
        // The other end is dropped when it is received, or with everything else.
        let _ = wanted.recv();
        Ok(())
    }
}

/// Runs the statement and sends its batches until the end, an error, or a reader that has gone away.
fn produce(db: &Connection, scan: &Scan, schema: &SchemaRef, max_value_bytes: u64, out: &Out<'_>) -> Result<()> {
    let described = schema::describe(db, &scan.relation)?;
    must_be_as_planned(scan, &described)?;
    let n_columns = db.limit(Limit::SQLITE_LIMIT_COLUMN).map_err(sqlite("read a limit"))?;
    let has_room = usize::try_from(n_columns).is_ok_and(|n| scan.columns.len() < n);
    let (text, has_rowid) = select(scan, &described.form, has_room)?;
    let mut statement = db.prepare(&text).map_err(sql("compile the query"))?;
    let positions = positions(scan, &described)?;
    let columns = scan.columns.iter().map(|c| ColumnBuilder::new(c, max_value_bytes));
    let mut columns = columns.collect::<Result<Vec<_>>>()?;
    out.send(Message::Ready)?;
    let mut rows = statement.query([]).map_err(sql("run the query"))?;
    let max_batch_bytes = scan.max_batch_bytes.min(LONGEST_BATCH_BYTES);
    let (mut n_rows, mut n_bytes, mut ordinal) = (0, 0, 0_u64);
    loop {
        let row = rows.next().map_err(|e| sql("read a row")(e).detail("row", ordinal + 1))?;
        let Some(row) = row else { break };
        ordinal += 1;
        for ((column, position), described) in columns.iter_mut().zip(&positions).zip(&scan.columns) {
            let value = row.get_ref(*position).map_err(sqlite("read a value"))?;
            n_bytes += column.push(value).map_err(|fault| {
                let rowid = if has_rowid { rowid_of(row, positions.len()) } else { None };
                fault.into_error(Place { column: described, row: ordinal, rowid })
            })?;
        }
        n_rows += 1;
        if n_rows >= scan.max_batch_rows || n_bytes >= max_batch_bytes {
            out.send(Message::Batch(batch(schema, &mut columns, n_rows)?))?;
            if n_bytes > LONG_BATCHES * max_batch_bytes {
                out.wait_until_wanted()?;
            }
            (n_rows, n_bytes) = (0, 0);
        }
        if out.stopped.load(Ordering::Relaxed) {
            return Err(PluginError::cancelled());
        }
    }
    if n_rows > 0 {
        out.send(Message::Batch(batch(schema, &mut columns, n_rows)?))?;
    }
    Ok(())
}

fn batch(schema: &SchemaRef, columns: &mut [ColumnBuilder], n_rows: usize) -> Result<RecordBatch> {
    let columns = columns.iter_mut().map(|c| c.finish(n_rows)).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

fn rowid_of(row: &Row<'_>, position: usize) -> Option<i64> {
    row.get(position).ok()
}

fn must_be_as_planned(scan: &Scan, now: &schema::Described) -> Result<()> {
    let changed = |planned: &&rivet_plugin_api::Column| {
        let found = now.columns.iter().find(|c| c.name == planned.name);
        found.is_none_or(|f| f.native_type != planned.native_type || f.logical != planned.logical)
    };
    match scan.columns.iter().find(changed) {
        None => Ok(()),
        Some(column) => {
            let text = format!("column \"{}\" is not as it was when the export was planned", column.name);
            Err(PluginError::new(ErrorKind::Schema, "sqlite.schema_changed", text)
                .detail("column", &column.name)
                .hint("the schema changed meanwhile: run the export again"))
        }
    }
}

/// The statement, and whether the rowid follows its last column, to name rows by, where there is room. Columns are qualified: SQLite reads
/// a quoted name that is no column as text, but never one with a table before it.
fn select(scan: &Scan, form: &Form, has_room: bool) -> Result<(String, bool)> {
    let range = scan.split.as_ref().map(Range::of).transpose()?.unwrap_or_default();
    let limit = scan.limit.map(|n| format!(" LIMIT {n}")).unwrap_or_default();
    let (table, rowid) = match form {
        Form::Query { sql } if range == Range::default() => {
            let (query, around) = filter::fill(sql, &scan.filter)?;
            if around.is_empty() && limit.is_empty() {
                return Ok((query, false));
            }
            return Ok((format!("SELECT * FROM ({query}\n){}{limit}", where_clause(&around)), false));
        }
        Form::Rowid { table, rowid } => (table, Some(*rowid)),
        Form::Other { table } if range == Range::default() => (table, None),
        Form::Query { .. } | Form::Other { .. } => {
            let text = "the relation has no rowid to read a range of";
            return Err(PluginError::new(ErrorKind::Schema, "sqlite.schema_changed", text)
                .hint("the schema changed meanwhile: run the export again"));
        }
    };
    let mut list: Vec<String> = scan.columns.iter().map(|c| format!("t.{}", identifier(&c.name))).collect();
    let named = rowid.filter(|_| has_room);
    list.extend(named.map(|rowid| format!("t.{rowid}")));
    let mut conditions = rowid.map(|rowid| range.conditions(rowid)).unwrap_or_default();
    conditions.extend(filter::conditions(&scan.filter)?);
    let condition = where_clause(&conditions);
    let sql = format!("SELECT {} FROM main.{} AS t{condition}{limit}", list.join(", "), identifier(table));
    Ok((sql, named.is_some()))
}

/// Where the statement delivers each column: in the order asked for, or, in a query, where its text has it.
fn positions(scan: &Scan, described: &schema::Described) -> Result<Vec<usize>> {
    let Form::Query { .. } = described.form else { return Ok((0..scan.columns.len()).collect()) };
    let position = |column: &rivet_plugin_api::Column| described.columns.iter().position(|c| c.name == column.name);
    let positions: Option<Vec<usize>> = scan.columns.iter().map(position).collect();
    positions.ok_or_else(|| PluginError::new(ErrorKind::Internal, "sqlite.columns", "a column of the scan is unknown"))
}
