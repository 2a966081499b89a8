//! The made-up format: a row is a line of an id and a snapshot.
//! Must not know where the lines go.

use arrow_array::{Array, Int64Array};
use rivet_plugin_api::{
    BatchStream, BatchWriter, ByteSink, Cx, ErrorKind, FieldMapping, Format, FormatCapabilities, PartFacts,
    PluginError, ReadAt, RecordBatch, Result, SchemaRef, WriterSettings,
};

use crate::source::Options;

pub struct SimFormat;

impl Format for SimFormat {
    const NAME: &'static str = "lines";
    type Options = Options;

    fn capabilities() -> FormatCapabilities {
        FormatCapabilities { extension: "lines".to_owned(), readable: false, text: true }
    }
    fn open(_: Options) -> Result<Self> {
        Ok(Self)
    }
    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>> {
        Ok(schema.fields().iter().map(|_| FieldMapping::Keep("word".to_owned())).collect())
    }
    fn writer(&self, _: SchemaRef, _: WriterSettings, sink: Box<dyn ByteSink>) -> Result<Box<dyn BatchWriter>> {
        Ok(Box::new(Writer { sink, rows: 0, bytes: 0 }))
    }
    fn reader(&self, _: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        Err(PluginError::new(ErrorKind::Unsupported, "lines.read", "lines are not read back"))
    }
}

struct Writer {
    sink: Box<dyn ByteSink>,
    rows: u64,
    bytes: u64,
}

impl BatchWriter for Writer {
    fn write(&mut self, batch: &RecordBatch, _: &Cx) -> Result<()> {
        let column = |i: usize| batch.column(i).as_any().downcast_ref::<Int64Array>().expect("the schema says so");
        let pairs = column(0).values().iter().zip(column(1).values());
        let text: String = pairs.map(|(id, snapshot)| format!("{id} {snapshot}\n")).collect();
        self.rows += batch.num_rows() as u64;
        self.bytes += text.len() as u64;
        self.sink.write(text.as_bytes())
    }
    fn bytes_buffered(&self) -> u64 {
        0
    }
    fn bytes_written(&self) -> u64 {
        self.bytes
    }
    fn finish(&mut self, _: &Cx) -> Result<PartFacts> {
        Ok(PartFacts { rows: self.rows, row_groups: 1 })
    }
}
