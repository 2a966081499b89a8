//! CSV as a format: writes parts as RFC 4180 text in which every value has one exact form.
//! It must not know where bytes go, nor what an export, a run or a manifest is.
//!
//! | type | form |
//! |---|---|
//! | NULL | the text of option `null`, never in quotes |
//! | text | as it is; the empty text is always `""` |
//! | boolean | `true`, `false` |
//! | whole number, decimal | plain digits; a decimal has as many after the point as its scale says |
//! | float | the shortest digits that read back as the same number; `NaN`, `Infinity`, `-Infinity` |
//! | date | `2026-01-31`; years outside 0000 to 9999 as ISO 8601 expands them: `+12026-01-31`, `-0043-03-15` (year 0 is 1 BC) |
//! | time, timestamp | `23:59:59.123456`, `2026-01-31T23:59:59.123456`: always all digits of the unit (s, ms 3, µs 6, ns 9) |
//! | instant | a timestamp in UTC with `Z` at its end |
//! | binary | hexadecimal digits in lower case, or base64 |
//! | uuid | `00112233-4455-6677-8899-aabbccddeeff` |
//! | list | JSON: numbers, `true`, `false`, `null`, everything else in strings of the forms above |
//!
//! A row of one NULL would be an empty line, which readers skip: it is refused unless option `null` is a text.
#![forbid(unsafe_code)]

mod cell;
mod compress;
mod inspect;
mod options;
mod writer;

use rivet_plugin_api::{
    BatchStream, BatchWriter, ByteSink, ErrorKind, FieldMapping, Format, FormatCapabilities, PluginError, ReadAt,
    Result, SchemaRef, WriterSettings,
};

use compress::Codec;
use options::Dialect;

pub use options::{BinaryForm, Compression, CsvOptions, LineEnding, Quoting};

/// The `csv` format with its options.
pub struct Csv {
    dialect: Dialect,
    codec: Codec,
}

impl Format for Csv {
    const NAME: &'static str = "csv";
    type Options = CsvOptions;

    fn capabilities() -> FormatCapabilities {
        FormatCapabilities { extension: "csv".to_owned(), readable: false, text: true }
    }

    fn open(options: CsvOptions) -> Result<Self> {
        Ok(Self { dialect: options.dialect()?, codec: options.codec()? })
    }

    fn extension(&self) -> String {
        match self.codec {
            Codec::None => "csv",
            Codec::Gzip(_) => "csv.gz",
            Codec::Zstd(_) => "csv.zst",
        }
        .to_owned()
    }

    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>> {
        Ok(inspect::map(schema, &self.dialect))
    }

    fn writer(
        &self,
        schema: SchemaRef,
        settings: WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Box<dyn BatchWriter>> {
        Ok(Box::new(writer::Writer::start(&schema, &self.dialect, self.codec, &settings, sink)?))
    }

    fn reader(&self, _: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        Err(PluginError::new(ErrorKind::Unsupported, "csv.read", "csv holds no types, so that it cannot be read back")
            .hint("parts are verified by size and digest"))
    }
}

rivet_plugin_api::plugin!(format: Csv);
