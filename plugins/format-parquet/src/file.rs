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
use crate::groups::Groups;
use crate::threads::Share;

/// A file that is not complete.
pub struct File<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    groups: Groups,
    /// The row group that is not complete yet.
    group: Option<Columns>,
    max_group_rows: usize,
    /// Memory in which a row group is kept until it is complete.
    max_group_bytes: usize,
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
        max_group_bytes: usize,
        share: Share,
    ) -> Result<Self, ParquetError> {
        let (writer, groups) = Groups::of(out, schema, properties, compressors)?;
        let max_group_rows = writer.properties().max_row_group_row_count().unwrap_or(usize::MAX);
        Ok(Self { writer, groups, group: None, max_group_rows, max_group_bytes, share })
    }

    /// Takes rows of the schema; a row group may end among them.
    ///
    /// # Errors
    /// Those of the encoder and of the output.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let mut start = 0;
        while start < rows.num_rows() {
            let group = match &mut self.group {
                Some(group) => group,
                none => none.insert(self.groups.begin(self.writer.flushed_row_groups().len())?),
            };
            let n_rows = (rows.num_rows() - start).min(self.max_group_rows - group.rows());
            group.write(&rows.slice(start, n_rows), self.share.n_threads())?;
            start += n_rows;
            if group.rows() >= self.max_group_rows || group.memory_size() >= self.max_group_bytes {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let chunks = group.close(self.share.n_threads())?;
        let mut group = self.writer.next_row_group()?;
        chunks.into_iter().try_for_each(|chunk| chunk.append(&mut group))?;
        group.close()?;
        Ok(())
    }

    /// What the row group that is not complete yet would be in the file, bytes; an estimate.
    pub fn bytes_buffered(&self) -> usize {
        self.group.as_ref().map_or(0, Columns::encoded_size)
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
