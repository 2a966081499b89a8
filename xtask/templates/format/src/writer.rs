//! Batches into the bytes of one part.
//! It must not know how many parts there are.

use rivet_plugin_api::arrow_array::cast::AsArray;
use rivet_plugin_api::arrow_array::types::Int64Type;
use rivet_plugin_api::arrow_array::{Array, RecordBatch};
use rivet_plugin_api::arrow_schema::DataType;
use rivet_plugin_api::{
    BatchWriter, ByteSink, Cx, ErrorKind, PartFacts, PluginError, Result, SchemaRef, WriterSettings,
};

/// A part on its way. What is gathered goes out when it is more than the settings allow.
pub struct SkeletonWriter {
    out: Box<dyn ByteSink>,
    separator: String,
    max_buffered_bytes: usize,
    buffer: String,
    n_bytes: u64,
    n_rows: u64,
}

impl SkeletonWriter {
    /// Starts a part with the line of names.
    pub fn start(
        schema: &SchemaRef,
        settings: WriterSettings,
        separator: &str,
        out: Box<dyn ByteSink>,
    ) -> Result<Self> {
        let names: Vec<String> = schema.fields().iter().map(|field| escaped(field.name(), separator)).collect();
        let buffer = format!("{}\n", names.join(separator));
        let max_buffered_bytes = settings.max_buffered_bytes;
        Ok(Self { out, separator: separator.to_owned(), max_buffered_bytes, buffer, n_bytes: 0, n_rows: 0 })
    }

    fn flush(&mut self) -> Result<()> {
        self.out.write(self.buffer.as_bytes())?;
        self.n_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl BatchWriter for SkeletonWriter {
    fn write(&mut self, batch: &RecordBatch, cx: &Cx) -> Result<()> {
        cx.check()?;
        for row in 0..batch.num_rows() {
            for (i, column) in batch.columns().iter().enumerate() {
                if i > 0 {
                    self.buffer.push_str(&self.separator);
                }
                self.buffer.push_str(&value(column, row, &self.separator)?);
            }
            self.buffer.push('\n');
            if self.buffer.len() > self.max_buffered_bytes {
                self.flush()?;
            }
        }
        self.n_rows += batch.num_rows() as u64;
        Ok(())
    }

    fn bytes_buffered(&self) -> u64 {
        self.buffer.len() as u64
    }

    fn bytes_written(&self) -> u64 {
        self.n_bytes
    }

    fn finish(&mut self, cx: &Cx) -> Result<PartFacts> {
        cx.check()?;
        self.flush()?;
        Ok(PartFacts { rows: self.n_rows, row_groups: 0 })
    }
}

/// One value as text; NULL is `\N`, which no text is.
fn value(column: &dyn Array, row: usize, separator: &str) -> Result<String> {
    if column.is_null(row) {
        return Ok("\\N".to_owned());
    }
    match column.data_type() {
        DataType::Int64 => Ok(column.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Utf8 => Ok(escaped(column.as_string::<i32>().value(row), separator)),
        other => {
            let text = format!("skeleton cannot hold {other}");
            Err(PluginError::new(ErrorKind::Unsupported, "skeleton.type", text).hint("leave the column out"))
        }
    }
}

fn escaped(text: &str, separator: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace(separator, &format!("\\{separator}"))
}
