//! Encodes batches into one Parquet file; a row group ends when memory says so.
//! It must not know how large a part may become: core rolls parts.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use rivet_plugin_api::{
    BatchWriter, ByteSink, Cx, ErrorKind, FieldMapping, PartFacts, PluginError, RecordBatch, Result, SchemaRef,
    WriterSettings,
};

use crate::interval::{self, Way};
use crate::{inspect, options::ParquetOptions};

/// Longest prefix of a text or binary value that is kept as a statistic, bytes.
const STATISTICS_BYTES: usize = 64;
/// Rows between two looks at the memory in use.
const ROWS_PER_SLICE: usize = 8192;

pub struct Writer {
    inner: ArrowWriter<SinkWriter>,
    sink_error: SinkError,
    max_buffered_bytes: usize,
    rows: u64,
    /// The schema of the file, where intervals are text in it.
    stored: Option<SchemaRef>,
}

impl Writer {
    /// Starts a file of `schema` in `sink`.
    pub fn start(
        schema: SchemaRef,
        options: &ParquetOptions,
        settings: &WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Self> {
        for (field, mapping) in schema.fields().iter().zip(inspect::map(&schema)) {
            if let FieldMapping::Refuse(why) = mapping {
                return Err(
                    PluginError::new(ErrorKind::Unsupported, "parquet.type", why).detail("column", field.name())
                );
            }
        }
        let sink_error = SinkError::default();
        let writer = SinkWriter { sink, error: sink_error.clone() };
        let properties = properties(options)?;
        let stored = interval::schema(&schema, Way::Store);
        let file_schema = stored.clone().unwrap_or(schema);
        let inner =
            ArrowWriter::try_new(writer, file_schema, Some(properties)).map_err(|e| describe(&sink_error, &e))?;
        Ok(Self { inner, sink_error, max_buffered_bytes: settings.max_buffered_bytes.max(1), rows: 0, stored })
    }

    fn fail(&self, e: &ParquetError) -> PluginError {
        describe(&self.sink_error, e)
    }
}

impl BatchWriter for Writer {
    fn write(&mut self, batch: &RecordBatch, cx: &Cx) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            cx.check()?;
            let rows = ROWS_PER_SLICE.min(batch.num_rows() - start);
            let mut slice = batch.slice(start, rows);
            if let Some(stored) = &self.stored {
                slice = interval::batch(&slice, stored)?;
            }
            self.inner.write(&slice).map_err(|e| self.fail(&e))?;
            start += rows;
            if self.inner.memory_size() >= self.max_buffered_bytes {
                self.inner.flush().map_err(|e| self.fail(&e))?;
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn bytes_buffered(&self) -> u64 {
        self.inner.in_progress_size() as u64
    }

    fn bytes_written(&self) -> u64 {
        self.inner.bytes_written() as u64
    }

    fn finish(&mut self, _cx: &Cx) -> Result<PartFacts> {
        let metadata = self.inner.finish().map_err(|e| self.fail(&e))?;
        Ok(PartFacts { rows: self.rows, row_groups: metadata.num_row_groups() as u64 })
    }
}

fn properties(options: &ParquetOptions) -> Result<WriterProperties> {
    Ok(WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("rivet version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(options.compression()?)
        .set_max_row_group_row_count(options.row_group_rows)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .build())
}

/// The sink's own error: parquet would flatten it to text on the way out.
type SinkError = Arc<Mutex<Option<PluginError>>>;

struct SinkWriter {
    sink: Box<dyn ByteSink>,
    error: SinkError,
}

impl io::Write for SinkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.sink.write(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(e) => {
                *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                Err(io::Error::other("the sink failed"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn describe(sink_error: &SinkError, e: &ParquetError) -> PluginError {
    let from_sink = sink_error.lock().unwrap_or_else(PoisonError::into_inner).take();
    from_sink.unwrap_or_else(|| PluginError::new(ErrorKind::Internal, "parquet.write", "failed to encode").cause(e))
}
