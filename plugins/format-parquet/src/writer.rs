//! Takes batches for one Parquet file: the first rows choose the encodings of all.
//! It must not know how large a part may become: core rolls parts.

use std::io;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use rivet_plugin_api::{
    BatchWriter, ByteSink, Cx, ErrorKind, FieldMapping, PartFacts, PluginError, RecordBatch, Result, SchemaRef,
    WriterSettings,
};

use crate::compress::Compressors;
use crate::dictionary::{self, Known, SAMPLE_ROWS};
use crate::file::{File, Limits};
use crate::interval::{self, Way};
use crate::threads::Share;
use crate::{Parquet, inspect, options::ParquetOptions};

/// Longest prefix of a text or binary value that is kept as a statistic, bytes.
const STATISTICS_BYTES: usize = 64;
/// Rows between two looks at the memory in use.
const ROWS_PER_SLICE: usize = 8192;

/// Where a page of long values ends, bytes before compression: zstd finds what repeats within a page only, and at level 3
/// looks back 2 MiB, so each page begins at a loss.
const MAX_PAGE_BYTES: usize = 6 << 20;
/// A page is not cut smaller than this, however little memory there is.
const MIN_PAGE_BYTES: usize = 64 * 1024;

pub struct Writer {
    stage: Stage,
    dictionaries: Arc<Known>,
    /// The columns without a dictionary, where a file before has shown which.
    known: Option<Vec<ColumnPath>>,
    sink_error: SinkError,
    properties: WriterPropertiesBuilder,
    compressors: Arc<Compressors>,
    limits: Limits,
    encode_threads: Option<NonZero<usize>>,
    rows: u64,
    /// The schema of the file.
    schema: SchemaRef,
    /// Whether intervals of the batches are text in the file.
    has_intervals: bool,
}

/// How far the file is.
enum Stage {
    /// The first rows wait until there are enough to choose encodings by.
    Sampling {
        sink: SinkWriter,
        sample: Vec<RecordBatch>,
        rows: usize,
        bytes: usize,
    },
    Encoding(Box<File<SinkWriter>>),
    /// Finished or failed, with so many bytes written.
    Ended(u64),
}

impl Writer {
    /// Starts a file of `schema` in `sink`.
    pub fn start(
        schema: SchemaRef,
        Parquet { options, dictionaries }: &Parquet,
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
        let limits = Limits {
            max_group_bytes: settings.max_buffered_bytes.max(1),
            max_file_bytes: settings.max_part_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        };
        let sink_error = SinkError::default();
        let sink = SinkWriter { sink, error: sink_error.clone() };
        let stored = interval::schema(&schema, Way::Store);
        let has_intervals = stored.is_some();
        let schema = stored.unwrap_or(schema);
        Ok(Self {
            stage: Stage::Sampling { sink, sample: Vec::new(), rows: 0, bytes: 0 },
            dictionaries: dictionaries.clone(),
            known: dictionaries.next(&schema),
            sink_error,
            properties: properties(options, limits),
            compressors: Arc::new(Compressors::new(options.compression()?)),
            limits,
            encode_threads: options.encode_threads,
            rows: 0,
            has_intervals,
            schema,
        })
    }

    /// Takes a few rows, in the types of the file.
    fn take(&mut self, slice: RecordBatch) -> Result<()> {
        match &mut self.stage {
            Stage::Sampling { sample, rows, bytes, .. } => {
                *rows += slice.num_rows();
                *bytes += bytes_of(&slice);
                sample.push(slice);
                if self.known.is_none() && !is_enough(*rows, *bytes, self.limits) {
                    return Ok(());
                }
                self.begin()
            }
            Stage::Encoding(_) => self.encode(&slice),
            Stage::Ended(_) => Err(PluginError::new(ErrorKind::Internal, "parquet.ended", "the file has ended")),
        }
    }

