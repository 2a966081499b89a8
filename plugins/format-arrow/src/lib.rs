//! Arrow IPC as a format: writes parts as they come and reads them back.
//! It must not know where bytes go, nor what an export, a run or a manifest is.
#![forbid(unsafe_code)]

mod inspect;
mod options;
mod writer;

use arrow_ipc::writer::IpcWriteOptions;
use rivet_plugin_api::{
    BatchStream, BatchWriter, ByteSink, FieldMapping, Format, FormatCapabilities, ReadAt, Result, SchemaRef,
    WriterSettings,
};

pub use options::{ArrowOptions, Compression, Container};

/// The `arrow` format with its options.
pub struct Arrow {
    container: Container,
    encoding: IpcWriteOptions,
}

impl Format for Arrow {
    const NAME: &'static str = "arrow";
    type Options = ArrowOptions;

    fn capabilities() -> FormatCapabilities {
        FormatCapabilities { extension: "arrow".to_owned(), readable: true, text: false }
    }

    fn open(options: ArrowOptions) -> Result<Self> {
        Ok(Self { container: options.container, encoding: options.encoding()? })
    }

    fn extension(&self) -> String {
        match self.container {
            Container::File => "arrow",
            Container::Stream => "arrows",
        }
        .to_owned()
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
        Ok(Box::new(writer::Writer::start(&schema, self.container, &self.encoding, &settings, sink)?))
    }

    fn reader(&self, part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        inspect::reader(part, self.container)
    }
}

rivet_plugin_api::plugin!(format: Arrow);
