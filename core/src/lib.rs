//! The heart of Rivet: planning, the one run path, retry, state and quality.
//! It must not know any engine by name, load plugins, or read the command line.

pub mod checksum;
pub mod clock;
pub mod config;
pub mod connectors;
pub mod doctor;
pub mod error;
mod file_kind;
pub mod manifest;
pub mod memory;
pub mod partition;
pub mod paths;
mod placeholders;
pub mod plan;
mod plugin_options;
pub mod plural;
mod possible;
pub mod preflight;
pub mod project;
pub mod propose;
pub mod quality;
pub mod random;
pub mod resolve;
pub mod retry;
pub mod row_hash;
pub mod run;
pub mod secrets;
pub mod state;
pub mod summary;
pub mod tables;
pub mod targets;
mod value_hash;
