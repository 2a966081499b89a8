//! The options of the `arrow` format and what they mean to the encoder.
//! It must not know schemas or batches.

use arrow_ipc::CompressionType;
use arrow_ipc::writer::IpcWriteOptions;
use rivet_plugin_api::{ErrorKind, PluginError, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `format: {type: arrow, …}`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArrowOptions {
    /// What the batches are wrapped in: a `file` ends in `.arrow`, a `stream` in `.arrows`.
    pub container: Container,
    /// Codec of the buffers.
    pub compression: Compression,
    /// Level of the codec: zstd 1 to 22 (default 3); the other codecs have none.
    pub compression_level: Option<i32>,
}

/// What the batches are wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// With an index at the end: readers jump to any batch, and a file that was cut is noticed. Also known as Feather 2.
    #[default]
    File,
    /// Batch after batch, for readers that take them from a pipe.
    Stream,
}

/// Compression codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Uncompressed: readers map the file into memory.
    #[default]
    None,
    /// LZ4 frames: fast.
    Lz4,
    /// Zstandard: small.
    Zstd,
}

/// Level used when the config names none, the same as in the other formats.
const DEFAULT_ZSTD_LEVEL: i32 = 3;

impl ArrowOptions {
    /// How the encoder writes.
    ///
    /// # Errors
    /// `Config` when the level does not exist for the codec.
    pub fn encoding(&self) -> Result<IpcWriteOptions> {
        let (codec, level) = match (self.compression, self.compression_level) {
            (Compression::None, None) => (None, None),
            (Compression::Lz4, None) => (Some(CompressionType::LZ4_FRAME), None),
            (Compression::Zstd, level) => (Some(CompressionType::ZSTD), Some(level.unwrap_or(DEFAULT_ZSTD_LEVEL))),
            (Compression::None | Compression::Lz4, Some(_)) => {
                return Err(invalid_level("this codec has no levels").hint("remove `compression_level`"));
            }
        };
        // The library takes negative levels too, which are no codec's idea of a level elsewhere.
        if level.is_some_and(|level| !(1..=22).contains(&level)) {
            return Err(invalid_level("there is no such level"));
        }
        let encoding = IpcWriteOptions::default().try_with_compression(codec);
        encoding.and_then(|e| e.try_with_compression_level(level)).map_err(invalid_level)
    }
}

fn invalid_level(cause: impl std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Config, "arrow.compression_level", "`compression_level` does not fit `compression`")
        .cause(cause)
        .hint("zstd takes 1 to 22, lz4 and none have no level")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_checked_against_the_codec() {
        let cases = [
            (Compression::None, None, true),
            (Compression::None, Some(1), false),
            (Compression::Lz4, None, true),
            (Compression::Lz4, Some(1), false),
            (Compression::Zstd, None, true),
            (Compression::Zstd, Some(22), true),
            (Compression::Zstd, Some(23), false),
            (Compression::Zstd, Some(0), false),
            (Compression::Zstd, Some(-1), false),
        ];
        for (compression, compression_level, fits) in cases {
            let options = ArrowOptions { compression, compression_level, ..Default::default() };
            let refused = options.encoding().err().map(|e| (e.kind(), e.code().to_owned()));
            let expected = (!fits).then(|| (ErrorKind::Config, "arrow.compression_level".to_owned()));
            assert_eq!(refused, expected, "{compression:?} {compression_level:?}");
        }
    }
}
