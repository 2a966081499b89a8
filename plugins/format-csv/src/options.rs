//! The options of the `csv` format and what they mean to the encoder.
//! It must not know schemas or batches.

use rivet_plugin_api::{ErrorKind, PluginError, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compress::Codec;

/// Options of `format: {type: csv, …}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// What stands between two values: one ASCII character that no number, date or base64 text has; `\t` is a tab.
    pub delimiter: String,
    /// What NULL is written as, without quotes, such as `\N`; by default nothing at all, while the empty text is `""`.
    pub null: String,
    /// Whether the first line holds the names of the columns.
    pub header: bool,
    /// Which values are put in quotes; NULL never is.
    pub quote: Quoting,
    /// How lines end.
    pub line_ending: LineEnding,
    /// How binary values are written.
    pub binary: BinaryForm,
    /// Whether hexadecimal values begin with `\x`, as PostgreSQL reads them.
    pub hex_prefix: bool,
    /// Compression of the whole file; its name ends in `.csv.gz` or `.csv.zst` then.
    pub compression: Compression,
    /// Level of the codec: zstd 1 to 19 (default 3), gzip 0 to 9 (default 6); `none` has none.
    pub compression_level: Option<i32>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: ",".to_owned(),
            null: String::new(),
            header: true,
            quote: Quoting::default(),
            line_ending: LineEnding::default(),
            binary: BinaryForm::default(),
            hex_prefix: false,
            compression: Compression::default(),
            compression_level: None,
        }
    }
}

/// Which values are put in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quoting {
    /// Those that would be read wrongly without.
    #[default]
    Minimal,
    /// All but NULL.
    All,
}

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineEnding {
    /// Line feed.
    #[default]
    Lf,
    /// Carriage return and line feed, as RFC 4180 has it.
    Crlf,
}

/// How binary values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BinaryForm {
    /// Two hexadecimal digits a byte, in lower case.
    #[default]
    Hex,
    /// RFC 4648 with padding.
    Base64,
}

/// Compression of the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Plain text.
    #[default]
    None,
    /// Gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// What the options mean, checked.
#[derive(Debug, Clone)]
pub struct Dialect {
    /// Between two values.
    pub delimiter: u8,
    /// NULL.
    pub null: Vec<u8>,
    /// Whether the names come first.
    pub header: bool,
    /// Whether all values but NULL are in quotes.
    pub quote_all: bool,
    /// At the end of each line.
    pub line_end: &'static [u8],
    /// How binary values are written.
    pub binary: BinaryForm,
    /// Before hexadecimal digits.
    pub hex_prefix: &'static [u8],
}

const DEFAULT_ZSTD_LEVEL: i32 = 3;
const DEFAULT_GZIP_LEVEL: u32 = 6;

impl CsvOptions {
    /// The dialect that the options describe.
    ///
    /// # Errors
    /// `Config` when a file of it could not be read without doubt.
    pub fn dialect(&self) -> Result<Dialect> {
        let delimiter = match self.delimiter.as_bytes() {
            b"\\t" => b'\t',
            [byte] if separates(*byte) => *byte,
            _ => {
                let what = format!("`delimiter` {:?} cannot stand between values", self.delimiter);
                return Err(PluginError::new(ErrorKind::Config, "csv.delimiter", what)
                    .hint("take one character that occurs in no number or date, such as `,` `;` `|` or `\\t`"));
            }
        };
        let null = self.null.clone().into_bytes();
        if null.iter().any(|b| *b == delimiter || matches!(b, b'"' | b'\r' | b'\n')) {
            return Err(PluginError::new(
                ErrorKind::Config,
                "csv.null",
                format!("`null` {:?} would have to be in quotes", self.null),
            )
            .hint("take a text without delimiter, quotes and line ends, such as `\\N`"));
        }
        if self.hex_prefix && self.binary != BinaryForm::Hex {
            return Err(PluginError::new(ErrorKind::Config, "csv.hex_prefix", "`hex_prefix` needs `binary: hex`"));
        }
        Ok(Dialect {
            delimiter,
            null,
            header: self.header,
            quote_all: self.quote == Quoting::All,
            line_end: match self.line_ending {
                LineEnding::Lf => b"\n",
                LineEnding::Crlf => b"\r\n",
            },
            binary: self.binary,
            hex_prefix: if self.hex_prefix { b"\\x" } else { b"" },
        })
    }

