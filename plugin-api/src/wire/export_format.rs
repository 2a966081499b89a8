//! A `Format` as function tables: mapping, writers and readers.
//! It must not know the host's side; `foreign_format.rs` is the mirror.

use std::ffi::c_void;

use rivet_plugin_abi::abi_stable::std_types::{RStr, RString};
use rivet_plugin_abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
use rivet_plugin_abi::{
    AbiCx, AbiFormat, AbiReadAt, AbiResult, AbiSink, AbiStream, AbiWriter, ArrowArray, ArrowSchema, FormatVtable,
    FormatVtableRef, WriterVtable, WriterVtableRef,
};

use super::arrow_ffi::{self, Check, Importer};
use super::export_source::{bad_options, export_stream};
use super::guard::{Slot, guard};
use super::io::{ForeignReadAt, ForeignSink};
use super::{from_request, to_json};
use crate::{BatchStream, BatchWriter, ByteSink, Cx, FieldMapping, Format, ReadAt, Result, SchemaRef, WriterSettings};

/// `Format` without its associated items, so that one function table serves all.
trait DynFormat: Send + Sync {
    fn extension(&self) -> String;
    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>>;
    fn writer(
        &self,
        schema: SchemaRef,
        settings: WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Box<dyn BatchWriter>>;
    fn reader(&self, part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>>;
}
impl<F: Format> DynFormat for F {
    fn extension(&self) -> String {
        Format::extension(self)
    }
    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>> {
        Format::map(self, schema)
    }
    fn writer(
        &self,
        schema: SchemaRef,
        settings: WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Box<dyn BatchWriter>> {
        Format::writer(self, schema, settings, sink)
    }
    fn reader(&self, part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        Format::reader(self, part)
    }
}

type FormatSlot = Slot<dyn DynFormat>;
type WriterSlot = Slot<Writer>;

/// A writer with the importer of its schema.
struct Writer {
    inner: Box<dyn BatchWriter>,
    importer: Importer,
}

pub fn open_format<F: Format>(options: RStr<'_>) -> AbiResult<AbiFormat> {
    guard(|| {
        let options = serde_json::from_str(options.as_str()).map_err(|e| bad_options(F::NAME, &e))?;
        let format: Box<dyn DynFormat> = Box::new(F::open(options)?);
        Ok(AbiFormat { vtable: FORMAT, this: FormatSlot::into_raw(format) })
    })
}

unsafe extern "C" fn format_drop(this: *mut c_void) {
    // SAFETY: made by `open_format`, dropped once.
    unsafe { FormatSlot::free(this) }
}
unsafe extern "C" fn format_map(this: *mut c_void, schema: &mut ArrowSchema) -> AbiResult<RString> {
    // SAFETY: made by `open_format`.
    unsafe { FormatSlot::shared(this, |format| Ok(to_json(&format.map(&arrow_ffi::import_schema(schema)?)?)?.into())) }
}
unsafe extern "C" fn format_writer(
    this: *mut c_void,
    schema: &mut ArrowSchema,
    settings: RStr<'_>,
    sink: AbiSink,
) -> AbiResult<AbiWriter> {
    // SAFETY: made by `open_format`.
    unsafe {
        FormatSlot::shared(this, |format| {
            let schema = arrow_ffi::import_schema(schema)?;
            let settings = from_request(settings.as_str())?;
            let inner = format.writer(schema.clone(), settings, Box::new(ForeignSink(sink)))?;
            let writer = Writer { inner, importer: Importer::new(schema, Check::Shape) };
            Ok(AbiWriter { vtable: WRITER, this: WriterSlot::into_raw(Box::new(writer)) })
        })
    }
}
unsafe extern "C" fn format_open(this: *mut c_void, part: AbiReadAt) -> AbiResult<AbiStream> {
    // SAFETY: made by `open_format`.
    unsafe {
        FormatSlot::shared(this, |format| {
            Ok(export_stream(format.reader(Box::new(ForeignReadAt { raw: part, plugin: None }))?))
        })
    }
}
unsafe extern "C" fn format_extension(this: *mut c_void) -> AbiResult<RString> {
    // SAFETY: made by `open_format`.
    unsafe { FormatSlot::shared(this, |format| Ok(format.extension().into())) }
}

unsafe extern "C" fn writer_drop(this: *mut c_void) {
    // SAFETY: made by `format_writer`, dropped once.
    unsafe { WriterSlot::free(this) }
}
unsafe extern "C" fn writer_write(this: *mut c_void, cx: &AbiCx, batch: &mut ArrowArray) -> AbiResult<()> {
    // SAFETY: made by `format_writer`; one call at a time by contract.
    unsafe {
        WriterSlot::exclusive(this, |writer| {
            let batch = writer.importer.batch(batch)?;
            writer.inner.write(&batch, &Cx::lent(cx))
        })
    }
}
unsafe extern "C" fn writer_bytes_buffered(this: *mut c_void) -> u64 {
    // SAFETY: as above.
    unsafe { WriterSlot::peek(this, 0, |writer| writer.inner.bytes_buffered()) }
}
unsafe extern "C" fn writer_bytes_written(this: *mut c_void) -> u64 {
    // SAFETY: as above.
    unsafe { WriterSlot::peek(this, 0, |writer| writer.inner.bytes_written()) }
}
unsafe extern "C" fn writer_finish(this: *mut c_void, cx: &AbiCx) -> AbiResult<RString> {
    // SAFETY: as above.
    unsafe { WriterSlot::exclusive(this, |writer| Ok(to_json(&writer.inner.finish(&Cx::lent(cx))?)?.into())) }
}

const FORMAT: FormatVtableRef = FormatVtableRef({
    static VTABLE: WithMetadata<FormatVtable> = WithMetadata::new(FormatVtable {
        drop: format_drop,
        map: format_map,
        writer: format_writer,
        open: format_open,
        extension: format_extension,
    });
    StaticRef::new(&VTABLE).as_prefix()
});
const WRITER: WriterVtableRef = WriterVtableRef({
    static VTABLE: WithMetadata<WriterVtable> = WithMetadata::new(WriterVtable {
        drop: writer_drop,
        write: writer_write,
        bytes_buffered: writer_bytes_buffered,
        bytes_written: writer_bytes_written,
        finish: writer_finish,
    });
    StaticRef::new(&VTABLE).as_prefix()
});
