//! Reading: rows of a statement on the connection's thread, batches on the caller's.
//! It must not know how a value becomes Arrow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Instant;

use rivet_plugin_api::{
    BatchStream, Choices, Cx, ErrorKind, PluginError, RecordBatch, Result, Scan, SchemaRef, StreamFacts, TableSchema,
};
use rivet_shared_sql::{KeyRows, as_planned, identifier};
use rusqlite::limits::Limit;
use rusqlite::{Connection, Row};

use crate::actor::{Actor, guarded};
use crate::bind::{Bound, Values};
use crate::decode::{ColumnBuilder, Place};
use crate::error::{sql, sqlite};
use crate::filter;
use crate::schema::{self, Form};
use crate::split::Range;
use crate::transaction::Reading;

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
    /// SQLite said that there are no more rows, after so many.
    End(u64),
    /// The thread waits until this is dropped.
    Waiting(Sender<()>),
    Failed(PluginError),
}

/// What to read, and how.
pub struct Job {
    /// What to read.
    pub scan: Scan,
    /// What the columns were described by.
    pub choices: Arc<Choices>,
    /// In which transaction.
    pub reading: Reading,
    /// Longest value, 0 = no limit.
    pub max_value_bytes: u64,
}

/// Starts a scan and waits until its statement is compiled.
///
/// # Errors
/// As [`Session::scan`](rivet_plugin_api::Session::scan).
pub fn start<'s>(actor: &'s Actor, job: Job, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
    cx.check()?;
    let schema = TableSchema::of(job.scan.columns.clone()).arrow_schema(job.scan.types);
    let (sender, messages) = sync_channel(N_WAITING);
    let (running, done) = channel::<()>();
    let (batch_schema, stopped) = (schema.clone(), actor.stopped());
    actor.begin(Box::new(move |db| {
        let out = Out { sender, stopped: &stopped };
        let end = match guarded(|| job.reading.run(db, || produce(db, &job, &batch_schema, &out))) {
            Ok(n_rows) => Message::End(n_rows),
            Err(e) => Message::Failed(e),
        };
        // A reader that has gone away needs no end.
        let _ = out.sender.send(end);
        drop(running);
    }))?;
    let messages = Some(messages);
    let statement = Instant::now();
    let mut stream = Stream { actor, schema, messages, done, statement, longest_ms: 0, n_rows: 0, ended: false };
    match stream.receive(cx)? {
        Message::Ready => Ok(Box::new(stream)),
        Message::Failed(e) => Err(e),
        Message::Batch(_) | Message::Waiting(_) | Message::End(_) => {
            Err(out_of_step("the statement was not said to be ready"))
        }
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
    n_rows: u64,
    ended: bool,
}

fn out_of_step(text: &str) -> PluginError {
    PluginError::new(ErrorKind::Internal, "sqlite.stream", text)
        .hint("this is a defect of the plugin: report it to its author")
}

