//! The options of the `parquet` format and what they mean to the encoder.
//! It must not know schemas or batches.

use std::num::NonZero;

use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use rivet_plugin_api::{ErrorKind, PluginError, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `format: {type: parquet, …}`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ParquetOptions {
    /// Codec of the data pages.
    pub compression: Codec,
    /// Level of the codec: zstd 1 to 22 (default 3), gzip 0 to 9 (default 6); the other codecs have none.
    pub compression_level: Option<i32>,
    /// Most rows in a row group; by default only memory ends one.
    pub row_group_rows: Option<NonZero<usize>>,
    /// Threads that encode the columns of a part. By default those that idle processors allow, 4 at most: each part
    /// that is written keeps two processors busy, what is left of them is shared. The file is the same however many.
    pub encode_threads: Option<NonZero<usize>>,
}

/// Compression codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// Zstandard: small and fast.
    #[default]
    Zstd,
    /// Snappy: faster, larger.
    Snappy,
    /// Gzip: for old readers.
    Gzip,
    /// LZ4 in its raw block form, which readers call LZ4_RAW.
    Lz4,
    /// The same as `lz4`.
    Lz4Raw,
    /// Uncompressed.
    None,
}

/// Level used when the config names none; the trade-off most writers of Parquet settle on.
const DEFAULT_ZSTD_LEVEL: i32 = 3;

impl ParquetOptions {
    /// The encoder's codec.
    ///
    /// # Errors
    /// `Config` when the level does not exist for the codec.
    pub fn compression(&self) -> Result<Compression> {
        let level = self.compression_level;
        let bad = |e: parquet::errors::ParquetError| invalid_level(e);
        match (self.compression, level) {
            (Codec::Zstd, level) => {
                Ok(Compression::ZSTD(ZstdLevel::try_new(level.unwrap_or(DEFAULT_ZSTD_LEVEL)).map_err(bad)?))
            }
            (Codec::Gzip, None) => Ok(Compression::GZIP(GzipLevel::default())),
            (Codec::Gzip, Some(level)) => {
                let level = u32::try_from(level).unwrap_or(u32::MAX);
                Ok(Compression::GZIP(GzipLevel::try_new(level).map_err(bad)?))
            }
            (Codec::Snappy, None) => Ok(Compression::SNAPPY),
            (Codec::Lz4 | Codec::Lz4Raw, None) => Ok(Compression::LZ4_RAW),
            (Codec::None, None) => Ok(Compression::UNCOMPRESSED),
            (Codec::Snappy | Codec::Lz4 | Codec::Lz4Raw | Codec::None, Some(_)) => {
                Err(invalid_level("this codec has no levels").hint("remove `compression_level`"))
            }
        }
    }
}

fn invalid_level(cause: impl std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Config, "parquet.compression_level", "`compression_level` does not fit `compression`")
        .cause(cause)
        .hint("zstd takes 1 to 22, gzip 0 to 9")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_checked_against_the_codec() {
        let cases = [
            (Codec::Zstd, None, true),
            (Codec::Zstd, Some(22), true),
            (Codec::Zstd, Some(23), false),
            (Codec::Gzip, Some(9), true),
            (Codec::Gzip, Some(-1), false),
            (Codec::Snappy, Some(1), false),
            (Codec::Gzip, Some(10), false),
            (Codec::Lz4, None, true),
            (Codec::Lz4, Some(1), false),
            (Codec::None, None, true),
        ];
        for (compression, compression_level, fits) in cases {
            let options = ParquetOptions { compression, compression_level, ..Default::default() };
            assert_eq!(options.compression().is_ok(), fits, "{compression:?} {compression_level:?}");
        }
    }

    #[test]
    fn lz4_is_the_block_form_that_parquet_calls_raw() {
        for word in ["lz4", "lz4_raw"] {
            let options: ParquetOptions =
                serde_json::from_value(serde_json::json!({ "compression": word })).expect("a codec");
            assert_eq!(options.compression().expect("it has no level"), Compression::LZ4_RAW, "{word}");
        }
    }

    #[test]
    fn none_of_something_is_no_number_of_it() {
        for option in ["row_group_rows", "encode_threads"] {
            let read = |n: u8| serde_json::from_value::<ParquetOptions>(serde_json::json!({ option: n }));
            assert!(read(0).is_err() && read(1).is_ok(), "{option}");
        }
    }
}
