//! The pages of column chunks: compressed as the encoder ends them, kept until their row group is complete.
//! It must not know values or schemas, nor where a file goes.
//!
//! The encoder is told not to compress: it would keep a codec for each column. What it then says about sizes and places
//! is made right here, in the header of each page and in what is known of the whole chunk.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::basic::Compression;
use parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::SerializedRowGroupWriter;

use crate::compress::Compressors;
use crate::header::{Header, Kind};

/// Makes a store for each column chunk.
#[derive(Debug)]
pub struct Stores {
    compressors: Arc<Compressors>,
    /// The stores of the row group that begins, by column.
    made: Mutex<Vec<Pages>>,
}

impl Stores {
    /// None yet.
    pub fn new(compressors: Arc<Compressors>) -> Self {
        Self { compressors, made: Mutex::default() }
    }

    /// What is in the stores that were made since the last call.
    pub fn take(&self) -> Vec<Pages> {
        std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PageStoreFactory for Stores {
    fn create(&self, _args: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>, ParquetError> {
        let pages = Pages::default();
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(pages.clone());
        Ok(Box::new(Store { compressors: self.compressors.clone(), header: None, pages }))
    }
}

/// Where the encoder puts a page: first its header, then what it holds.
struct Store {
    compressors: Arc<Compressors>,
    /// A header whose page comes next.
    header: Option<Bytes>,
    pages: Pages,
}

impl PageStore for Store {
    fn put(&mut self, bytes: Bytes) -> Result<PageKey, ParquetError> {
        match self.header.take() {
            None => self.header = Some(bytes),
            Some(header) => {
                let header = Header::read(&header)?;
                if header.uncompressed_bytes() != bytes.len() {
                    return Err(ParquetError::General("a page is not as long as its header says".to_owned()));
                }
                let compressed = self.compressors.compress(&bytes)?;
                self.pages.lock().push(&header, compressed)?;
            }
        }
        // Nobody asks for the page by its key.
        Ok(PageKey::new(0))
    }

    fn take(&mut self, _key: PageKey) -> Result<Bytes, ParquetError> {
        Err(ParquetError::General("pages are taken from the chunk".to_owned()))
    }

    fn memory_size(&self) -> usize {
        self.pages.lock().bytes
    }
}

/// The pages of a column chunk so far.
#[derive(Debug, Clone, Default)]
pub struct Pages(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    dictionary: Option<Page>,
    /// Values in the dictionary.
    n_distinct: usize,
    data: Vec<Page>,
    /// What all pages take, bytes.
    bytes: usize,
    /// What they would take uncompressed, bytes.
    uncompressed_bytes: usize,
}

#[derive(Debug)]
struct Page {
    header: Bytes,
    body: Bytes,
}

impl Page {
    fn bytes(&self) -> usize {
        self.header.len() + self.body.len()
    }
}

impl Kept {
    fn push(&mut self, header: &Header<'_>, body: Bytes) -> Result<(), ParquetError> {
        let page = Page { header: header.with_compressed_bytes(i32::try_from(body.len())?).into(), body };
        self.bytes += page.bytes();
        self.uncompressed_bytes += page.header.len() + header.uncompressed_bytes();
        match header.kind() {
            Kind::Dictionary { n_values } => {
                self.n_distinct = n_values;
                self.dictionary = Some(page);
            }
            Kind::Data => self.data.push(page),
        }
        Ok(())
    }
}

impl Pages {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a chunk takes of which the encoder expects so many bytes, uncompressed: its complete pages are known, the rest is
    /// taken to be as compressible as they are, or, without any, as the chunk `before` it in the file was.
    pub fn as_compressed(&self, expected_bytes: usize, before: Ratio) -> usize {
        let kept = self.lock();
        let ratio = Ratio::of(kept.bytes, kept.uncompressed_bytes).unwrap_or(before);
        kept.bytes + ratio.applied_to(expected_bytes.saturating_sub(kept.uncompressed_bytes))
    }

    /// The chunk of these pages, which are no longer here then. The encoder says the rest.
    ///
    /// # Errors
    /// When what the encoder says does not fit its pages.
    pub fn end(&self, mut encoded: ArrowColumnChunk, compression: Compression) -> Result<Chunk, ParquetError> {
        let kept = std::mem::take(&mut *self.lock());
        let said = encoded.close_mut();
        let dictionary_bytes = kept.dictionary.as_ref().map_or(0, Page::bytes);
        let metadata = said.metadata.clone().into_builder();
        let metadata = metadata
            .set_compression(compression)
            .set_total_compressed_size(kept.bytes as i64)
            .set_total_uncompressed_size(kept.uncompressed_bytes as i64)
            .set_dictionary_page_offset(kept.dictionary.is_some().then_some(0))
            .set_data_page_offset(dictionary_bytes as i64)
            .build()?;
        let mut offset_index = said.offset_index.take();
        if let Some(index) = &mut offset_index {
            if index.page_locations.len() != kept.data.len() {
                return Err(ParquetError::General("the index of a column chunk has other pages".to_owned()));
            }
            let mut offset = dictionary_bytes;
            for (location, page) in index.page_locations.iter_mut().zip(&kept.data) {
                location.offset = offset as i64;
                location.compressed_page_size = i32::try_from(page.bytes())?;
                offset += page.bytes();
            }
        }
        Ok(Chunk {
            dictionary_bytes,
            n_distinct: kept.n_distinct,
            pages: kept.dictionary.into_iter().chain(kept.data).flat_map(|page| [page.header, page.body]).collect(),
            close: ColumnCloseResult {
                bytes_written: kept.bytes as u64,
                rows_written: said.rows_written,
                metadata,
                bloom_filter: said.bloom_filter.take(),
                column_index: said.column_index.take(),
                offset_index,
            },
        })
    }
}

/// How much smaller compression makes a chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio(f64);

impl Ratio {
    /// That of bytes that nothing is known of.
    pub const UNKNOWN: Self = Self(1.0);

    /// That of `compressed` bytes which were `uncompressed`; none of no bytes.
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn of(compressed: usize, uncompressed: usize) -> Option<Self> {
        (uncompressed > 0).then(|| Self(compressed as f64 / uncompressed as f64))
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an estimate"
    )]
    fn applied_to(self, bytes: usize) -> usize {
        (bytes as f64 * self.0) as usize
    }
}

/// A column chunk that is complete.
pub struct Chunk {
    /// Bytes of the dictionary page; 0 when there is none.
    pub dictionary_bytes: usize,
    /// Values in the dictionary.
    pub n_distinct: usize,
    /// Headers and what they head, in the order of the file.
    pages: VecDeque<Bytes>,
    close: ColumnCloseResult,
}

impl Chunk {
    /// How much smaller compression made it.
    pub fn ratio(&self) -> Ratio {
        let bytes = |n: i64| usize::try_from(n).unwrap_or(0);
        let metadata = self.metadata();
        Ratio::of(bytes(metadata.compressed_size()), bytes(metadata.uncompressed_size())).unwrap_or(Ratio::UNKNOWN)
    }

    /// What the file will say of it, but for its place.
    pub fn metadata(&self) -> &ColumnChunkMetaData {
        &self.close.metadata
    }

    /// Writes the chunk as the next of the row group.
    ///
    /// # Errors
    /// Those of the output.
    pub fn append<W: Write + Send>(self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<(), ParquetError> {
        // In pieces of 8 KiB (`io::copy`); whole pages can only be taken from a store whose sizes the encoder knows.
        group.append_column(&Reader(Mutex::new(self.pages)), self.close)
    }
}

/// Reads a chunk once, and frees each page that was read.
struct Reader(Mutex<VecDeque<Bytes>>);

struct Reading(VecDeque<Bytes>);

impl Length for Reader {
    fn len(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|bytes| bytes.len() as u64).sum()
    }
}

impl ChunkReader for Reader {
    type T = Reading;

    fn get_read(&self, start: u64) -> Result<Reading, ParquetError> {
        match start {
            0 => Ok(Reading(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))),
            _ => Err(misread()),
        }
    }

    fn get_bytes(&self, _start: u64, _length: usize) -> Result<Bytes, ParquetError> {
        Err(misread())
    }
}

fn misread() -> ParquetError {
    ParquetError::General("a chunk is read from its start".to_owned())
}

impl Read for Reading {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(first) = self.0.front_mut() {
            let length = first.len().min(out.len());
            if length > 0 || out.is_empty() {
                first.copy_to_slice(&mut out[..length]);
                return Ok(length);
            }
            self.0.pop_front();
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{GzipLevel, ZstdLevel};
    use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

