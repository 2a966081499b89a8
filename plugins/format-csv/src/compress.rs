//! What happens to the text on its way out: nothing, gzip or zstd.
//! It must not know rows or sinks.

use std::io::{self, Write};

use flate2::{GzBuilder, write::GzEncoder};
use rivet_plugin_api::{ErrorKind, PluginError, Result};
use zstd::stream::raw::CParameter;

/// A codec with its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Plain text.
    None,
    /// Level 0 to 9.
    Gzip(u32),
    /// Level 1 to 19.
    Zstd(i32),
}

/// What zstd may keep of the text to look back at, as a power of two in bytes; its tables take up to sixteen times that.
const ZSTD_WINDOW_LOG: std::ops::RangeInclusive<u32> = 17..=21;

/// A codec at work. Identical text becomes identical bytes.
enum Encoder {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// Takes text and holds what it became until it is taken away.
pub struct Compressor {
    encoder: Encoder,
    /// Bytes that went in, and that came out and were taken away.
    taken: u64,
    given: u64,
}

impl Compressor {
    /// A compressor that should make do with `memory_bytes`.
    pub fn new(codec: Codec, memory_bytes: usize) -> Result<Self> {
        Ok(Self { encoder: Encoder::new(codec, memory_bytes)?, taken: 0, given: 0 })
    }

    /// Takes all of `text` and leaves it empty.
    pub fn take(&mut self, text: &mut Vec<u8>) -> Result<()> {
        self.taken += text.len() as u64;
        self.encoder.take(text)
    }

    /// Ends the file.
    pub fn finish(&mut self) -> Result<()> {
        self.encoder.finish()
    }

    /// Hands what came out to `to`, and forgets it but for room of `keep_bytes`.
    pub fn hand_over(&mut self, keep_bytes: usize, to: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
        let out = self.encoder.out();
        if !out.is_empty() {
            to(out)?;
            self.given += out.len() as u64;
            out.clear();
            out.shrink_to(keep_bytes);
        }
        Ok(())
    }

    /// Bytes that came out and were taken away.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Bytes of what came out and was not taken away.
    pub fn len(&self) -> usize {
        self.encoder.len()
    }

    /// What `text_bytes` more would come to, by what the text before came to.
    pub fn expected_bytes(&self, text_bytes: u64) -> u64 {
        let out = self.given + self.len() as u64;
        if out == 0 || self.taken == 0 {
            return text_bytes;
        }
        let expected = u128::from(text_bytes) * u128::from(out) / u128::from(self.taken);
        u64::try_from(expected).unwrap_or(u64::MAX)
    }
}

impl Encoder {
    fn new(codec: Codec, memory_bytes: usize) -> Result<Self> {
        Ok(match codec {
            Codec::None => Self::Plain(Vec::new()),
            // No time and no name in its header.
            Codec::Gzip(level) => {
                Self::Gzip(GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::new(level)))
            }
            Codec::Zstd(level) => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level).map_err(failed)?;
                let log = (memory_bytes / 16).checked_ilog2().unwrap_or(0);
                let log = log.clamp(*ZSTD_WINDOW_LOG.start(), *ZSTD_WINDOW_LOG.end());
                encoder.set_parameter(CParameter::WindowLog(log)).map_err(failed)?;
                encoder.include_checksum(true).map_err(failed)?;
                Self::Zstd(encoder)
            }
        })
    }

    fn take(&mut self, text: &mut Vec<u8>) -> Result<()> {
        match self {
            // What was there is gone by now, so that the two buffers change places.
            Self::Plain(out) if out.is_empty() => std::mem::swap(out, text),
            Self::Plain(out) => out.extend_from_slice(text),
            Self::Gzip(encoder) => encoder.write_all(text).map_err(failed)?,
            Self::Zstd(encoder) => encoder.write_all(text).map_err(failed)?,
        }
        text.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(encoder) => encoder.try_finish().map_err(failed),
            Self::Zstd(encoder) => encoder.do_finish().map_err(failed),
        }
    }

    /// What came out and was not taken away.
    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Plain(out) => out.len(),
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Zstd(encoder) => encoder.get_ref().len(),
        }
    }
}

fn failed(e: io::Error) -> PluginError {
    PluginError::new(ErrorKind::Internal, "csv.compress", "failed to compress").cause(e)
}
