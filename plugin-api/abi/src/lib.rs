//! The wire ABI: every type and function table that crosses between the host and a plugin library.
//! It must not know arrow-rs, tokio, tracing or any engine; its own version is the version of the ABI.
//!
//! Rules of growth: functions are appended after the last prefix field and are then optional; types passed by
//! value never change; enumerations are open `u32` newtypes; control messages are JSON, data is the Arrow C
//! Data Interface. Within one major version every host loads every plugin, older or newer.
#![allow(unsafe_code, reason = "the ABI folder is where raw pointers live")]

mod arrow;
mod error;
mod host;
mod object;
mod plugin;

pub use abi_stable;
pub use arrow::{ArrowArray, ArrowSchema};
pub use error::{AbiError, AbiResult, ErrorKind, Retry};
pub use host::{
    AbiCx, AbiReadAt, AbiSink, CxVtable, CxVtableRef, HostApi, HostApiRef, LogRecord, ReadAtVtable, ReadAtVtableRef,
    SinkVtable, SinkVtableRef, Wake,
};
pub use object::{
    AbiFormat, AbiSession, AbiStore, AbiStream, AbiUpload, AbiWriter, FormatVtable, FormatVtableRef, SessionVtable,
    SessionVtableRef, StoreVtable, StoreVtableRef, StreamVtable, StreamVtableRef, UploadVtable, UploadVtableRef,
    WriterVtable, WriterVtableRef,
};
pub use plugin::{AbiSessionGroup, Connector, ConnectorRef, PluginLibrary, PluginLibraryRef};

/// Version of this ABI, `major.minor.patch`. Same major loads; before 1.0 the minor counts as the major.
pub const ABI_VERSION: &str = env!("CARGO_PKG_VERSION");
