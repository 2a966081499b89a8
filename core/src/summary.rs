//! What is said about an export when it is over, for people and for machines.
//! It must not know how it is shown.

use rivet_plugin_api::Blocker;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::format_rfc3339;
use crate::config::Mode;
use crate::error::FailureClass;
use crate::partition::Partition;
use crate::preflight::Verdict;
use crate::quality::Checked;
use crate::resolve::ExportSpec;

/// How an export ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything was written and verified.
    Success,
    /// There was nothing to write.
    Skipped,
    /// A share of a plan was written; nothing is visible before `rivet finalize`.
    Staged,
    /// Nothing was published.
    Failed,
}

impl Status {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Skipped => "skipped",
            Self::Staged => "staged",
            Self::Failed => "failed",
        }
    }
}

/// One export's end.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Export.
    pub export: String,
    /// Run.
    pub run_id: String,
    /// How it ended.
    pub status: Status,
    /// `full` or `incremental`.
    pub mode: String,
    /// Strategy; empty when it ended before the plan.
    pub strategy: String,
    /// Tuning profile.
    pub profile: String,
    /// Profile and size of batches, in the keys of the config.
    pub tuning: String,
    /// Format plugin.
    pub format: String,
    /// Compression, by the format's word; none where the format has none.
    pub compression: Option<String>,
    /// When it began, RFC 3339 UTC.
    pub started_at: String,
    /// When it ended, RFC 3339 UTC; none while it goes on.
    pub ended_at: Option<String>,
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
    /// Splits that an earlier process had finished and that were not read again.
    pub splits_kept: usize,
    /// The share of a plan that was done; none where all of it was.
    #[serde(default)]
    pub shard: Option<ShardDone>,
    /// Attempts that failed and were tried again.
    pub retries: u32,
    /// New snapshots after the first was lost.
    pub restarts: u32,
    /// Longest single statement on the source, ms; 0 when unknown.
    pub longest_statement_ms: u64,
    /// How old the oldest transaction on the source became, ms: as long as it lives, others wait who change the table, and a
    /// database that keeps old rows for it keeps them; 0 when none was held.
    pub oldest_transaction_ms: u64,
    /// Most relations that one session held a lock on, partitions and indexes included; 0 when unknown.
    #[serde(default)]
    pub locks: u64,
    /// How long locks were waited for before anything was read, ms; 0 too where the source does not say.
    #[serde(default)]
    pub lock_wait_ms: u64,
    /// Who was waited for.
    #[serde(default)]
    pub blockers: Vec<Blocker>,
    /// Which state of the source was read: `snapshot`, `per-split` or `mixed`; empty when nothing was.
    pub consistency: String,
    /// How hard the plan was on the source; none when that is not known.
    pub verdict: Option<Verdict>,
    /// What changed in the columns since the last good run, or during this one.
    pub schema_changes: Vec<String>,
    /// Values changed by a policy: column, policy, count.
    #[serde(default)]
    pub policy_hits: Vec<(String, String, u64)>,
    /// Every part was read back and is what was written (`--validate`).
    pub validated: bool,
    /// Whether the columns are others than in the last good run; none when there was none, or they are not known.
    pub schema_changed: Option<bool>,
    /// Each rule of `quality`, and how it came out; empty when there is none, or the run failed before they were judged.
    pub quality: Vec<Checked>,
    /// Where the parts are, in order.
    pub locations: Vec<String>,
    /// What the rows are divided by, each partition in a folder of its own; none where they are not.
    #[serde(default)]
    pub partition: Option<Partition>,
    /// Name of the manifest below the destination, when there is one.
    pub manifest: Option<String>,
    /// Earlier runs of mode full whose parts lie in the same place: who reads all that lies there reads their rows too.
    pub earlier_runs: usize,
    /// What the user should know beside the end.
    pub warnings: Vec<String>,
    /// Why it failed.
    pub error: Option<Failure>,
}

/// A share of a plan that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardDone {
    /// Which, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// Those that are not done.
    pub left: Vec<u32>,
}

/// Why an export failed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Stable dotted code.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Class; decides the exit code.
    #[serde(skip)]
    #[schemars(skip)]
    pub class: FailureClass,
}

impl Summary {
    /// Whether the rows keep all rules: `pass` or `FAIL`; none where there is no rule, or none was judged.
    pub fn quality_word(&self) -> Option<&'static str> {
        let kept = self.quality.iter().all(|rule| rule.passed);
        (!self.quality.is_empty()).then_some(if kept { "pass" } else { "FAIL" })
    }

    /// Of a run that has only begun.
    pub fn new(spec: &ExportSpec, run_id: &str, started_at_ms: i64) -> Self {
        Self {
            export: spec.name.clone(),
            run_id: run_id.to_owned(),
            status: Status::Failed,
            mode: mode(spec).to_owned(),
            strategy: String::new(),
            profile: spec.tuning.profile.to_string(),
            tuning: tuning(spec),
            format: spec.format.info().name.clone(),
            compression: compression(spec),
            started_at: format_rfc3339(started_at_ms),
            ended_at: None,
            rows: 0,
            rows_known: 0,
            files: 0,
            bytes: 0,
            duration_ms: 0,
            rows_per_second: 0,
            peak_rss_bytes: 0,
            splits_kept: 0,
            shard: None,
            retries: 0,
            restarts: 0,
            longest_statement_ms: 0,
            oldest_transaction_ms: 0,
            locks: 0,
            lock_wait_ms: 0,
            blockers: Vec::new(),
            consistency: String::new(),
            verdict: None,
            schema_changes: Vec::new(),
            policy_hits: Vec::new(),
            validated: false,
            schema_changed: None,
            quality: Vec::new(),
            locations: Vec::new(),
            partition: None,
            manifest: None,
            earlier_runs: 0,
            warnings: Vec::new(),
            error: None,
        }
    }

    /// Why a run that went through did not go as it should; nothing where it did, and of one that failed.
    pub fn degraded(&self) -> Vec<&'static str> {
        let reasons = [
            (self.verdict == Some(Verdict::Degraded), "verdict DEGRADED: hard on the source"),
            (self.verdict == Some(Verdict::Unsafe), "verdict UNSAFE: very hard on the source"),
            (self.restarts > 0, "the snapshot was lost on the way"),
            (self.consistency == "mixed", "the files hold different states of the source"),
        ];
        let went_through = self.status != Status::Failed;
        reasons.into_iter().filter(|(is_so, _)| *is_so && went_through).map(|(_, reason)| reason).collect()
    }
}

fn mode(spec: &ExportSpec) -> &'static str {
    match spec.mode() {
        Mode::Full => "full",
        Mode::Incremental(_) => "incremental",
        Mode::Chunked(_) => "chunked",
        Mode::TimeWindow(_) => "time_window",
    }
}

fn tuning(spec: &ExportSpec) -> String {
    let tuning = &spec.tuning;
    let batch = match tuning.batch_bytes {
        Some(bytes) => format!("batch_size_memory_mb={}", bytes >> 20),
        None => format!("batch_size={}", spec.max_batch_rows()),
    };
    format!("profile={}, {batch}", tuning.profile)
}

/// What the options of the format say, else what its schema says of an option that is not given.
fn compression(spec: &ExportSpec) -> Option<String> {
    let schema = &spec.format.info().options_schema["properties"];
    let given = &spec.format_options["compression"];
    let word = given.as_str().or_else(|| schema["compression"]["default"].as_str())?;
    let level = spec.format_options["compression_level"].as_i64();
    Some(level.map_or_else(|| word.to_owned(), |level| format!("{word} (level {level})")))
}