    /// Chooses encodings by the sample and writes it, unless that was done.
    fn begin(&mut self) -> Result<()> {
        let (sink, sample, is_enough) = match std::mem::replace(&mut self.stage, Stage::Ended(0)) {
            Stage::Sampling { sink, sample, rows, bytes } => (sink, sample, is_enough(rows, bytes, self.limits)),
            begun => {
                self.stage = begun;
                return Ok(());
            }
        };
        let losing = match self.known.take() {
            Some(losing) => losing,
            None => {
                let losing = dictionary::losing(&sample, self.limits.smallest(), &self.properties, &self.compressors);
                let losing = losing.map_err(|e| self.fail(&e))?;
                // A short file says little about others.
                if is_enough {
                    self.dictionaries.keep(&self.schema, &losing);
                }
                losing
            }
        };
        tracing::debug!(plain = ?losing.iter().map(ColumnPath::string).collect::<Vec<_>>(), "columns without a dictionary");
        let without = |properties: WriterPropertiesBuilder, path| properties.set_column_dictionary_enabled(path, false);
        let properties = losing.into_iter().fold(self.properties.clone(), without);
        let share = Share::new(self.encode_threads);
        let compressors = self.compressors.clone();
        let file = File::begin(sink, self.schema.clone(), properties, compressors, self.limits, share);
        self.stage = Stage::Encoding(Box::new(file.map_err(|e| self.fail(&e))?));
        sample.iter().try_for_each(|slice| self.encode(slice))
    }

    fn encode(&mut self, slice: &RecordBatch) -> Result<()> {
        let Stage::Encoding(file) = &mut self.stage else { return Ok(()) };
        file.write(slice).map_err(|e| self.fail(&e))
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
            let slice = batch.slice(start, rows);
            self.take(if self.has_intervals { interval::batch(&slice, &self.schema)? } else { slice })?;
            start += rows;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn bytes_buffered(&self) -> u64 {
        match &self.stage {
            Stage::Sampling { bytes, .. } => *bytes as u64,
            Stage::Encoding(file) => file.bytes_buffered() as u64,
            Stage::Ended(_) => 0,
        }
    }

    fn bytes_written(&self) -> u64 {
        match &self.stage {
            Stage::Sampling { .. } => 0,
            Stage::Encoding(file) => file.bytes_written() as u64,
            Stage::Ended(bytes) => *bytes,
        }
    }

    fn finish(&mut self, _cx: &Cx) -> Result<PartFacts> {
        self.begin()?;
        let Stage::Encoding(mut file) = std::mem::replace(&mut self.stage, Stage::Ended(0)) else {
            return Err(PluginError::new(ErrorKind::Internal, "parquet.ended", "the file has ended"));
        };
        let row_groups = file.finish().map_err(|e| self.fail(&e))? as u64;
        self.stage = Stage::Ended(file.bytes_written() as u64);
        Ok(PartFacts { rows: self.rows, row_groups })
    }
}

/// Whether so many first rows show what the rest will be like.
fn is_enough(rows: usize, bytes: usize, limits: Limits) -> bool {
    rows >= SAMPLE_ROWS || bytes >= limits.smallest() / 2
}

/// Arrow bytes of a slice by itself.
fn bytes_of(slice: &RecordBatch) -> usize {
    slice.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}

fn properties(options: &ParquetOptions, limits: Limits) -> WriterPropertiesBuilder {
    // What a page in progress will come to is a guess, which must not be the size of the file.
    let max_page_bytes = limits.max_file_bytes.map_or(usize::MAX, |bytes| bytes / 4).min(limits.max_group_bytes / 2);
    WriterProperties::builder()
        .set_created_by(concat!("rivet version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(options.row_group_rows.map(NonZero::get))
        .set_data_page_size_limit(max_page_bytes.clamp(MIN_PAGE_BYTES, MAX_PAGE_BYTES))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
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
    let own = || match e {
        ParquetError::External(inner) => inner.downcast_ref::<PluginError>().cloned(),
        _ => None,
    };
    from_sink
        .or_else(own)
        .unwrap_or_else(|| PluginError::new(ErrorKind::Internal, "parquet.write", "failed to encode").cause(e))
}
