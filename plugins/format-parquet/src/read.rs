//! Reads a part back: row group after row group, in batches that are small in bytes, not only in rows.
//! It must not know how parts are written.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{ChunkReader, Length};
use rivet_plugin_api::{BatchStream, Cx, ErrorKind, PluginError, ReadAt, RecordBatch, Result, SchemaRef};

use crate::interval::{self, Way};
use crate::{views, width};

/// Most rows in a batch that is read back.
const MAX_BATCH_ROWS: usize = 8192;
/// A batch ends at the row that reaches this size in Arrow's form.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// The batches of a part.
///
/// # Errors
/// `Data` when it is not a whole Parquet file.
pub fn reader(part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
    let part = Part(Arc::from(part));
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let found = ArrowReaderMetadata::load(&part, options.clone()).map_err(|e| unreadable(&e))?;
    let stored = found.schema().clone();
    let restored = interval::schema(&stored, Way::Restore);
    let metadata = match views::schema(&stored) {
        None => found,
        Some(viewed) => ArrowReaderMetadata::try_new(found.metadata().clone(), options.with_schema(viewed))
            .map_err(|e| unreadable(&e))?,
    };
    let has_intervals = restored.is_some();
    let schema = restored.unwrap_or_else(|| stored.clone());
    Ok(Box::new(Batches { part, metadata, next_group: 0, group: None, read: None, stored, schema, has_intervals }))
}

struct Batches {
    part: Part,
    metadata: ArrowReaderMetadata,
    next_group: usize,
    /// The row group that is being read.
    group: Option<ParquetRecordBatchReader>,
    /// Rows that were read and not given yet.
    read: Option<views::Rows>,
    /// The schema of the file.
    stored: SchemaRef,
    schema: SchemaRef,
    /// Whether the schema has intervals where the file has text.
    has_intervals: bool,
}

impl Batches {
    /// Rows in the types of the file; none at its end.
    fn rows(&mut self) -> Result<Option<RecordBatch>, ParquetError> {
        loop {
            if let Some(batch) = self.read.as_mut().and_then(|rows| rows.next(MAX_BATCH_BYTES)) {
                return Ok(Some(batch?));
            }
            self.read = None;
            match self.group.as_mut().and_then(Iterator::next).transpose()? {
                Some(batch) => self.read = Some(views::Rows::of(batch, self.stored.clone())),
                None if self.next_group == self.metadata.metadata().num_row_groups() => return Ok(None),
                None => self.begin_group()?,
            }
        }
    }

    /// Begins the next row group. How many rows are read at once follows from how wide its rows are.
    fn begin_group(&mut self) -> Result<(), ParquetError> {
        // What the last one holds is freed first.
        self.group = None;
        let width_bytes = width::row_bytes(self.metadata.metadata(), self.next_group);
        let n_rows = (MAX_BATCH_BYTES / width_bytes.max(1)).clamp(1, MAX_BATCH_ROWS);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.part.clone(), self.metadata.clone());
        self.group = Some(builder.with_row_groups(vec![self.next_group]).with_batch_size(n_rows).build()?);
        self.next_group += 1;
        Ok(())
    }
}

impl BatchStream for Batches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.check()?;
        match self.rows().map_err(|e| unreadable(&e))? {
            Some(batch) if self.has_intervals => {
                interval::batch(&batch, &self.schema).map(Some).map_err(|e| unreadable(&e))
            }
            batch => Ok(batch),
        }
    }
}

fn unreadable(cause: &dyn std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Data, "parquet.unreadable", "the part is not a whole parquet file").cause(cause)
}

/// A part as parquet's reader wants it.
#[derive(Clone)]
struct Part(Arc<dyn ReadAt>);

impl Length for Part {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Part {
    type T = From;

    fn get_read(&self, start: u64) -> parquet::errors::Result<From> {
        Ok(From { part: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.0.len()) {
            return Err(ParquetError::EOF("the file is shorter than its metadata says".to_owned()));
        }
        let mut buffer = vec![0; length];
        let mut from = self.get_read(start)?;
        from.read_exact(&mut buffer)?;
        Ok(buffer.into())
    }
}

/// Sequential reading from an offset on.
struct From {
    part: Part,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.part.0.read_at(self.at, buffer).map_err(std::io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use arrow_array::cast::AsArray;
    use arrow_array::{Array, ArrayRef, StringArray};
    use rivet_plugin_api::{ByteSink, CancelToken, Format, WriterSettings};

    use super::*;
    use crate::Parquet;
    use crate::options::ParquetOptions;
    use crate::writer::Writer;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl ByteSink for Memory {
        fn write(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(())
        }
    }

    impl ReadAt for Memory {
        fn len(&self) -> u64 {
            self.0.lock().expect("no panic").len() as u64
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
            let bytes = self.0.lock().expect("no panic");
            let rest = &bytes[usize::try_from(offset).expect("small").min(bytes.len())..];
            let n = rest.len().min(buffer.len());
            buffer[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        }
    }

    #[test]
    fn batches_are_small_where_a_dictionary_stands_for_much() {
        let long = "x".repeat(100_000);
        // Long values in 200 rows of 20 000, one after the other, by one word of the dictionary.
        let text = |row: usize| if (9_000..9_200).contains(&row) { &long[..] } else { ["a", "b", "c"][row % 3] };
        let (file, token) = (Memory::default(), CancelToken::new());
        let rows = |start: usize, n: usize| -> RecordBatch {
            let array: ArrayRef = Arc::new(StringArray::from_iter_values((start..start + n).map(text)));
            RecordBatch::try_from_iter([("t", array)]).expect("one column")
        };
        let settings = WriterSettings { max_buffered_bytes: 12 << 20, max_part_bytes: None };
        let schema = rows(0, 1).schema();
        let parquet = Parquet::open(ParquetOptions::default()).expect("a codec");
        let mut writer =
            Writer::start(schema.clone(), &parquet, &settings, Box::new(file.clone())).expect("it holds text");
        for start in (0..20_000).step_by(1000) {
            rivet_plugin_api::BatchWriter::write(&mut writer, &rows(start, 1000), &token.cx())
                .expect("memory takes it");
        }
        rivet_plugin_api::BatchWriter::finish(&mut writer, &token.cx()).expect("memory takes it");
        assert!(file.len() < 1 << 20, "the long value is there once: {} bytes", file.len());
        let mut batches = reader(Box::new(file)).expect("a file");
        assert_eq!(batches.schema(), schema);
        let mut row = 0;
        while let Some(batch) = batches.next(&token.cx()).expect("a whole file") {
            let found = batch.column(0).as_string::<i32>();
            assert!(found.value_data().len() < MAX_BATCH_BYTES + long.len(), "{} bytes", found.value_data().len());
            assert!((0..found.len()).all(|at| found.value(at) == text(row + at)), "from row {row}");
            row += found.len();
        }
        assert_eq!(row, 20_000);
    }
}
