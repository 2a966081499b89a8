//! One file per command.
//! It must not know how an export is run.

mod artifact;
mod asked;
pub mod check;
mod chunks;
pub mod completions;
mod cursor;
pub mod demo;
mod direct;
pub mod doctor;
mod dry_run;
mod files;
mod history;
pub mod init;
pub mod journal;
pub mod metrics;
mod options;
mod parallel;
mod piped;
pub mod plan;
pub mod plugin;
pub mod processes;
mod rebuild;
pub mod reference;
pub mod report;
pub mod run;
pub mod schema;
mod select;
pub mod state;
pub mod validate;
