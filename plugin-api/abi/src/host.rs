//! What the host lends to a plugin: log callback, call context, byte sinks and random-access readers.
//! Nothing here may be kept by a plugin beyond the object or call it was lent to.

use core::ffi::c_void;

use abi_stable::{
    StableAbi,
    std_types::{RSlice, RSliceMut, RStr},
};

use crate::AbiResult;

/// One `tracing` event of a plugin, on its way to the host's subscriber.
#[repr(C)]
#[derive(StableAbi)]
pub struct LogRecord<'a> {
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// Source line, 0 when unknown.
    pub line: u32,
    /// Module path or the event's own target.
    pub target: RStr<'a>,
    /// Formatted message.
    pub message: RStr<'a>,
    /// The other fields as one JSON object, or empty.
    pub fields_json: RStr<'a>,
    /// Names of the open spans, outermost first, joined by `:`.
    pub span: RStr<'a>,
    /// Source file, or empty.
    pub file: RStr<'a>,
}

/// Functions of the host that live as long as the process.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostApiRef, prefix_fields = HostApiPrefix)))]
#[sabi(missing_field(option))]
pub struct HostApi {
    /// Most verbose level the host wants, 0 (nothing) to 5 (trace).
    pub max_level: extern "C" fn() -> u32,
    /// Hands over one event.
    #[sabi(last_prefix_field)]
    pub log: for<'a> extern "C" fn(&LogRecord<'a>),
}

/// A callback that ends a blocking wait; named, because function pointers may not nest in signatures.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy)]
pub struct Wake(pub unsafe extern "C" fn(*mut c_void));

/// Functions on a call context.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = CxVtableRef, prefix_fields = CxVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct CxVtable {
    /// 1 once the host has cancelled.
    pub is_cancelled: unsafe extern "C" fn(*const c_void) -> u8,
    /// Registers a callback for cancellation; it runs at once when cancelled already. Returns its number.
    pub subscribe: unsafe extern "C" fn(*const c_void, wake: Wake, data: *mut c_void) -> u64,
    /// Removes a callback; when this returns it is not running and will not run again.
    #[sabi(last_prefix_field)]
    pub unsubscribe: unsafe extern "C" fn(*const c_void, u64),
    /// Tells the host something on the way: a `Notice`.
    pub notice: unsafe extern "C" fn(*const c_void, RStr<'_>),
}

/// Context of one call: cancellation. Owned by the host, borrowed for the call.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AbiCx {
    /// Functions.
    pub vtable: CxVtableRef,
    /// The host's object.
    pub this: *const c_void,
}
// SAFETY: the host's object behind it is Sync, and the context is borrowed for a call.
unsafe impl Send for AbiCx {}
// SAFETY: as above.
unsafe impl Sync for AbiCx {}

/// Functions on a byte sink.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = SinkVtableRef, prefix_fields = SinkVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct SinkVtable {
    /// Frees the object.
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// Takes all bytes, blocking while the host has no room.
    #[sabi(last_prefix_field)]
    pub write: unsafe extern "C" fn(*mut c_void, RSlice<'_, u8>) -> AbiResult<()>,
}

/// Where a format writes a part's bytes, in order.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiSink {
    /// Functions.
    pub vtable: SinkVtableRef,
    /// The host's object.
    pub this: *mut c_void,
}

/// Functions on a random-access reader.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ReadAtVtableRef, prefix_fields = ReadAtVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct ReadAtVtable {
    /// Frees the object.
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// Length in bytes.
    pub len: unsafe extern "C" fn(*const c_void) -> u64,
    /// Fills the slice from the offset on; returns the bytes read, fewer only at the end.
    #[sabi(last_prefix_field)]
    pub read_at: unsafe extern "C" fn(*const c_void, offset: u64, RSliceMut<'_, u8>) -> AbiResult<u64>,
    /// The same for a call that can be cancelled.
    pub read_at_cx: unsafe extern "C" fn(*const c_void, &AbiCx, offset: u64, RSliceMut<'_, u8>) -> AbiResult<u64>,
}

/// An object that can be read at any offset, from any thread.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiReadAt {
    /// Functions.
    pub vtable: ReadAtVtableRef,
    /// The object.
    pub this: *mut c_void,
}
