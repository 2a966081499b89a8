//! What the binary prints as JSON, as types from which the schemas come too.
//! It must not know terminals. Keys are stable: a new one may come, none goes or changes within a version.

pub mod checks;
pub mod chunks;
pub mod discovery;
pub mod doctor;
pub mod events;
pub mod history;
pub mod plans;
pub mod validate;

use rivet_core::summary::Summary;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of all documents.
pub const VERSION: u32 = 1;

/// `rivet run --output json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SummaryDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// How each export ended, in the order of the config.
    pub exports: Vec<Summary>,
    /// Exports that were not begun, since the run was interrupted before.
    pub not_started: Vec<String>,
}

/// Why something failed, and what to do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProblemRow {
    /// Stable dotted code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ProblemRow {
    /// Of an export, which the sentence names.
    pub fn of_export(export: &str, code: &str, message: &str, hint: Option<String>) -> Self {
        let named = format!("export '{export}'");
        let message = if message.starts_with(&named) { message.to_owned() } else { format!("{named}: {message}") };
        Self { code: code.to_owned(), message, hint }
    }
}
