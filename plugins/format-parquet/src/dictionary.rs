//! Which columns a dictionary makes smaller, found by encoding the first rows with and without.
//! It must not know where a file goes, nor any type: what is smaller is measured.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parquet::basic::{Encoding, PageType};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageEncodingStats;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnPath;
use rivet_plugin_api::{RecordBatch, SchemaRef};

use crate::compress::Compressors;
use crate::groups::{Groups, Values, has_long_value};
use crate::pages::Chunk;

/// Rows that are tried.
pub const SAMPLE_ROWS: usize = 32_768;
/// Fewer rows than this are not worth a try.
const MIN_ROWS: usize = 64;
/// A row group is taken to be at most this many times the sample.
const MAX_SAMPLES: f64 = 32.0;

/// Files that one trial serves: the rows of an export are much the same in all its parts, and a trial costs as much as encoding
/// 80 000 rows, which may be most of a part.
const FILES_PER_TRIAL: usize = 32;

/// What was found for the file before, which the next one need not find again.
#[derive(Debug, Default)]
pub struct Known(Mutex<Option<Found>>);

/// The columns that are written without a dictionary.
#[derive(Debug)]
struct Found {
    schema: SchemaRef,
    losing: Vec<ColumnPath>,
    n_files: usize,
}

impl Known {
    /// The columns that lose by a dictionary, for a further file of the schema.
    pub fn next(&self, schema: &SchemaRef) -> Option<Vec<ColumnPath>> {
        let mut found = self.lock();
        let found = found.as_mut().filter(|found| found.n_files < FILES_PER_TRIAL && found.schema == *schema)?;
        found.n_files += 1;
        Some(found.losing.clone())
    }

