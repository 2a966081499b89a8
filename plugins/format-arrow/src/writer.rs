//! Encodes batches into one Arrow IPC file or stream, each as it comes.
//! It must not know how large a part may become: core rolls parts.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, DataType};
use arrow_select::take::take;
use rivet_plugin_api::{
    BatchWriter, ByteSink, Cx, ErrorKind, FieldMapping, PartFacts, PluginError, RecordBatch, Result, SchemaRef,
    WriterSettings,
};

use crate::inspect;
use crate::options::Container;

/// What a file keeps until its end about each batch: an entry of the index in its footer, bytes.
const INDEX_ENTRY_BYTES: u64 = 24;

pub struct Writer {
    /// As it is written: without dictionaries.
    schema: SchemaRef,
    inner: Inner,
    sink: Sink,
    max_buffered_bytes: usize,
    rows: u64,
    batches: u64,
}

enum Inner {
    File(FileWriter<SinkWriter>),
    Stream(StreamWriter<SinkWriter>),
}

impl Writer {
    /// Starts a file or stream of `schema` in `sink`.
    pub fn start(
        schema: &SchemaRef,
        container: Container,
        encoding: &IpcWriteOptions,
        settings: &WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Self> {
        for (field, mapping) in schema.fields().iter().zip(inspect::map(schema)) {
            if let FieldMapping::Refuse(why) = mapping {
                return Err(PluginError::new(ErrorKind::Unsupported, "arrow.type", why).detail("column", field.name()));
            }
        }
        let schema = inspect::written_schema(schema);
        let passed = Sink::default();
        let writer = SinkWriter { sink, passed: passed.clone() };
        let inner = match container {
            Container::File => FileWriter::try_new_with_options(writer, &schema, encoding.clone()).map(Inner::File),
            Container::Stream => {
                StreamWriter::try_new_with_options(writer, &schema, encoding.clone()).map(Inner::Stream)
            }
        };
        let inner = inner.map_err(|e| passed.describe(&e))?;
        let max_buffered_bytes = settings.max_buffered_bytes.max(1);
        Ok(Self { schema, inner, sink: passed, max_buffered_bytes, rows: 0, batches: 0 })
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<()> {
        let encoded = match &mut self.inner {
            Inner::File(writer) => writer.write(batch),
            Inner::Stream(writer) => writer.write(batch),
        };
        self.batches += 1;
        encoded.map_err(|e| self.sink.describe(&e))
    }

    fn plain(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns: Result<Vec<ArrayRef>, ArrowError> = batch.columns().iter().map(|column| words(column)).collect();
        columns.and_then(|columns| RecordBatch::try_new(self.schema.clone(), columns)).map_err(|e| {
            PluginError::new(ErrorKind::Internal, "arrow.schema", "the batch is not of the writer's schema").cause(e)
        })
    }
}

/// The words that a dictionary's keys stand for; any other array as it is.
fn words(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::Dictionary(_, _) = array.data_type() else { return Ok(array.clone()) };
    let dictionary = array.as_any_dictionary();
    words(&take(dictionary.values(), dictionary.keys(), None)?)
}

impl BatchWriter for Writer {
    fn write(&mut self, batch: &RecordBatch, cx: &Cx) -> Result<()> {
        // A message is made whole before it goes out, so that its size is what the writer holds.
        let n_messages = batch.get_array_memory_size().div_ceil(self.max_buffered_bytes).max(1);
        let rows_per_message = batch.num_rows().div_ceil(n_messages).max(1);
        let mut start = 0;
        while start < batch.num_rows() {
            cx.check()?;
            let rows = rows_per_message.min(batch.num_rows() - start);
            let message = self.plain(&batch.slice(start, rows))?;
            self.encode(&message)?;
            start += rows;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn bytes_buffered(&self) -> u64 {
        match self.inner {
            Inner::File(_) => self.batches * INDEX_ENTRY_BYTES,
            Inner::Stream(_) => 0,
        }
    }

    fn bytes_written(&self) -> u64 {
        self.sink.state().bytes
    }

    fn finish(&mut self, cx: &Cx) -> Result<PartFacts> {
        cx.check()?;
        let finished = match &mut self.inner {
            Inner::File(writer) => writer.finish(),
            Inner::Stream(writer) => writer.finish(),
        };
        finished.map_err(|e| self.sink.describe(&e))?;
        Ok(PartFacts { rows: self.rows, row_groups: self.batches })
    }
}

/// What went into the sink, and its own error, which the encoder would flatten to text on the way out.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Passed>>);

#[derive(Default)]
struct Passed {
    bytes: u64,
    error: Option<PluginError>,
}

impl Sink {
    fn state(&self) -> std::sync::MutexGuard<'_, Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, e: &ArrowError) -> PluginError {
        let from_sink = self.state().error.take();
        from_sink.unwrap_or_else(|| PluginError::new(ErrorKind::Internal, "arrow.write", "failed to encode").cause(e))
    }
}

struct SinkWriter {
    sink: Box<dyn ByteSink>,
    passed: Sink,
}

impl io::Write for SinkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes);
        let mut passed = self.passed.state();
        match written {
            Ok(()) => {
                passed.bytes += bytes.len() as u64;
                Ok(bytes.len())
            }
            Err(e) => {
                passed.error = Some(e);
                Err(io::Error::other("the sink failed"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