    /// The codec with its level.
    ///
    /// # Errors
    /// `Config` when the level does not exist for the codec.
    pub fn codec(&self) -> Result<Codec> {
        let codec = match (self.compression, self.compression_level) {
            (Compression::None, None) => Some(Codec::None),
            (Compression::Gzip, None) => Some(Codec::Gzip(DEFAULT_GZIP_LEVEL)),
            (Compression::Zstd, None) => Some(Codec::Zstd(DEFAULT_ZSTD_LEVEL)),
            (Compression::Gzip, Some(level)) => u32::try_from(level).ok().filter(|l| *l <= 9).map(Codec::Gzip),
            (Compression::Zstd, Some(level)) => (1..=19).contains(&level).then_some(Codec::Zstd(level)),
            (Compression::None, Some(_)) => None,
        };
        codec.ok_or_else(|| {
            let what = "`compression_level` does not fit `compression`";
            PluginError::new(ErrorKind::Config, "csv.compression_level", what)
                .hint("zstd takes 1 to 19, gzip 0 to 9, none has no level")
        })
    }
}

/// Whether a byte can never be part of a value that is written without looking for it: of numbers, dates, hexadecimal
/// digits and base64.
fn separates(byte: u8) -> bool {
    byte.is_ascii()
        && !byte.is_ascii_alphanumeric()
        && !matches!(byte, b'"' | b'\r' | b'\n' | b'\0' | b'+' | b'-' | b'.' | b':' | b'/' | b'=' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_checked_against_the_codec() {
        let cases = [
            (Compression::None, None, Some(Codec::None)),
            (Compression::None, Some(1), None),
            (Compression::Gzip, None, Some(Codec::Gzip(6))),
            (Compression::Gzip, Some(0), Some(Codec::Gzip(0))),
            (Compression::Gzip, Some(10), None),
            (Compression::Gzip, Some(-1), None),
            (Compression::Zstd, None, Some(Codec::Zstd(3))),
            (Compression::Zstd, Some(19), Some(Codec::Zstd(19))),
            (Compression::Zstd, Some(20), None),
            (Compression::Zstd, Some(0), None),
        ];
        for (compression, compression_level, expected) in cases {
            let options = CsvOptions { compression, compression_level, ..Default::default() };
            assert_eq!(options.codec().ok(), expected, "{compression:?} {compression_level:?}");
        }
    }

    #[test]
    fn a_delimiter_is_a_byte_that_no_plain_value_has() {
        for (delimiter, expected) in [
            (",", b','),
            (";", b';'),
            ("|", b'|'),
            ("\t", b'\t'),
            ("\\t", b'\t'),
            ("\x01", 1),
            (" ", b' '),
            ("'", b'\''),
        ] {
            let options = CsvOptions { delimiter: delimiter.to_owned(), ..Default::default() };
            assert_eq!(options.dialect().expect("it separates").delimiter, expected, "{delimiter:?}");
        }
        for delimiter in
            ["", ",,", "\"", "\n", "\r", "\0", "a", "Z", "0", "-", "+", ".", ":", "/", "=", "\\", "é", "\u{80}"]
        {
            let options = CsvOptions { delimiter: delimiter.to_owned(), ..Default::default() };
            let refused = options.dialect().expect_err("it separates nothing");
            assert_eq!((refused.kind(), refused.code()), (ErrorKind::Config, "csv.delimiter"), "{delimiter:?}");
        }
    }

    #[test]
    fn a_null_text_needs_no_quotes() {
        for (delimiter, null, fits) in [
            (",", "\\N", true),
            (",", "", true),
            (",", "a;b", true),
            (";", "a;b", false),
            (",", "\"", false),
            (",", "\n", false),
        ] {
            let options = CsvOptions { delimiter: delimiter.to_owned(), null: null.to_owned(), ..Default::default() };
            assert_eq!(options.dialect().is_ok(), fits, "{delimiter:?} {null:?}");
        }
    }

    #[test]
    fn a_prefix_belongs_to_hexadecimal_digits() {
        let options = CsvOptions { hex_prefix: true, binary: BinaryForm::Base64, ..Default::default() };
        assert_eq!(options.dialect().expect_err("there are no such digits").code(), "csv.hex_prefix");
    }
}
