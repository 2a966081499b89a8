//! The `skeleton` format: lines of text, with a separator between values.
//! It must not know where bytes go, nor what an export is.
#![forbid(unsafe_code)]

mod options;
mod writer;

use rivet_plugin_api::arrow_schema::DataType;
use rivet_plugin_api::{
    BatchStream, BatchWriter, ByteSink, ErrorKind, FieldMapping, Format, FormatCapabilities, PluginError, ReadAt,
    Result, SchemaRef, WriterSettings,
};

use options::SkeletonOptions;
use writer::SkeletonWriter;

/// The `skeleton` format.
pub struct Skeleton(SkeletonOptions);

impl Format for Skeleton {
    const NAME: &'static str = "skeleton";
    type Options = SkeletonOptions;

    fn capabilities() -> FormatCapabilities {
        FormatCapabilities { extension: "skeleton".to_owned(), readable: false, text: true }
    }

    fn open(options: SkeletonOptions) -> Result<Self> {
        if options.separator.len() != 1 || options.separator.contains(['\n', '\\']) {
            let text = format!("`separator` is '{}', not one character", options.separator.escape_debug());
            return Err(PluginError::new(ErrorKind::Config, "skeleton.separator", text)
                .hint("take one ASCII character that is neither a line end nor a backslash"));
        }
        Ok(Self(options))
    }

    // The answer for every field: the physical type, or why the format cannot hold it.
    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>> {
        let mapping = |data_type: &DataType| match data_type {
            DataType::Int64 => FieldMapping::Keep("digits".to_owned()),
            DataType::Utf8 => FieldMapping::Keep("text".to_owned()),
            other => FieldMapping::Refuse(format!("skeleton cannot hold {other}: leave the column out")),
        };
        Ok(schema.fields().iter().map(|field| mapping(field.data_type())).collect())
    }

    fn writer(
        &self,
        schema: SchemaRef,
        settings: WriterSettings,
        out: Box<dyn ByteSink>,
    ) -> Result<Box<dyn BatchWriter>> {
        Ok(Box::new(SkeletonWriter::start(&schema, settings, &self.0.separator, out)?))
    }

    // With `readable: true` above, core reads parts back to prove them, and the suite cuts and damages some.
    fn reader(&self, _part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        Err(PluginError::new(ErrorKind::Unsupported, "skeleton.reader", "skeleton cannot be read back"))
    }
}

rivet_plugin_api::plugin!(format: Skeleton);
