//! The columns of a row group, each encoded by itself: on this thread, or on several where processors are idle.
//! It must not know rows beyond a batch, nor when a row group ends.

use std::cmp::Reverse;
use std::iter::repeat;
use std::sync::{Mutex, PoisonError};
use std::thread;

use arrow_schema::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, compute_leaves};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use rivet_plugin_api::RecordBatch;

use crate::groups::Values;
use crate::pages::{Chunk, Pages, Ratio};

/// A row group being encoded. Its bytes do not depend on how many threads encode it.
pub struct Columns {
    schema: SchemaRef,
    compression: Compression,
    /// The leaves of each field.
    fields: Vec<Vec<Column>>,
    values: Values,
    rows: usize,
}

/// A leaf.
pub struct Column {
    pub writer: ArrowColumnWriter,
    /// Where the writer puts its pages.
    pub pages: Pages,
}

impl Columns {
    /// A row group of `schema` without rows, with the leaves of each field.
    pub fn new(schema: SchemaRef, fields: Vec<Vec<Column>>, compression: Compression, values: Values) -> Self {
        Self { schema, compression, fields, values, rows: 0 }
    }

    /// What values it is made for.
    pub fn values(&self) -> Values {
        self.values
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Memory that is held, bytes.
    pub fn memory_size(&self) -> usize {
        self.fields.iter().flatten().map(|column| column.writer.memory_size()).sum()
    }

    /// What it would be in the file by now, bytes; an estimate, for which `before` has the ratios of the row group before, if
    /// there is one.
    pub fn encoded_size(&self, before: &[Ratio]) -> usize {
        let before = before.iter().copied().chain(repeat(Ratio::UNKNOWN));
        let sized = |(column, before): (&Column, Ratio)| {
            column.pages.as_compressed(column.writer.get_estimated_total_bytes(), before)
        };
        self.fields.iter().flatten().zip(before).map(sized).sum()
    }

    /// Takes rows of the schema.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn write(&mut self, batch: &RecordBatch, n_threads: usize) -> Result<(), ParquetError> {
        self.rows += batch.num_rows();
        let fields = self.schema.fields().iter().zip(batch.columns());
        let mut work: Vec<_> = fields.zip(&mut self.fields).collect();
        if n_threads > 1 {
            // The largest first, so that none of them is alone at the end.
            work.sort_by_key(|((_, array), _)| Reverse(array.to_data().get_slice_memory_size().unwrap_or_default()));
        }
        share_out(work, n_threads, |((field, array), columns)| {
            let leaves = compute_leaves(field, array)?;
            leaves.iter().zip(columns).try_for_each(|(leaf, column)| column.writer.write(leaf))
        })
    }

    /// Compresses what is left, and gives the columns in their order.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn close(self, n_threads: usize) -> Result<Vec<Chunk>, ParquetError> {
        let columns: Vec<Column> = self.fields.into_iter().flatten().collect();
        let mut chunks: Vec<Option<Chunk>> = columns.iter().map(|_| None).collect();
        share_out(columns.into_iter().zip(&mut chunks).collect(), n_threads, |(column, chunk)| {
            *chunk = Some(column.pages.end(column.writer.close()?, self.compression)?);
            Ok(())
        })?;
        Ok(chunks.into_iter().flatten().collect())
    }
}

/// Does every piece of work, on so many threads at most, this one among them. A thread stops at its first error.
fn share_out<T: Send>(
    work: Vec<T>,
    n_threads: usize,
    each: impl Fn(T) -> Result<(), ParquetError> + Sync,
) -> Result<(), ParquetError> {
    let n_helpers = n_threads.min(work.len()).saturating_sub(1);
    if n_helpers == 0 {
        return work.into_iter().try_for_each(each);
    }
    let queue = Mutex::new(work.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || std::iter::from_fn(next).try_for_each(&each);
    thread::scope(|scope| {
        // Where no thread can be had, the work is done all the same.
        let helper = |_| thread::Builder::new().spawn_scoped(scope, run).ok();
        let helpers: Vec<_> = (0..n_helpers).filter_map(helper).collect();
        let own = run();
        helpers.into_iter().fold(own, |result, helper| match helper.join() {
            Ok(done) => result.and(done),
            // Whoever called this one hears of it, as without helpers.
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, ListBuilder, StringBuilder};
    use arrow_array::{ArrayRef, Int64Array};
    use parquet::basic::ZstdLevel;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::compress::Compressors;
    use crate::file::{File, Limits};
    use crate::threads::Share;

    fn batch(n_rows: i32) -> RecordBatch {
        let (mut text, mut list) = (StringBuilder::new(), ListBuilder::new(Int32Builder::new()));
        for row in 0..n_rows {
            text.append_option((row % 7 > 0).then(|| format!("{row:x} of {n_rows}")));
            (0..row % 4).for_each(|n| list.values().append_value(n * row));
            list.append(row % 5 > 0);
        }
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..n_rows).map(|n| i64::from(n) * 1_000_003)));
        let pairs = arrow_array::StructArray::from(vec![
            (Arc::new(arrow_schema::Field::new("a", numbers.data_type().clone(), false)), numbers.clone()),
            (Arc::new(arrow_schema::Field::new("b", numbers.data_type().clone(), false)), numbers.clone()),
        ]);
        RecordBatch::try_from_iter([
            ("n", numbers),
            ("list", Arc::new(list.finish()) as ArrayRef),
            ("pair", Arc::new(pairs) as ArrayRef),
            ("text", Arc::new(text.finish()) as ArrayRef),
        ])
        .expect("columns of one length")
    }

    /// A file by so many threads, and its row groups.
    fn file(compression: Compression, n_threads: usize, max_group_rows: usize) -> (Vec<u8>, usize) {
        let (rows, mut out) = (batch(10_000), Vec::new());
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(max_group_rows));
        let compressors = Arc::new(Compressors::new(compression));
        let share = Share::new(NonZero::new(n_threads));
        let limits = Limits { max_group_bytes: 1 << 20, max_file_bytes: None };
        let mut file =
            File::begin(&mut out, rows.schema(), properties, compressors, limits, share).expect("a schema it holds");
        for _ in 0..5 {
            file.write(&rows).expect("memory takes it");
        }
        let n_groups = file.finish().expect("memory takes it");
        drop(file);
        (out, n_groups)
    }

    #[test]
    fn threads_change_nothing_in_the_file() {
        let zstd = |level| Compression::ZSTD(ZstdLevel::try_new(level).expect("a level"));
        // Threads take turns with the codecs: from level 5 on, zstd's tables depend on what it did before.
        for compression in [zstd(3), zstd(9), Compression::SNAPPY] {
            let (alone, n_groups) = file(compression, 1, 12_345);
            assert_eq!(n_groups, 5, "50 000 rows by 12 345");
            for n_threads in [2, 3, 64] {
                let several = file(compression, n_threads, 12_345);
                assert!(several == (alone.clone(), n_groups), "{compression}, {n_threads} threads");
            }
            assert_eq!(file(compression, 4, usize::MAX).1, file(compression, 1, usize::MAX).1);
        }
    }

    #[test]
    fn the_error_of_any_thread_ends_it() {
        for n_threads in [1, 2, 8] {
            let failed = share_out((0..100).collect(), n_threads, |n| match n {
                70 => Err(ParquetError::General("seventy".to_owned())),
                _ => Ok(()),
            });
            assert!(failed.is_err_and(|e| e.to_string().contains("seventy")), "{n_threads}");
        }
        assert!(share_out(Vec::<()>::new(), 4, |()| Ok(())).is_ok());
    }
}