    /// Keeps what a trial of enough rows has found.
    pub fn keep(&self, schema: &SchemaRef, losing: &[ColumnPath]) {
        *self.lock() = Some(Found { schema: schema.clone(), losing: losing.to_vec(), n_files: 1 });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compressed bytes of a column chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Size {
    dictionary: f64,
    data: f64,
    /// Values in the dictionary.
    n_distinct: f64,
}

/// The columns that are smaller without a dictionary, in row groups of about `row_group_bytes` encoded bytes, or
/// of as many rows as `properties` allow.
///
/// A dictionary is written once for a row group, so the sample alone is no measure: its size is extrapolated from how
/// it grew between half the sample and all of it. A column of ever new values doubles its dictionary with its rows; one
/// of few values has them all soon.
///
/// # Errors
/// Those of the encoder.
pub fn losing(
    sample: &[RecordBatch],
    row_group_bytes: usize,
    properties: &WriterPropertiesBuilder,
    compressors: &Arc<Compressors>,
) -> Result<Vec<ColumnPath>, ParquetError> {
    // A long value tells nothing about the others, and would be copied three times more.
    let sample: Vec<_> = sample.iter().filter(|batch| !has_long_value(batch)).cloned().collect();
    let sample = &sample[..];
    let max_group_rows = properties.clone().build().max_row_group_row_count().unwrap_or(usize::MAX);
    let n_rows = sample.iter().map(RecordBatch::num_rows).sum::<usize>().min(max_group_rows);
    if n_rows < MIN_ROWS {
        return Ok(Vec::new());
    }
    let with = properties.clone().set_dictionary_enabled(true);
    let plain = encoded(sample, n_rows, properties.clone().set_dictionary_enabled(false), compressors)?;
    let (half, whole) =
        (encoded(sample, n_rows / 2, with.clone(), compressors)?, encoded(sample, n_rows, with, compressors)?);
    let smallest = |(plain, whole): (&(ColumnPath, Size), &(ColumnPath, Size))| plain.1.data.min(whole.1.data);
    let sample_bytes: f64 = plain.iter().zip(&whole).map(smallest).sum();
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    let n_samples = (row_group_bytes as f64 / sample_bytes.max(1.0))
        .min(max_group_rows as f64 / n_rows as f64)
        .clamp(1.0, MAX_SAMPLES);
    let all = plain.into_iter().zip(half).zip(whole);
    let loses = |(((path, plain), (_, half)), (_, whole)): (((_, Size), (_, Size)), (_, Size))| {
        (plain.data * n_samples < with_dictionary(half, whole, n_samples)).then_some(path)
    };
    Ok(all.filter_map(loses).collect())
}

/// Expected bytes of a chunk of `n_samples` times the sample, with a dictionary.
fn with_dictionary(half: Size, whole: Size, n_samples: f64) -> f64 {
    let growth = (whole.n_distinct / half.n_distinct.max(1.0)).clamp(1.0, 2.0);
    whole.dictionary * growth.powf(n_samples.log2()) + whole.data * n_samples
}

/// Encodes the first `n_rows` rows in memory: each column with its size.
fn encoded(
    sample: &[RecordBatch],
    mut n_rows: usize,
    properties: WriterPropertiesBuilder,
    compressors: &Arc<Compressors>,
) -> Result<Vec<(ColumnPath, Size)>, ParquetError> {
    let Some(first) = sample.first() else { return Ok(Vec::new()) };
    let (_, mut groups) = Groups::of(io::sink(), first.schema(), properties, compressors.clone())?;
    let mut columns = groups.begin(0, Values::Usual)?;
    for batch in sample {
        let part = batch.slice(0, n_rows.min(batch.num_rows()));
        n_rows -= part.num_rows();
        columns.write(&part, 1)?;
    }
    Ok(columns.close(1)?.iter().map(|chunk| (chunk.metadata().column_path().clone(), size(chunk))).collect())
}

#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn size(chunk: &Chunk) -> Size {
    let data = chunk.metadata().compressed_size() as f64 - chunk.dictionary_bytes as f64;
    // A dictionary that was given up was full: what it would have come to is not known, but too large.
    let is_given_up =
        chunk.dictionary_bytes > 0 && chunk.metadata().page_encoding_stats().into_iter().flatten().any(is_plain_data);
    Size {
        dictionary: chunk.dictionary_bytes as f64,
        data: if is_given_up { f64::INFINITY } else { data },
        n_distinct: chunk.n_distinct as f64,
    }
}

fn is_plain_data(pages: &PageEncodingStats) -> bool {
    pages.page_type == PageType::DATA_PAGE && pages.encoding == Encoding::PLAIN && pages.count > 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// Row i of a column of each kind, and whether a dictionary loses.
    fn sample(n_rows: i64) -> RecordBatch {
        // The finaliser of MurmurHash3, without which zstd sees how one number follows from another.
        let scattered = |i: i64| {
            let i = (i ^ (i >> 13)).wrapping_mul(0x7f51_afd7_ed55_8ccd);
            let i = (i ^ ((i >> 33) & 0x7fff_ffff)).wrapping_mul(0x44ce_b9fe_1a85_ec53);
            (i ^ ((i >> 33) & 0x7fff_ffff)) & 0xf_ffff_ffff
        };
        let ints =
            |of: &dyn Fn(i64) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..n_rows).map(of))) };
        let text: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..n_rows).map(|i| format!("{:x}", scattered(i)))));
        RecordBatch::try_from_iter([
            ("key", ints(&|i| i / 4)),
            ("distinct", ints(&scattered)),
            ("text", text),
            ("few", ints(&|i| scattered(i) % 7)),
            // Full before the sample is.
            ("long", Arc::new(StringArray::from_iter_values((0..n_rows).map(|i| format!("{:0200x}", scattered(i)))))),
            // Reaches all its values only late in the sample.
            ("some", ints(&|i| scattered(i) % 3000 * 1_000_003)),
        ])
        .expect("columns of one length")
    }

    fn found(sample: &[RecordBatch]) -> Vec<String> {
        found_in(sample, WriterProperties::builder())
    }

    fn found_in(sample: &[RecordBatch], properties: WriterPropertiesBuilder) -> Vec<String> {
        let zstd = Compression::ZSTD(ZstdLevel::try_new(3).expect("a level"));
        let compressors = Arc::new(Compressors::new(zstd));
        let losing = losing(sample, 8 << 20, &properties, &compressors).expect("the sample can be encoded");
        losing.iter().map(ColumnPath::string).collect()
    }

    #[test]
    fn a_dictionary_is_kept_where_values_repeat() {
        let rows = sample(32_768);
        assert_eq!(found(std::slice::from_ref(&rows)), ["key", "distinct", "text", "long"]);
        assert_eq!(found(&[rows.slice(0, 10_000), rows.slice(10_000, 22_768)]), ["key", "distinct", "text", "long"]);
        let slices: Vec<_> = (0..4).map(|n| rows.slice(n * 8192, 8192)).collect();
        assert_eq!(found(&slices), found(std::slice::from_ref(&rows)), "slices after the half are empty there");
        assert!(found(&[rows.slice(0, 50)]).is_empty(), "too few rows to tell");
        assert!(found(&[]).is_empty());
    }

    #[test]
    fn one_trial_serves_many_files_of_one_schema() {
        let (known, schema, other) = (Known::default(), sample(1).schema(), Arc::new(arrow_schema::Schema::empty()));
        let losing = vec![ColumnPath::from("text")];
        assert_eq!(known.next(&schema), None);
        known.keep(&schema, &losing);
        assert_eq!(known.next(&other), None);
        for _ in 1..FILES_PER_TRIAL {
            assert_eq!(known.next(&schema), Some(losing.clone()));
        }
        assert_eq!(known.next(&schema), None, "it is time to look again");
    }

    #[test]
    fn a_dictionary_is_judged_by_a_row_group() {
        let short = WriterProperties::builder().set_max_row_group_row_count(Some(500));
        // 500 of its 3000 values in each row group.
        assert!(found_in(&[sample(32_768)], short).contains(&"some".to_owned()));
    }

    #[test]
    fn a_dictionary_that_grows_is_expected_to_go_on() {
        let size = |dictionary, n_distinct| Size { dictionary, data: 200.0, n_distinct };
        assert_eq!(with_dictionary(size(50.0, 70.0), size(100.0, 140.0), 4.0), 400.0 + 800.0);
        assert_eq!(with_dictionary(size(50.0, 140.0), size(100.0, 140.0), 4.0), 100.0 + 800.0);
        assert_eq!(with_dictionary(size(0.0, 0.0), size(0.0, 0.0), 4.0), 800.0);
    }
}
