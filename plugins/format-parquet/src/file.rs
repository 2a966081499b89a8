//! A Parquet file being written: a row group ends when it is full, in rows or in bytes.
//! It must not know where the bytes go, nor how encodings are chosen.

use std::io::Write;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::file::writer::SerializedFileWriter;
use rivet_plugin_api::{RecordBatch, SchemaRef};

use crate::columns::Columns;
use crate::compress::Compressors;
use crate::groups::{Groups, Values, has_long_value};
use crate::pages::{Chunk, Ratio};
use crate::threads::Share;

/// A row group ends at this share of the file at the least when only an estimate says that the file is full.
const LEAST_SHARE: usize = 8;

/// Sizes of a file.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory in which a row group is kept until it is complete.
    pub max_group_bytes: usize,
    /// Bytes at which whoever writes the file will end it, if any.
    pub max_file_bytes: Option<usize>,
}

impl Limits {
    /// The smaller one.
    pub fn smallest(&self) -> usize {
        self.max_group_bytes.min(self.max_file_bytes.unwrap_or(usize::MAX))
    }
}

/// A file that is not complete.
pub struct File<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    groups: Groups,
    /// The row group that is not complete yet.
    group: Option<Columns>,
    /// How compressible the columns were in the row group before.
    ratios: Vec<Ratio>,
    max_group_rows: usize,
    limits: Limits,
    share: Share,
}

impl<W: Write + Send> File<W> {
    /// Begins a file of `schema`, whose pages `compressors` compress.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn begin(
        out: W,
        schema: SchemaRef,
        properties: WriterPropertiesBuilder,
        compressors: Arc<Compressors>,
        limits: Limits,
        share: Share,
    ) -> Result<Self, ParquetError> {
        let (writer, groups) = Groups::of(out, schema, properties, compressors)?;
        let max_group_rows = writer.properties().max_row_group_row_count().unwrap_or(usize::MAX);
        Ok(Self { writer, groups, group: None, ratios: Vec::new(), max_group_rows, limits, share })
    }

    /// Takes rows of the schema; a row group may end among them.
    ///
    /// # Errors
    /// Those of the encoder and of the output.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let values = if has_long_value(rows) { Values::Long } else { Values::Usual };
        if values == Values::Long && self.group.as_ref().is_some_and(|group| group.values() == Values::Usual) {
            self.end_group()?;
        }
        let mut start = 0;
        while start < rows.num_rows() {
            let group = match &mut self.group {
                Some(group) => group,
                none => none.insert(self.groups.begin(self.writer.flushed_row_groups().len(), values)?),
            };
            let n_rows = (rows.num_rows() - start).min(self.max_group_rows - group.rows());
            group.write(&rows.slice(start, n_rows), self.share.n_threads())?;
            start += n_rows;
            let is_full = group.rows() >= self.max_group_rows || group.memory_size() >= self.limits.max_group_bytes;
            if is_full || self.seems_complete() {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Whether the file has reached its size by an estimate that is worth a row group: when that is written its size is
    /// known, and the next estimate is better.
    fn seems_complete(&self) -> bool {
        let Some(most) = self.limits.max_file_bytes else { return false };
        let expected = self.bytes_buffered();
        self.bytes_written() + expected >= most && expected >= most / LEAST_SHARE
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let chunks = group.close(self.share.n_threads())?;
        self.ratios = chunks.iter().map(Chunk::ratio).collect();
        let mut group = self.writer.next_row_group()?;
        chunks.into_iter().try_for_each(|chunk| chunk.append(&mut group))?;
        group.close()?;
        Ok(())
    }

    /// What the row group that is not complete yet would be in the file, bytes; an estimate.
    pub fn bytes_buffered(&self) -> usize {
        self.group.as_ref().map_or(0, |group| group.encoded_size(&self.ratios))
    }

    /// Bytes that are written.
    pub fn bytes_written(&self) -> usize {
        self.writer.bytes_written()
    }

    /// Ends the file: its row groups.
    ///
    /// # Errors
    /// Those of the encoder and of the output.
    pub fn finish(&mut self) -> Result<usize, ParquetError> {
        self.end_group()?;
        Ok(self.writer.finish()?.num_row_groups())
    }
}
