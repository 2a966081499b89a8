//! Parquet as a format: writes parts in bounded memory and reads them back.
//! It must not know where bytes go, nor what an export, a run or a manifest is.
#![forbid(unsafe_code)]

mod columns;
mod compress;
mod dictionary;
mod file;
mod groups;
mod header;
mod inspect;
mod interval;
mod nested;
mod options;
mod pages;
mod read;
mod threads;
mod views;
mod width;
mod writer;

use std::sync::Arc;

use rivet_plugin_api::{
    BatchStream, BatchWriter, ByteSink, FieldMapping, Format, FormatCapabilities, ReadAt, Result, SchemaRef,
    WriterSettings,
};

pub use options::ParquetOptions;

/// The `parquet` format with its options.
pub struct Parquet {
    options: ParquetOptions,
    /// What the files of one export have in common.
    dictionaries: Arc<dictionary::Known>,
}

impl Format for Parquet {
    const NAME: &'static str = "parquet";
    type Options = ParquetOptions;

    fn capabilities() -> FormatCapabilities {
        FormatCapabilities { extension: "parquet".to_owned(), readable: true, text: false }
    }

    fn open(options: ParquetOptions) -> Result<Self> {
        options.compression()?;
        Ok(Self { options, dictionaries: Arc::default() })
    }

    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>> {
        Ok(inspect::map(schema))
    }

    fn writer(
        &self,
        schema: SchemaRef,
        settings: WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Box<dyn BatchWriter>> {
        Ok(Box::new(writer::Writer::start(schema, self, &settings, sink)?))
    }

    fn reader(&self, part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        read::reader(part)
    }
}

rivet_plugin_api::plugin!(format: Parquet);