    use super::*;
    use crate::file::{File, Limits};
    use crate::threads::Share;

    /// A column with a dictionary, one that gives its dictionary up, one without, one of NULLs, one of bits, lists, and
    /// values as long as a page.
    fn rows(n_rows: i64) -> RecordBatch {
        let text = |row: i64| format!("{:x}", row.wrapping_mul(0x7f51_afd7_ed55_8ccd));
        let mut lists = ListBuilder::new(Int32Builder::new());
        for row in 0..n_rows {
            (0..row % 4).for_each(|n| lists.values().append_value((n * row) as i32));
            lists.append(row % 5 > 0);
        }
        let long: String = (0..80_000).map(text).collect();
        RecordBatch::try_from_iter([
            ("few", Arc::new(Int64Array::from_iter_values((0..n_rows).map(|row| row % 7))) as ArrayRef),
            ("many", Arc::new(StringArray::from_iter_values((0..n_rows).map(text)))),
            ("plain", Arc::new(Int64Array::from_iter((0..n_rows).map(|row| (row % 5 > 0).then_some(row))))),
            ("none", Arc::new(StringArray::new_null(n_rows as usize))),
            ("bits", Arc::new(BooleanArray::from_iter((0..n_rows).map(|row| Some(row % 3 > 0))))),
            ("lists", Arc::new(lists.finish())),
            (
                "long",
                Arc::new(StringArray::from_iter((0..n_rows).map(|row| (row % 9000 == 0).then_some(long.as_str())))),
            ),
        ])
        .expect("columns of one length")
    }

