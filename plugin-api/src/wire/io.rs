//! Byte sinks and random-access readers, in both directions.
//! It must not know who writes or reads what.

use std::ffi::c_void;

use rivet_plugin_abi::abi_stable::std_types::{RSlice, RSliceMut};
use rivet_plugin_abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
use rivet_plugin_abi::{
    AbiCx, AbiReadAt, AbiResult, AbiSink, ReadAtVtable, ReadAtVtableRef, SinkVtable, SinkVtableRef,
};

use super::guard::Slot;
use super::{calls, lift};
use crate::{ByteSink, Cx, ErrorKind, PluginError, ReadAt, Result};

type SinkSlot = Slot<dyn ByteSink>;
type ReadAtSlot = Slot<dyn ReadAt>;

/// Lends a sink to the other side.
pub fn export_sink(sink: Box<dyn ByteSink>) -> AbiSink {
    AbiSink { vtable: SINK, this: SinkSlot::into_raw(sink) }
}

/// Lends a reader to the other side.
pub fn export_read_at(reader: Box<dyn ReadAt>) -> AbiReadAt {
    AbiReadAt { vtable: READ_AT, this: ReadAtSlot::into_raw(reader) }
}

unsafe extern "C" fn sink_drop(this: *mut c_void) {
    // SAFETY: made by `export_sink`, dropped once.
    unsafe { SinkSlot::free(this) }
}
unsafe extern "C" fn sink_write(this: *mut c_void, bytes: RSlice<'_, u8>) -> AbiResult<()> {
    let _host = calls::enter(None);
    // SAFETY: made by `export_sink`; one call at a time by contract.
    unsafe { SinkSlot::exclusive(this, |sink| sink.write(bytes.as_slice())) }
}
unsafe extern "C" fn read_at_drop(this: *mut c_void) {
    // SAFETY: made by `export_read_at`, dropped once.
    unsafe { ReadAtSlot::free(this) }
}
unsafe extern "C" fn read_at_len(this: *const c_void) -> u64 {
    // SAFETY: made by `export_read_at`.
    unsafe { ReadAtSlot::peek(this, 0, |r| r.len()) }
}
unsafe extern "C" fn read_at_read(this: *const c_void, offset: u64, mut buffer: RSliceMut<'_, u8>) -> AbiResult<u64> {
    // SAFETY: made by `export_read_at`.
    unsafe { ReadAtSlot::shared(this, |r| Ok(r.read_at(offset, buffer.as_mut_slice())? as u64)) }
}
unsafe extern "C" fn read_at_cx(
    this: *const c_void,
    cx: &AbiCx,
    offset: u64,
    mut buffer: RSliceMut<'_, u8>,
) -> AbiResult<u64> {
    // SAFETY: made by `export_read_at`.
    unsafe { ReadAtSlot::shared(this, |r| Ok(r.read_at_cx(offset, buffer.as_mut_slice(), &Cx::lent(cx))? as u64)) }
}

const SINK: SinkVtableRef = SinkVtableRef({
    static VTABLE: WithMetadata<SinkVtable> = WithMetadata::new(SinkVtable { drop: sink_drop, write: sink_write });
    StaticRef::new(&VTABLE).as_prefix()
});
const READ_AT: ReadAtVtableRef = ReadAtVtableRef({
    static VTABLE: WithMetadata<ReadAtVtable> =
        WithMetadata::new(ReadAtVtable { drop: read_at_drop, len: read_at_len, read_at: read_at_read, read_at_cx });
    StaticRef::new(&VTABLE).as_prefix()
});

/// A sink of the other side.
pub struct ForeignSink(pub AbiSink);

impl ByteSink for ForeignSink {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        // SAFETY: the object lives as long as `self`; `&mut` makes it one call at a time.
        lift(unsafe { self.0.vtable.write()(self.0.this, RSlice::from_slice(bytes)) })
    }
}

/// A reader of the other side, and the plugin that it is of, if it is one's.
pub struct ForeignReadAt {
    pub raw: AbiReadAt,
    pub plugin: Option<&'static str>,
}

impl ReadAt for ForeignReadAt {
    fn len(&self) -> u64 {
        // SAFETY: the object lives as long as `self`.
        unsafe { self.raw.vtable.len()(self.raw.this) }
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let room = buffer.len();
        let _in = self.plugin.map(|plugin| calls::enter(Some(plugin)));
        // SAFETY: the object lives as long as `self` and is thread-safe by contract.
        let n = lift(unsafe { self.raw.vtable.read_at()(self.raw.this, offset, RSliceMut::from_mut_slice(buffer)) })?;
        at_most(room, n)
    }
    fn read_at_cx(&self, offset: u64, buffer: &mut [u8], cx: &Cx) -> Result<usize> {
        let Some(read_at_cx) = self.raw.vtable.read_at_cx() else {
            cx.check()?;
            return self.read_at(offset, buffer);
        };
        let room = buffer.len();
        let _in = self.plugin.map(|plugin| calls::enter(Some(plugin)));
        // SAFETY: as in `read_at`.
        let n = lift(unsafe { read_at_cx(self.raw.this, &cx.0, offset, RSliceMut::from_mut_slice(buffer)) })?;
        at_most(room, n)
    }
}

fn at_most(room: usize, n: u64) -> Result<usize> {
    let n = usize::try_from(n).ok().filter(|n| *n <= room);
    n.ok_or_else(|| PluginError::new(ErrorKind::Internal, "wire.read_at", "more bytes returned than asked for"))
}
