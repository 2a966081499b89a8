//! Reading: rows of a statement on the connection's thread, batches on the caller's.
//! It must not know how a value becomes Arrow.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, PluginError, RecordBatch, Result, Scan, SchemaRef, Split, TableSchema,
};
use rusqlite::Connection;

use crate::column::ColumnBuilder;
use crate::connect::Actor;
use crate::error::sqlite;
use crate::schema::{describe, from_item, identifier};
use crate::split::Rowids;

/// What the thread sends: batches, then the end.
enum Message {
    Batch(RecordBatch),
    End,
    Failed(PluginError),
}

/// Starts a scan; the thread is at most one batch ahead.
pub fn start<'s>(actor: &'s Actor, scan: &Scan, max_value_bytes: u64) -> Result<Box<dyn BatchStream + 's>> {
    let schema = TableSchema { columns: scan.columns.clone() }.arrow_schema(scan.types);
    let (sender, messages) = sync_channel(1);
    let (running, done) = channel::<()>();
    let (scan, batch_schema) = (scan.clone(), schema.clone());
    actor.start(Box::new(move |db| {
        let last = match produce(db, &scan, &batch_schema, max_value_bytes, &sender) {
            Ok(()) => Message::End,
            Err(e) => Message::Failed(e),
        };
        // A reader that has gone away needs no end.
        let _ = sender.send(last);
        drop(running);
    }))?;
    Ok(Box::new(Stream { actor, schema, messages: Some(messages), done, ended: false }))
}

struct Stream<'s> {
    actor: &'s Actor,
    schema: SchemaRef,
    /// Taken when the stream is dropped, so that the thread's next `send` fails.
    messages: Option<Receiver<Message>>,
    done: Receiver<()>,
    ended: bool,
}

impl BatchStream for Stream<'_> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        let (Some(messages), false) = (&self.messages, self.ended) else { return Ok(None) };
        cx.check()?;
        match self.actor.wait(cx, messages)? {
            Message::Batch(batch) => Ok(Some(batch)),
            Message::End => {
                self.ended = true;
                Ok(None)
            }
            Message::Failed(e) => {
                self.ended = true;
                Err(e)
            }
        }
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.messages = None;
        self.actor.stop(&self.done);
    }
}

/// Runs the statement and sends its batches until the end, an error, or a reader that has gone away.
fn produce(
    db: &Connection,
    scan: &Scan,
    schema: &SchemaRef,
    max_value_bytes: u64,
    sender: &SyncSender<Message>,
) -> Result<()> {
    must_be_as_planned(db, scan)?;
    let mut statement = db.prepare(&select(scan)?).map_err(sqlite("compile the query"))?;
    let mut rows = statement.query([]).map_err(sqlite("run the query"))?;
    let columns = scan.columns.iter().map(|c| ColumnBuilder::new(c, max_value_bytes));
    let mut columns = columns.collect::<Result<Vec<_>>>()?;
    let (mut n_rows, mut n_bytes, mut ordinal) = (0, 0, 0_u64);
    while let Some(row) = rows.next().map_err(sqlite("read a row"))? {
        ordinal += 1;
        for (i, column) in columns.iter_mut().enumerate() {
            let value = row.get_ref(i).map_err(sqlite("read a value"))?;
            n_bytes += column.push(value).map_err(|e| e.detail("row", ordinal))?;
        }
        n_rows += 1;
        if n_rows >= scan.max_batch_rows || n_bytes >= scan.max_batch_bytes {
            if sender.send(Message::Batch(batch(schema, &mut columns)?)).is_err() {
                return Ok(());
            }
            (n_rows, n_bytes) = (0, 0);
        }
    }
    if n_rows > 0 {
        let _ = sender.send(Message::Batch(batch(schema, &mut columns)?));
    }
    Ok(())
}

fn batch(schema: &SchemaRef, columns: &mut [ColumnBuilder]) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(schema.clone(), columns.iter_mut().map(ColumnBuilder::finish).collect())?)
}

fn must_be_as_planned(db: &Connection, scan: &Scan) -> Result<()> {
    let now = describe(db, &scan.relation)?;
    for planned in &scan.columns {
        let found = now.columns.iter().find(|c| c.name == planned.name);
        if found.is_none_or(|f| f.native_type != planned.native_type) {
            return Err(PluginError::new(ErrorKind::Schema, "sqlite.schema_changed", "the column is not as planned")
                .detail("column", &planned.name)
                .hint("the table changed while it was exported: run the export again"));
        }
    }
    Ok(())
}

fn select(scan: &Scan) -> Result<String> {
    let list: Vec<String> = scan.columns.iter().map(|c| identifier(&c.name)).collect();
    let sql = format!("SELECT {} FROM {}", list.join(", "), from_item(&scan.relation));
    let condition = |split: &Split| Rowids::of(split).map(|rowids| rowids.condition());
    Ok(match scan.split.as_ref().map(condition).transpose()? {
        Some(condition) => format!("{sql} WHERE {condition}"),
        None => sql,
    })
}
