//! A Parquet file being written: a row group ends when it is full, in rows or in bytes.
//! It must not know where the bytes go, nor how encodings are chosen.

use std::io::Write;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rivet_plugin_api::{RecordBatch, SchemaRef};

use crate::columns::Columns;
use crate::threads::Share;

pub struct File<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    groups: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// The row group that is not complete yet.
    group: Option<Columns>,
    max_group_rows: usize,
    /// Memory in which a row group is kept until it is complete.
    max_group_bytes: usize,
    share: Share,
}

impl<W: Write + Send> File<W> {
    /// Begins a file of `schema`.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn begin(
        out: W,
        schema: SchemaRef,
        properties: WriterProperties,
        max_group_bytes: usize,
        share: Share,
    ) -> Result<Self, ParquetError> {
        let max_group_rows = properties.max_row_group_row_count().unwrap_or(usize::MAX);
        let (writer, groups) = ArrowWriter::try_new(out, schema.clone(), Some(properties))?.into_serialized_writer()?;
        Ok(Self { writer, groups, schema, group: None, max_group_rows, max_group_bytes, share })
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
                none => {
                    let (leaves, index) = (self.writer.schema_descr(), self.writer.flushed_row_groups().len());
                    none.insert(Columns::new(&self.schema, leaves, &self.groups, index)?)
                }
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
        let columns = group.close(self.share.n_threads())?;
        let mut group = self.writer.next_row_group()?;
        columns.into_iter().try_for_each(|column| column.append_to_row_group(&mut group))?;
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
