//! What is said about an export when it is over, for people and for machines.
//! It must not know how it is shown.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::FailureClass;
use crate::quality::Checked;

/// How an export ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything was written and verified.
    Success,
    /// There was nothing to write.
    Skipped,
    /// Nothing was published.
    Failed,
}

/// One export's end.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Summary {
    /// Export.
    pub export: String,
    /// Run.
    pub run_id: String,
    /// How it ended.
    pub status: Status,
    /// Strategy; empty when it ended before the plan.
    pub strategy: String,
    /// Tuning profile.
    pub profile: String,
    /// Rows written.
    pub rows: u64,
    /// Rows that were read and left out, because earlier runs exported them.
    pub rows_known: u64,
    /// Parts written.
    pub files: usize,
    /// Bytes written.
    pub bytes: u64,
    /// Wall time, ms.
    pub duration_ms: u64,
    /// Rows per second of wall time.
    pub rows_per_second: u64,
    /// Highest resident memory of the process so far, bytes; 0 when unknown.
    pub peak_rss_bytes: u64,
    /// Attempts that failed and were tried again.
    pub retries: u32,
    /// New snapshots after the first was lost.
    pub restarts: u32,
    /// Longest single statement on the source, ms; 0 when unknown.
    pub longest_statement_ms: u64,
    /// Which state of the source was read: `snapshot`, `per-split` or `mixed`; empty when nothing was.
    pub consistency: String,
    /// Every part was read back and is what was written (`--validate`).
    pub validated: bool,
    /// Each rule of `quality`, and how it came out; empty when there is none, or the run failed before they were judged.
    pub quality: Vec<Checked>,
    /// Where the parts are, in order.
    pub locations: Vec<String>,
    /// Name of the manifest below the destination, when there is one.
    pub manifest: Option<String>,
    /// What the user should know beside the end.
    pub warnings: Vec<String>,
    /// Why it failed.
    pub error: Option<Failure>,
}

/// Why an export failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Failure {
    /// Stable dotted code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Class; decides the exit code.
    #[serde(skip)]
    pub class: FailureClass,
}

impl Summary {
    /// Whether the rows keep all rules: `pass` or `FAIL`; none where there is no rule, or none was judged.
    pub fn quality_word(&self) -> Option<&'static str> {
        let kept = self.quality.iter().all(|rule| rule.passed);
        (!self.quality.is_empty()).then_some(if kept { "pass" } else { "FAIL" })
    }

    /// Of a run that has only begun.
    pub fn new(export: &str, run_id: &str, profile: String) -> Self {
        Self {
            export: export.to_owned(),
            run_id: run_id.to_owned(),
            status: Status::Failed,
            strategy: String::new(),
            profile,
            rows: 0,
            rows_known: 0,
            files: 0,
            bytes: 0,
            duration_ms: 0,
            rows_per_second: 0,
            peak_rss_bytes: 0,
            retries: 0,
            restarts: 0,
            longest_statement_ms: 0,
            consistency: String::new(),
            validated: false,
            quality: Vec::new(),
            locations: Vec::new(),
            manifest: None,
            warnings: Vec::new(),
            error: None,
        }
    }
}
