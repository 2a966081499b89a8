//! What `rivet validate` prints as JSON.
//! It must not know terminals, nor how anything is read.

use rivet_core::run::audit::Audited;
use schemars::JsonSchema;
use serde::Serialize;

use super::ProblemRow;

/// `rivet validate`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValidateDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// Whether everything is as it was written.
    pub valid: bool,
    /// How many runs were looked at.
    pub runs: usize,
    /// The exports, in the order of the config; of an incremental one each run, the newest first.
    pub exports: Vec<ValidatedRow>,
}

/// A run of an export; a line of `--output ndjson`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValidatedRow {
    /// Export.
    pub export: String,
    /// Run that was looked at, if there was one.
    pub run_id: Option<String>,
    /// Parts that its manifest names.
    pub parts: usize,
    /// Parts whose bytes were read.
    pub parts_read: usize,
    /// Rows by the manifest.
    pub rows: u64,
    /// Bytes by the manifest.
    pub bytes: u64,
    /// What is not as it was written.
    pub findings: Vec<FindingRow>,
    /// Why it could not be looked at.
    pub error: Option<ProblemRow>,
}

/// Something that is not as it was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FindingRow {
    /// Stable: `pointer_missing`, `pointer_stale`, `pointer_unreadable`, `manifest_missing`, `manifest_edited`,
    /// `manifest_unreadable`, `part_missing`, `part_truncated`, `part_flipped`, `part_foreign`, `part_unlisted`,
    /// `part_orphaned` or `run_missing`.
    pub code: &'static str,
    /// Name of the object below the destination.
    pub object: String,
    /// What is wrong with it.
    pub message: String,
}

impl ValidatedRow {
    /// What came of an audit.
    pub fn of(export: &str, audited: Audited, error: Option<ProblemRow>) -> Self {
        let findings = audited.findings.into_iter();
        Self {
            export: export.to_owned(),
            run_id: audited.run_id,
            parts: audited.n_parts,
            parts_read: audited.n_read,
            rows: audited.rows,
            bytes: audited.bytes,
            findings: findings.map(|f| FindingRow { code: f.code, object: f.object, message: f.text }).collect(),
            error,
        }
    }
}
