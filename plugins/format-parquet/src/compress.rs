//! The codecs of a file, shared by its columns: the tables of one take about a mebibyte at zstd's level 3.
//! It must not know what is compressed.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::write::GzEncoder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use rivet_plugin_api::{ErrorKind, PluginError};

/// A buffer of at most this size is kept for next time, and what was written to it copied; a larger one is given away.
const KEPT_BYTES: usize = 1 << 20;

/// The codecs of a file: as many as threads were compressing at the same time.
pub struct Compressors {
    compression: Compression,
    idle: Mutex<Vec<Compressor>>,
}

struct Compressor {
    encoder: Encoder,
    /// What the encoder writes to.
    out: Vec<u8>,
}

enum Encoder {
    Zstd(zstd::bulk::Compressor<'static>),
    Gzip(flate2::Compression),
    Snappy(Box<snap::raw::Encoder>),
    Lz4Raw,
}

impl fmt::Debug for Compressors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressors").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl Compressors {
    /// None yet: each is made when it is needed.
    pub fn new(compression: Compression) -> Self {
        Self { compression, idle: Mutex::default() }
    }

    /// What they do.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The bytes as the codec writes them, in a block of just that size; without a codec, what was given.
    ///
    /// # Errors
    /// Those of the codec, and a codec that is not one of the format's options.
    pub fn compress(&self, bytes: &Bytes) -> Result<Bytes, ParquetError> {
        if self.compression == Compression::UNCOMPRESSED {
            return Ok(bytes.clone());
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut compressor = match idle {
            Some(compressor) => compressor,
            None => Compressor { encoder: Encoder::new(self.compression)?, out: Vec::new() },
        };
        compressor.out.clear();
        compressor.encoder.compress(bytes, &mut compressor.out)?;
        let compressed = if compressor.out.capacity() > KEPT_BYTES {
            let mut out = std::mem::take(&mut compressor.out);
            out.shrink_to_fit();
            Bytes::from(out)
        } else {
            Bytes::copy_from_slice(&compressor.out)
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
        Ok(compressed)
    }
}

/// With room for all that may come out, zstd fails for want of memory only.
fn no_memory(cause: std::io::Error) -> ParquetError {
    let error = PluginError::new(ErrorKind::Capacity, "parquet.memory", "zstd has no memory to compress with");
    ParquetError::External(Box::new(
        error.cause(cause).hint("lower `compression_level`, or give the process more memory"),
    ))
}

impl Encoder {
    fn new(compression: Compression) -> Result<Self, ParquetError> {
        Ok(match compression {
            Compression::ZSTD(level) => {
                Self::Zstd(zstd::bulk::Compressor::new(level.compression_level()).map_err(no_memory)?)
            }
            Compression::GZIP(level) => Self::Gzip(flate2::Compression::new(level.compression_level())),
            Compression::SNAPPY => Self::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::LZ4_RAW => Self::Lz4Raw,
            other => return Err(ParquetError::NYI(format!("compression with {other}"))),
        })
    }

    /// Writes the compressed bytes to `out`, which is empty.
    fn compress(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ParquetError> {
        match self {
            Self::Zstd(compressor) => {
                out.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
                compressor.compress_to_buffer(bytes, out).map_err(no_memory)?;
            }
            Self::Gzip(level) => {
                let mut stream = GzEncoder::new(out, *level);
                stream.write_all(bytes)?;
                stream.try_finish()?;
            }
            Self::Snappy(encoder) => {
                out.resize(snap::raw::max_compress_len(bytes.len()), 0);
                let length = encoder.compress(bytes, out).map_err(|e| ParquetError::External(Box::new(e)))?;
                out.truncate(length);
            }
            Self::Lz4Raw => {
                out.resize(lz4_flex::block::get_maximum_output_size(bytes.len()), 0);
                let length =
                    lz4_flex::block::compress_into(bytes, out).map_err(|e| ParquetError::External(Box::new(e)))?;
                out.truncate(length);
            }
        }
        Ok(())
    }
}
