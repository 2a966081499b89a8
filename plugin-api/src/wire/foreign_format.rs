//! A format of the other side, as a safe handle.
//! It must not know whether the plugin was loaded or linked; `export_format.rs` is the mirror.

use std::sync::Arc;

use rivet_plugin_abi::abi_stable::std_types::RStr;
use rivet_plugin_abi::{AbiFormat, AbiWriter, ArrowArray, ArrowSchema};

use super::arrow_ffi::{export_batch, export_schema};
use super::calls::Owned;
use super::foreign_source::ForeignStream;
use super::promise::{DEFECT, Promise};
use super::{from_json, io, lift, text, to_json};
use crate::{
    BatchStream, BatchWriter, ByteSink, Cx, ErrorKind, FieldMapping, PartFacts, PluginError, ReadAt, RecordBatch,
    Result, SchemaRef, WriterSettings,
};

/// An open format: what [`Format`](crate::Format) offers, through the boundary.
pub struct FormatHandle {
    pub(super) raw: Owned<AbiFormat>,
    /// Its name, for messages.
    pub(super) plugin: Arc<str>,
    /// What the capabilities say: the answer of a plugin that is older than the question.
    pub(super) usual_extension: String,
}

impl FormatHandle {
    /// Says of each field whether the format can hold it.
    ///
    /// # Errors
    /// `Internal`.
    pub fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>> {
        let mut raw = ArrowSchema::empty();
        export_schema(schema, &mut raw)?;
        let _in = self.raw.enter();
        // SAFETY: the object lives as long as `self` and is thread-safe by contract.
        let mapped: Vec<_> = from_json(lift(unsafe { self.raw.vtable.map()(self.raw.this, &mut raw) })?.as_str())?;
        let n_fields = schema.fields().len();
        if mapped.len() == n_fields {
            return Ok(mapped);
        }
        let what = format!("the format answers for {} of {n_fields} columns", mapped.len());
        Err(PluginError::new(ErrorKind::Internal, "wire.mapping", what).hint(DEFECT).of_plugin(&self.plugin))
    }

    /// File name extension of parts with the options it was opened with, without the dot.
    ///
    /// # Errors
    /// `Internal` when it is no extension, `Panicked`.
    pub fn extension(&self) -> Result<String> {
        let _in = self.raw.enter();
        let extension = match self.raw.vtable.extension() {
            // SAFETY: as in `map`.
            Some(extension) => text(lift(unsafe { extension(self.raw.this) })?)?,
            None => self.usual_extension.clone(),
        };
        if is_extension(&extension) {
            return Ok(extension);
        }
        let what = format!("the format says that {extension:?} is its file name extension");
        Err(PluginError::new(ErrorKind::Internal, "wire.extension", what))
    }

    /// Starts a part.
    ///
    /// # Errors
    /// `Unsupported` when a field cannot be held.
    pub fn writer(
        &self,
        schema: &SchemaRef,
        settings: &WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Box<dyn BatchWriter>> {
        let mut raw = ArrowSchema::empty();
        export_schema(schema, &mut raw)?;
        let settings = to_json(settings)?;
        let sink = io::export_sink(sink);
        let _in = self.raw.enter();
        // SAFETY: as in `map`; the sink moves over and is dropped there.
        let writer =
            lift(unsafe { self.raw.vtable.writer()(self.raw.this, &mut raw, RStr::from_str(&settings), sink) })?;
        let raw = Owned::new(writer, self.raw.plugin());
        Ok(Box::new(ForeignWriter { raw, promise: Promise::new(schema.clone()) }))
    }

    /// Reads a part back.
    ///
    /// # Errors
    /// `Data` when it is not a whole part of this format, `Unsupported` when the format cannot be read back.
    pub fn reader(&self, part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        let _in = self.raw.enter();
        // SAFETY: as in `map`; the reader moves over and is dropped there.
        let raw = lift(unsafe { self.raw.vtable.open()(self.raw.this, io::export_read_at(part)) })?;
        Ok(Box::new(ForeignStream::open(Owned::new(raw, self.raw.plugin()), self.plugin.clone(), None)?))
    }
}

/// Whether a text can end the name of an object: words between dots, without separators of paths.
fn is_extension(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    text.split('.').all(|word| !word.is_empty() && word.bytes().all(plain))
}

struct ForeignWriter {
    raw: Owned<AbiWriter>,
    /// What the writer was told that its batches will be.
    promise: Promise,
}

impl BatchWriter for ForeignWriter {
    fn write(&mut self, batch: &RecordBatch, cx: &Cx) -> Result<()> {
        self.promise.is_kept(batch)?;
        let mut raw = ArrowArray::empty();
        export_batch(batch.clone(), &mut raw);
        let _in = self.raw.enter();
        // SAFETY: the object lives as long as `self`; `&mut` makes it one call at a time.
        lift(unsafe { self.raw.vtable.write()(self.raw.this, &cx.0, &mut raw) })
    }
    fn bytes_buffered(&self) -> u64 {
        // SAFETY: as above.
        unsafe { self.raw.vtable.bytes_buffered()(self.raw.this) }
    }
    fn bytes_written(&self) -> u64 {
        // SAFETY: as above.
        unsafe { self.raw.vtable.bytes_written()(self.raw.this) }
    }
    fn finish(&mut self, cx: &Cx) -> Result<PartFacts> {
        let _in = self.raw.enter();
        // SAFETY: as above.
        from_json(lift(unsafe { self.raw.vtable.finish()(self.raw.this, &cx.0) })?.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_leads_nowhere_else() {
        for (text, fine) in [
            ("csv", true),
            ("csv.gz", true),
            ("x-1_b.7z", true),
            ("", false),
            (".csv", false),
            ("csv.", false),
            ("a..b", false),
            ("../up", false),
            ("a/b", false),
            ("a\\b", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(is_extension(text), fine, "{text:?}");
        }
    }
}