    fn properties() -> WriterPropertiesBuilder {
        WriterProperties::builder()
            .set_dictionary_page_size_limit(64 << 10)
            .set_column_dictionary_enabled("plain".into(), false)
            .set_data_page_row_count_limit(2000)
            .set_max_row_group_row_count(Some(10_000))
    }

    #[test]
    fn a_file_is_what_the_encoder_would_have_written_with_codecs_of_its_own() {
        let rows = rows(20_000);
        let level = |level| ZstdLevel::try_new(level).expect("a level");
        for compression in [
            Compression::ZSTD(level(3)),
            Compression::ZSTD(level(9)),
            Compression::ZSTD(level(19)),
            Compression::GZIP(GzipLevel::default()),
            Compression::SNAPPY,
            Compression::LZ4_RAW,
            Compression::UNCOMPRESSED,
        ] {
            let mut expected = Vec::new();
            let with = properties().set_compression(compression).build();
            let mut writer = ArrowWriter::try_new(&mut expected, rows.schema(), Some(with)).expect("a schema it holds");
            let mut found = Vec::new();
            let compressors = Arc::new(Compressors::new(compression));
            let limits = Limits { max_group_bytes: usize::MAX, max_file_bytes: None };
            let mut file = File::begin(&mut found, rows.schema(), properties(), compressors, limits, Share::new(None))
                .expect("a schema it holds");
            for start in (0..20_000).step_by(2500) {
                let rows = rows.slice(start, 2500);
                writer.write(&rows).expect("memory takes it");
                file.write(&rows).expect("memory takes it");
            }
            writer.close().expect("memory takes it");
            assert_eq!(file.finish().expect("memory takes it"), 2);
            drop(file);
            assert!(found == expected, "{compression}: {} bytes, {} expected", found.len(), expected.len());
        }
    }

    #[test]
    fn what_a_chunk_takes_is_known_as_far_as_its_pages_are() {
        let pages = Pages::default();
        let compressors = Arc::new(Compressors::new(Compression::SNAPPY));
        let mut store = Store { compressors, header: None, pages: pages.clone() };
        // A data page of 1000 bytes: type 0, its size twice, a header of its own.
        let header = [0x15, 0x00, 0x15, 0xd0, 0x0f, 0x15, 0xd0, 0x0f, 0x2c, 0x15, 0x02, 0x00, 0x00];
        assert_eq!(pages.as_compressed(1000, Ratio::UNKNOWN), 1000);
        assert_eq!(pages.as_compressed(1000, Ratio::of(10, 100).expect("of bytes")), 100);
        let mut taken = 0;
        for n_pages in 1..4 {
            store.put(Bytes::copy_from_slice(&header)).expect("a header");
            store.put(vec![7; 1000].into()).expect("a page");
            let grown = store.memory_size() - taken;
            assert!((header.len()..100).contains(&grown), "{grown} bytes for a page");
            taken += grown;
            // 500 bytes are on their way to the next page, which is taken to be like the others.
            let expected = pages.as_compressed(n_pages * (header.len() + 1000) + 500, Ratio::UNKNOWN);
            let (least, ratio) = (taken, taken as f64 / (n_pages * 1000) as f64);
            let most = taken + (550.0 * ratio) as usize;
            assert!((least + 1..=most).contains(&expected), "{expected} bytes, {taken} taken");
        }
        store.put(Bytes::copy_from_slice(&header)).expect("a header");
        assert!(store.put(vec![7; 999].into()).is_err(), "shorter than its header says");
        store.put(vec![7; 9].into()).expect("looked at with its page");
        assert!(store.put(vec![7; 1000].into()).is_err(), "after what is no header");
    }
}
