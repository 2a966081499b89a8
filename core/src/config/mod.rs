//! The config: a strict YAML file, read into types in which every default is settled. A key is a field of one of these types:
//! `export`, `source`, `tuning`, `file`. Files here depend on each other in one direction, from `load` down to `units`.
//! It must not know plugins (their options stay a tree until a schema is at hand), sessions or runs.

mod check;
mod choice;
mod condition;
mod error;
mod expand;
mod export;
mod file;
mod files;
mod json_schema;
mod load;
mod merge;
mod meta_columns;
mod misplaced;
mod mode;
mod node;
mod notifications;
mod options;
mod outline;
mod patterns;
mod promises;
mod quality;
mod read;
mod relation;
mod report;
mod rewrite;
mod rules;
mod schema;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod tuning;
mod types;
mod units;
mod words;
mod yaml;

pub use error::{At, ConfigError, ConfigErrors};
pub use expand::Params;
pub use export::{CompressionProfile, ExportConfig, NullCursor, Select, Written};
pub(crate) use file::is_key;
pub use file::{Config, PluginsConfig, StateConfig, check_reserved};
pub use json_schema::json_schema;
pub use load::{load, parse};
pub use meta_columns::MetaColumns;
pub(crate) use misplaced::explain;
pub use mode::{Chunked, Chunks, Incremental, Mode, TimeWindow};
#[cfg(test)]
pub(crate) use node::name_problem;
pub use notifications::{NotificationsConfig, SlackConfig, Trigger};
pub use options::{Options, PluginConfig};
pub use outline::{Outline, OutlinedExport, outline};
pub use patterns::{TablePattern, Tables};
pub use promises::{Consistent, DriftPolicy, Verify};
pub use quality::Quality;
pub use rewrite::{SourceBlock, literal, meant, quoted, source_block};
pub use source::{Environment, SourceConfig};
pub use suggest::did_you_mean;
pub use tuning::{OnBatchMemory, Profile, Throttle, Tuning};