impl Stream<'_> {
    fn receive(&mut self, cx: &Cx) -> Result<Message> {
        let messages = self.messages.as_ref().ok_or_else(|| out_of_step("the stream was ended before"))?;
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
        let message = match self.receive(cx) {
            // Whoever asks for more is done with the long values before.
            Ok(Message::Waiting(wanted)) => {
                drop(wanted);
                self.receive(cx)
            }
            message => message,
        };
        self.ended = !matches!(message, Ok(Message::Batch(_)));
        match message? {
            Message::Batch(batch) => {
                self.n_rows += batch.num_rows() as u64;
                Ok(Some(batch))
            }
            Message::End(n_rows) if n_rows == self.n_rows => Ok(None),
            Message::End(n_rows) => Err(out_of_step(&format!("{n_rows} rows were read, but {} arrived", self.n_rows))),
            Message::Ready | Message::Waiting(_) => Err(out_of_step("a statement began within another")),
            Message::Failed(e) => Err(e),
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

/// Runs the statement and sends its batches until the end, an error, or a reader that has gone away. Returns how many
/// rows there were.
fn produce(db: &Connection, job: &Job, schema: &SchemaRef, out: &Out<'_>) -> Result<u64> {
    let Job { scan, choices, max_value_bytes, .. } = job;
    let described = schema::describe(db, &scan.relation, choices)?;
    for planned in &scan.columns {
        as_planned(planned, &described.columns, |c| c, "sqlite.schema_changed")?;
    }
    let n_columns = db.limit(Limit::SQLITE_LIMIT_COLUMN).map_err(sqlite("read a limit"))?;
    let has_room = usize::try_from(n_columns).is_ok_and(|n| scan.columns.len() < n);
    let Select { text, values, has_rowid } = select(scan, &described, has_room)?;
    // Values of keys are no part of the text.
    tracing::debug!("reads: {text}");
    let mut statement = db.prepare(&text).map_err(sql("compile the query"))?;
    values.bind(&mut statement)?;
    let positions = positions(scan, &described)?;
    let columns = scan.columns.iter().map(|c| ColumnBuilder::new(c, *max_value_bytes));
    let mut columns = columns.collect::<Result<Vec<_>>>()?;
    out.send(Message::Ready)?;
    let mut rows = statement.raw_query();
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
    Ok(ordinal)
}

fn batch(schema: &SchemaRef, columns: &mut [ColumnBuilder], n_rows: usize) -> Result<RecordBatch> {
    let columns = columns.iter_mut().map(|c| c.finish(n_rows)).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

fn rowid_of(row: &Row<'_>, position: usize) -> Option<i64> {
    row.get(position).ok()
}

/// A statement.
struct Select {
    text: String,
    values: Values,
    /// Whether the rowid follows the last column, to name rows by.
    has_rowid: bool,
}

/// The statement of a scan. Columns are qualified: SQLite reads a quoted name that is no column as text, but never one with a
/// table before it.
fn select(scan: &Scan, described: &schema::Described, has_room: bool) -> Result<Select> {
    let mut values = Values::default();
    let along = scan.split.as_ref().and_then(KeyRows::of);
    let range = match (&scan.split, &along) {
        (Some(split), None) => Range::of(split)?,
        _ => Range::default(),
    };
    let limit = scan.limit.map(|n| format!(" LIMIT {n}")).unwrap_or_default();
    let filter = filter::conditions(&scan.filter, &described.columns, &mut values)?;
    let qualifier = if matches!(described.form, Form::Query { .. }) { "" } else { "t." };
    let of_split = along.map(|rows| rows.conditions(&mut Bound { qualifier, values: &mut values })).transpose()?;
    let filter = filter.and(of_split.unwrap_or_default());
    let (table, rowid) = match &described.form {
        Form::Query { sql } if range == Range::default() => {
            let (query, around) = filter.fill(sql);
            let text = match around.is_empty() && limit.is_empty() {
                true => query,
                false => format!("SELECT * FROM ({query}\n){around}{limit}"),
            };
            return Ok(Select { text, values, has_rowid: false });
        }
        Form::Rowid { table, rowid, .. } => (table, Some(*rowid)),
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
    let conditions = rowid.map(|rowid| range.conditions(rowid)).unwrap_or_default().and(filter);
    let text = format!("SELECT {} FROM main.{} AS t{conditions}{limit}", list.join(", "), identifier(table));
    Ok(Select { text, values, has_rowid: named.is_some() })
}

/// Where the statement delivers each column: in the order asked for, or, in a query, where its text has it.
fn positions(scan: &Scan, described: &schema::Described) -> Result<Vec<usize>> {
    let Form::Query { .. } = described.form else { return Ok((0..scan.columns.len()).collect()) };
    let position = |column: &rivet_plugin_api::Column| described.columns.iter().position(|c| c.name == column.name);
    let positions: Option<Vec<usize>> = scan.columns.iter().map(position).collect();
    positions.ok_or_else(|| PluginError::new(ErrorKind::Internal, "sqlite.columns", "a column of the scan is unknown"))
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::arrow_array::Int64Array;
    use rivet_plugin_api::{CancelToken, ErrorKind};

    use super::*;

    /// What a reader is told when the thread sends these messages and ends.
    fn told(messages: Vec<Message>) -> Result<u64> {
        let token = CancelToken::new();
        let cx = token.cx();
        let actor = Actor::start(&cx, |_| Ok(Connection::open_in_memory().expect("memory"))).expect("started");
        let (sender, receiver) = sync_channel(messages.len());
        messages.into_iter().for_each(|message| sender.send(message).expect("there is room"));
        drop(sender);
        let (_, done) = channel();
        let schema = column(0).schema();
        let messages = Some(receiver);
        let statement = Instant::now();
        let mut stream =
            Stream { actor: &actor, schema, messages, done, statement, longest_ms: 0, n_rows: 0, ended: false };
        while stream.next(&cx)?.is_some() {}
        Ok(stream.n_rows)
    }

    fn column(n_rows: usize) -> RecordBatch {
        let values: rivet_plugin_api::arrow_array::ArrayRef = Arc::new(Int64Array::from(vec![7; n_rows]));
        RecordBatch::try_from_iter([("a", values)]).expect("one column")
    }

    #[test]
    fn only_an_end_that_counts_the_same_rows_is_one() {
        let batch = |n_rows| Message::Batch(column(n_rows));
        assert_eq!(told(vec![batch(3), batch(2), Message::End(5)]).expect("all rows"), 5);
        for wrong in [
            vec![batch(3), Message::End(5)],
            vec![batch(3), batch(3), Message::End(5)],
            vec![batch(5)],
            vec![],
            vec![batch(5), Message::Ready],
            vec![Message::End(1)],
        ] {
            assert_eq!(told(wrong).expect_err("no end").kind(), ErrorKind::Internal);
        }
    }
}
