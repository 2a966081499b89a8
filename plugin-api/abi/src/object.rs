//! The objects a plugin makes: a function table and a pointer each, `drop` first.
//! Control messages are JSON (shapes in `rivet-plugin-api`), data is Arrow; nothing here interprets either.

use core::ffi::c_void;

use abi_stable::{
    StableAbi,
    std_types::{ROption, RSlice, RStr, RString},
};

use crate::{AbiCx, AbiReadAt, AbiResult, AbiSink, ArrowArray, ArrowSchema};

macro_rules! object {
    ($(#[$doc:meta])* $name:ident, $vtable:ident) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(StableAbi)]
        pub struct $name {
            /// Functions.
            pub vtable: $vtable,
            /// The plugin's object.
            pub this: *mut c_void,
        }
        // SAFETY: the contract of each object is "Send, one call at a time".
        unsafe impl Send for $name {}
        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: made by the same image as the vtable, dropped once.
                unsafe { self.vtable.drop()(self.this) }
            }
        }
    };
}
macro_rules! lent_object {
    ($name:ident) => {
        // SAFETY: the contract of each object is "Send, one call at a time".
        unsafe impl Send for crate::$name {}
        impl Drop for crate::$name {
            fn drop(&mut self) {
                // SAFETY: made by the same image as the vtable, dropped once.
                unsafe { self.vtable.drop()(self.this) }
            }
        }
    };
}
lent_object!(AbiSink);
lent_object!(AbiReadAt);
// SAFETY: `read_at` takes a shared pointer; the contract asks for a thread-safe implementation.
unsafe impl Sync for AbiReadAt {}

object!(
    /// One server connection of a source.
    AbiSession, SessionVtableRef
);
object!(
    /// Batches of one scan.
    AbiStream, StreamVtableRef
);
object!(
    /// A format with its options.
    AbiFormat, FormatVtableRef
);
object!(
    /// One part being encoded.
    AbiWriter, WriterVtableRef
);
object!(
    /// A destination with its options; also called from several threads.
    AbiStore, StoreVtableRef
);
object!(
    /// One part on its way to the store.
    AbiUpload, UploadVtableRef
);
// SAFETY: the contract of a store and of a format is Send + Sync.
unsafe impl Sync for AbiStore {}
// SAFETY: as above.
unsafe impl Sync for AbiFormat {}

/// Functions on a session.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = SessionVtableRef, prefix_fields = SessionVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct SessionVtable {
    /// Frees the object and closes the connection.
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// `Relation` -> `TableSchema`.
    pub describe: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,
    /// `Relation` -> `Estimate`.
    pub estimate: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,
    /// `SplitRequest` -> list of `Split`.
    pub split: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,
    /// `Scan` -> stream. The session takes no other call while the stream lives.
    #[sabi(last_prefix_field)]
    pub scan: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<AbiStream>,
    /// -> `Health`.
    pub health: unsafe extern "C" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,
    /// Ends the transaction and the connection politely.
    pub end: unsafe extern "C" fn(*mut c_void, &AbiCx) -> AbiResult<()>,
    /// `Aggregate` -> list of `KeyValue` or null, one for each measure.
    pub aggregate: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,
    /// `Explain` -> `Explained`.
    pub explain: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,
    /// -> list of `ListedTable`.
    pub tables: unsafe extern "C" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,
}

/// Functions on a stream of batches.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = StreamVtableRef, prefix_fields = StreamVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct StreamVtable {
    /// Frees the object; a query still running is cancelled.
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// Fills in the schema, the same for all batches.
    pub schema: unsafe extern "C" fn(*mut c_void, &mut ArrowSchema) -> AbiResult<()>,
    /// Fills in the next batch and returns 1, or 0 at the end.
    #[sabi(last_prefix_field)]
    pub next: unsafe extern "C" fn(*mut c_void, &AbiCx, &mut ArrowArray) -> AbiResult<u8>,
    /// -> `StreamFacts`, for everything returned so far.
    pub facts: unsafe extern "C" fn(*mut c_void) -> AbiResult<RString>,
}

/// Functions on a format.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = FormatVtableRef, prefix_fields = FormatVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct FormatVtable {
    /// Frees the object.
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// Schema -> list of `FieldMapping`.
    pub map: unsafe extern "C" fn(*mut c_void, &mut ArrowSchema) -> AbiResult<RString>,
    /// Schema, `WriterSettings` and sink -> writer.
    pub writer: unsafe extern "C" fn(*mut c_void, &mut ArrowSchema, RStr<'_>, AbiSink) -> AbiResult<AbiWriter>,
    /// A written part -> its batches.
    #[sabi(last_prefix_field)]
    pub open: unsafe extern "C" fn(*mut c_void, AbiReadAt) -> AbiResult<AbiStream>,
    /// -> file name extension of parts with these options, without the dot.
    pub extension: unsafe extern "C" fn(*mut c_void) -> AbiResult<RString>,
}

/// Functions on a writer.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = WriterVtableRef, prefix_fields = WriterVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct WriterVtable {
    /// Frees the object; what was not finished is void.
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// Takes one batch.
    pub write: unsafe extern "C" fn(*mut c_void, &AbiCx, &mut ArrowArray) -> AbiResult<()>,
    /// Bytes held in memory.
    pub bytes_buffered: unsafe extern "C" fn(*mut c_void) -> u64,
    /// Bytes handed to the sink.
    pub bytes_written: unsafe extern "C" fn(*mut c_void) -> u64,
    /// Writes what is left -> `PartFacts`.
    #[sabi(last_prefix_field)]
    pub finish: unsafe extern "C" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,
}

/// Functions on a store.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = StoreVtableRef, prefix_fields = StoreVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct StoreVtable {
    /// Frees the object.
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// Relative object name -> upload.
    pub begin: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<AbiUpload>,
    /// Token of a prepared part -> `ObjectFacts` of the visible object; idempotent.
    pub publish: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,
    /// Token of a prepared part: removes it; idempotent.
    pub discard: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<()>,
    /// Name, bytes and 1 for replace, 0 for only-if-absent. Returns 1 when written, 0 when it was there.
    pub put: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>, RSlice<'_, u8>, u8) -> AbiResult<u8>,
    /// Name -> `ObjectFacts`, or nothing.
    pub head: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<ROption<RString>>,
    /// Prefix -> list of `ObjectFacts`.
    pub list: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,
    /// Name -> random-access reader, which may outlive the store.
    pub open: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<AbiReadAt>,
    /// Removes an object; absent is fine.
    pub delete: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<()>,
    /// Writes and deletes a probe object.
    #[sabi(last_prefix_field)]
    pub probe: unsafe extern "C" fn(*mut c_void, &AbiCx) -> AbiResult<()>,
    /// Prefix of names: removes what dead uploads left. Returns how many there were.
    pub sweep: unsafe extern "C" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<u64>,
}

/// Functions on an upload.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = UploadVtableRef, prefix_fields = UploadVtablePrefix)))]
#[sabi(missing_field(option))]
pub struct UploadVtable {
    /// Frees the object; what was not prepared is removed.
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// Takes the next bytes.
    pub write: unsafe extern "C" fn(*mut c_void, &AbiCx, RSlice<'_, u8>) -> AbiResult<()>,
    /// Makes the part durable and returns its token.
    pub prepare: unsafe extern "C" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,
    /// Removes what was written.
    #[sabi(last_prefix_field)]
    pub abort: unsafe extern "C" fn(*mut c_void, &AbiCx) -> AbiResult<()>,
}
