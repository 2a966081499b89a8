//! The pages of column chunks: compressed as the encoder ends them, kept until their row group is complete.
//! It must not know values or schemas, nor where a file goes.
//!
//! The encoder is told not to compress: it would keep a codec for each column. What it then says about sizes and places
//! is made right here, in the header of each page and in what is known of the whole chunk.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
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
                self.pages.lock().push(&header, bytes.len(), compressed);
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
    /// What the dictionary takes without compression and header, bytes.
    dictionary_values_bytes: usize,
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
    fn push(&mut self, header: &Header<'_>, uncompressed_bytes: usize, body: Bytes) {
        let page = Page { header: header.with_compressed_bytes(body.len()).into(), body };
        self.bytes += page.bytes();
        self.uncompressed_bytes += page.header.len() + uncompressed_bytes;
        match header.kind() {
            Kind::Dictionary => {
                self.dictionary_values_bytes = uncompressed_bytes;
                self.dictionary = Some(page);
            }
            Kind::Other => self.data.push(page),
        }
    }
}

impl Pages {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What compression saved so far, bytes.
    pub fn saved_bytes(&self) -> usize {
        let kept = self.lock();
        kept.uncompressed_bytes.saturating_sub(kept.bytes)
    }

    /// The chunk, of which the encoder says `close`.
    ///
    /// # Errors
    /// When what the encoder says does not fit its pages.
    pub fn end(&self, close: &ColumnCloseResult, compressors: &Compressors) -> Result<Chunk, ParquetError> {
        let kept = std::mem::take(&mut *self.lock());
        let mut close = close.clone();
        let dictionary_bytes = kept.dictionary.as_ref().map_or(0, Page::bytes);
        close.bytes_written = kept.bytes as u64;
        close.metadata = close
            .metadata
            .into_builder()
            .set_compression(compressors.compression())
            .set_total_compressed_size(kept.bytes as i64)
            .set_total_uncompressed_size(kept.uncompressed_bytes as i64)
            .set_dictionary_page_offset(kept.dictionary.is_some().then_some(0))
            .set_data_page_offset(dictionary_bytes as i64)
            .build()?;
        if let Some(index) = &mut close.offset_index {
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
            dictionary_values_bytes: kept.dictionary_values_bytes,
            pages: kept.dictionary.into_iter().chain(kept.data).flat_map(|page| [page.header, page.body]).collect(),
            close,
        })
    }
}

/// A column chunk that is complete.
pub struct Chunk {
    /// Bytes of the dictionary page; 0 when there is none.
    pub dictionary_bytes: usize,
    /// The same without compression and header.
    pub dictionary_values_bytes: usize,
    /// Headers and what they head, in the order of the file.
    pages: VecDeque<Bytes>,
    close: ColumnCloseResult,
}

impl Chunk {
    pub fn metadata(&self) -> &ColumnChunkMetaData {
        &self.close.metadata
    }

    /// Writes the chunk as the next of the row group.
    ///
    /// # Errors
    /// Those of the output.
    pub fn append<W: Write + Send>(self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<(), ParquetError> {
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
            _ => Err(ParquetError::General("a chunk is read from its start".to_owned())),
        }
    }

    fn get_bytes(&self, _start: u64, _length: usize) -> Result<Bytes, ParquetError> {
        Err(ParquetError::General("a chunk is read from its start".to_owned()))
    }
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
