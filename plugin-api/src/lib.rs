//! What a connector author needs, and nothing else: safe, synchronous, pull-based traits and the `plugin!` macro.
//! It must not know any engine, any async runtime, YAML, or how a host schedules its work.
//!
//! A source implements [`Source`], [`Session`] and [`BatchStream`]; a format [`Format`] and [`BatchWriter`]; a
//! destination [`Destination`], [`Store`] and [`Upload`]. Arrow is re-exported, so that one major version is used: any
//! of 58 to 60, whichever a plugin's lock file holds. Host and plugin need not agree on it.

mod choices;
mod connection;
mod cursor;
mod cut;
mod destination;
mod error;
mod filter;
mod format;
mod info;
mod interval;
mod listing;
#[cfg(feature = "load")]
pub mod load;
mod logical;
mod opening;
mod path;
mod secret;
mod segment;
mod source;
pub mod wire;

pub use arrow_array;
pub use arrow_array::RecordBatch;
pub use arrow_buffer;
pub use arrow_schema;
pub use arrow_schema::SchemaRef;
pub use choices::{
    Choices, ColumnChoice, InvalidText, Nan, NumericUnbounded, OutOfRange, Policies, SubMicrosecond, TinyInt1, Wanted,
    ZeroDate,
};
pub use connection::{Connection, Tls, TlsMode, is_local};
pub use cursor::{CursorColumn, SetOn};
pub use cut::{KeyCut, KeyStep};
pub use destination::{Destination, ObjectFacts, PutMode, Store, StoreCapabilities, Upload};
pub use error::{ErrorKind, PluginError, Result, Retry};
pub use filter::{
    Aggregate, Blocker, Distance, Explain, Explained, FILTER_PLACEHOLDER, Filter, KeyRange, KeyValue, Lower, Measure,
    Moment, Told,
};
pub use format::{BatchWriter, ByteSink, FieldMapping, Format, FormatCapabilities, PartFacts, ReadAt, WriterSettings};
pub use info::{ConnectorInfo, ConnectorKind};
pub use interval::write_iso_8601;
pub use listing::{ListedTable, TableKind};
pub use logical::{
    Column, EXTENSION_KEY, FIDELITY_KEY, Fidelity, LIST_ELEMENT, LogicalType, NATIVE_TYPE_KEY, StructField, TypesMode,
};
pub use opening::{FEATURES, HostInfo, OpenGroup, Purpose, SessionGroup, SessionLimits, Snapshot, SnapshotInfo};
pub use path::FilePath;
pub use secret::Secret;
pub use segment::{Beginning, decode_segment, encode_segment, is_name};
pub use source::{
    BatchStream, Estimate, Health, ReadMode, Relation, SNAPSHOT_LOST, Scan, Session, Source, SourceCapabilities, Split,
    SplitRequest, StreamFacts, TableSchema,
};
pub use wire::cx::{CancelToken, Cx, HostCx};
pub use wire::notice::Notice;
pub use wire::output::data_output;

#[doc(hidden)]
pub use inventory;
#[doc(hidden)]
pub use rivet_plugin_abi as abi;
