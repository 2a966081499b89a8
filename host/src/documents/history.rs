//! What commands about the state print as JSON, and how a stored run becomes a row.
//! It must not know terminals.

use rivet_core::clock::format_rfc3339;
use rivet_core::plan::{Mark, Plan};
use rivet_core::state::{Held, Phase, RunEntry, State, StateError, StoredCursor};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// `rivet metrics`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MetricsDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// The runs, newest first.
    pub runs: Vec<RunRow>,
}

/// One run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RunRow {
    /// Run.
    pub run_id: String,
    /// Export.
    pub export: String,
    /// `success`, `skipped`, `failed`, `rejected` or `abandoned`; `running` while its process lives, `unfinished` when
    /// the process died and no later run has settled it.
    pub status: String,
    /// `full` or `incremental`; none when it failed before that was known, as `profile` and `format`.
    pub mode: Option<String>,
    /// Tuning profile.
    pub profile: Option<String>,
    /// Format plugin.
    pub format: Option<String>,
    /// Source, without credentials.
    pub source: String,
    /// Destination, without credentials.
    pub destination: String,
    /// When it started, RFC 3339 UTC.
    pub started_at: String,
    /// When it ended, RFC 3339 UTC.
    pub ended_at: Option<String>,
    /// How long it took, ms.
    pub duration_ms: Option<u64>,
    /// Rows written.
    pub rows: Option<u64>,
    /// Parts written.
    pub files: Option<u64>,
    /// Bytes written.
    pub bytes: Option<u64>,
    /// Rows per second of the whole duration.
    pub rows_per_second: Option<u64>,
    /// Highest resident memory of its process, bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Attempts that failed and were tried again.
    pub retries: Option<u64>,
    /// Every part was read back and is what was written.
    pub validated: Option<bool>,
    /// Whether the columns were others than in the last good run; none when there was none.
    pub schema_changed: Option<bool>,
    /// Why it failed.
    pub error: Option<ErrorRow>,
}

/// Why a run failed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ErrorRow {
    /// Stable dotted code.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// `rivet journal`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JournalDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// The run.
    pub run_id: String,
    /// What history says about it; none when it was refused because its export was running.
    pub run: Option<RunRow>,
    /// What happened, in order.
    pub events: Vec<EventRow>,
    /// The runs before it, newest first, where more than one was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<JournalRow>,
}

/// One of several runs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JournalRow {
    /// The run.
    pub run_id: String,
    /// What history says about it; none when it was refused because its export was running.
    pub run: Option<RunRow>,
    /// What happened, in order.
    pub events: Vec<EventRow>,
}

/// Something that happened in a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventRow {
    /// The run.
    pub run_id: String,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// What: `run_started`, `planned`, `split_done`, `retrying`, `warning`, `export_finished`; there may be more.
    pub event: String,
    /// What else is known.
    pub details: Value,
}

/// `rivet state show`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StateDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// Path of the state file.
    pub state: String,
    /// Each export.
    pub exports: Vec<ExportRow>,
}

/// What is remembered of one export.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExportRow {
    /// Export.
    pub export: String,
    /// What its config is called; only where no config was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Its cursor; none when it has none.
    pub cursor: Option<CursorRow>,
    /// Its newest run, whatever its end.
    pub last_run: Option<RunRow>,
    /// Who runs it now.
    pub lock: Option<LockRow>,
}

/// A cursor.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CursorRow {
    /// The mark, with all its digits.
    pub value: String,
    /// The source's name of its type.
    pub native_type: Option<String>,
    /// Digest of what it belongs to: source database, relation, cursor column and destination. Empty where it was brought from
    /// elsewhere: it is of what the next run reads.
    pub fingerprint: String,
    /// Source of the run that last moved it or, when it was moved by hand, of the last good run.
    pub source: Option<String>,
    /// Relation, likewise.
    pub relation: Option<String>,
    /// Destination, likewise.
    pub destination: Option<String>,
    /// Run that moved it; `by hand` after `rivet state set`.
    pub run_id: String,
    /// When it was moved, RFC 3339 UTC.
    pub updated_at: String,
}

/// Who holds a lock.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LockRow {
    /// Process; none when unknown, as all else here.
    pub pid: Option<u32>,
    /// Machine.
    pub host: Option<String>,
    /// Run.
    pub run_id: Option<String>,
    /// Command.
    pub command: Option<String>,
    /// Since when, RFC 3339 UTC.
    pub since: Option<String>,
}

/// `rivet state files`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FilesDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// The newest parts: those of the newest run first, in the order of its manifest.
    pub files: Vec<FileRow>,
}

/// `rivet report`, where the page goes to a file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// The file that was written.
    pub file: String,
    /// The runs that it is about.
    pub runs: Vec<String>,
}

/// A written part.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileRow {
    /// Run.
    pub run_id: String,
    /// Export.
    pub export: String,
    /// Format plugin.
    pub format: Option<String>,
    /// Compression, by the format's word.
    pub compression: Option<String>,
    /// When its run was complete, RFC 3339 UTC.
    pub created_at: Option<String>,
    /// Name below the destination.
    pub name: String,
    /// Where it is: a path or a URL without credentials; the name alone when the run did not note it.
    pub path: String,
    /// Split that it belongs to.
    pub split: u32,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Digest of the bytes.
    pub digest: String,
}

/// `rivet state set` and `rivet state reset`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CursorDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// Export.
    pub export: String,
    /// The cursor before.
    pub old: Option<CursorRow>,
    /// The cursor now.
    pub new: Option<CursorRow>,
}

/// `rivet state import`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// The file that was read.
    pub file: String,
    /// Nothing was changed.
    pub dry_run: bool,
    /// What it holds, by export.
    pub cursors: Vec<ImportRow>,
}

/// A cursor of another tool's state file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ImportRow {
    /// Export.
    pub export: String,
    /// Its cursor there; none when it has none.
    pub value: Option<String>,
    /// When it last ran there, in that tool's words.
    pub last_run_at: Option<String>,
    /// What became of it.
    pub status: ImportStatus,
    /// Why it was left out or refused.
    pub why: Option<String>,
}

/// What became of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// It was brought over; with `dry_run`, it would be.
    Imported,
    /// It was left out.
    Left,
    /// It means nothing here.
    Refused,
}

impl RunRow {
    /// From history.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn of(entry: &RunEntry, state: &State) -> Result<Self, StateError> {
        let told = |key: &str| entry.summary[key].as_u64();
        let word = |key: &str| entry.summary[key].as_str().map(str::to_owned);
        let (mut mode, mut format) = (word("mode"), word("format"));
        if mode.is_none()
            && let Some(plan) = state.plan_of(&entry.run_id)?.and_then(|plan| serde_json::from_value::<Plan>(plan).ok())
        {
            mode = Some(if plan.increment.is_some() { "incremental" } else { "full" }.to_owned());
            format = Some(plan.format.plugin);
        }
        let known = |n: Option<u64>| n.filter(|n| *n > 0);
        let took = entry.ended_at_ms.map(|end| u64::try_from(end - entry.started_at_ms).unwrap_or(0));
        let (mut rows, mut files, mut bytes) = (told("rows"), told("files"), told("bytes"));
        if entry.phase == Phase::Finished && rows.is_none() {
            // Finished by a later process, which did not see the summary.
            let parts = state.parts_of(&entry.run_id)?;
            rows = Some(parts.iter().map(|p| p.part.rows).sum());
            bytes = Some(parts.iter().map(|p| p.part.bytes).sum());
            files = u64::try_from(parts.len()).ok();
        }
        Ok(Self {
            run_id: entry.run_id.clone(),
            export: entry.export.clone(),
            status: status(entry, state)?,
            mode,
            profile: word("profile"),
            format,
            source: entry.source.clone(),
            destination: entry.destination.clone(),
            started_at: format_rfc3339(entry.started_at_ms),
            ended_at: entry.ended_at_ms.map(format_rfc3339),
            duration_ms: told("duration_ms").or(took),
            rows,
            files,
            bytes,
            rows_per_second: told("rows_per_second"),
            peak_rss_bytes: known(told("peak_rss_bytes")),
            retries: told("retries"),
            validated: entry.summary["validated"].as_bool(),
            schema_changed: entry.summary["schema_changed"].as_bool(),
            error: error(&entry.summary),
        })
    }
}

fn status(entry: &RunEntry, state: &State) -> Result<String, StateError> {
    if let Some(status) = &entry.status {
        return Ok(status.clone());
    }
    let held = state.of_config(&entry.config).lock_holder(&entry.export)?;
    let by_it = held.is_some_and(|held| held.holder.is_none_or(|holder| holder.run_id == entry.run_id));
    Ok(if by_it { "running" } else { "unfinished" }.to_owned())
}

fn error(summary: &Value) -> Option<ErrorRow> {
    let text = |key: &str| summary["error"][key].as_str().map(str::to_owned);
    Some(ErrorRow { code: text("code")?, message: text("message").unwrap_or_default() })
}

impl CursorRow {
    /// From the state.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn of(export: &str, stored: &StoredCursor, state: &State) -> Result<Self, StateError> {
        let mark: Option<Mark> = serde_json::from_value(stored.value.clone()).ok();
        let (native_type, value) = match mark {
            Some(Mark { value, .. }) => (Some(value.native_type).filter(|name| !name.is_empty()), value.text),
            None => (None, stored.value.to_string()),
        };
        let plan = match state.plan_of(&stored.run_id)? {
            Some(plan) => Some(plan),
            None => state.last_good_run(export)?.map(|run| state.plan_of(&run.run_id)).transpose()?.flatten(),
        };
        let plan: Option<Plan> = plan.and_then(|plan| serde_json::from_value(plan).ok());
        Ok(Self {
            value,
            native_type,
            fingerprint: stored.fingerprint.clone(),
            source: plan.as_ref().map(|p| p.source.identity.clone()),
            relation: plan.as_ref().map(|p| p.relation.label()),
            destination: plan.as_ref().map(|p| p.destination.identity.clone()),
            run_id: stored.run_id.clone(),
            updated_at: format_rfc3339(stored.updated_at_ms),
        })
    }

    /// The mark with its type.
    pub fn shown(&self) -> String {
        let value = &self.value;
        self.native_type.as_ref().map_or_else(|| value.clone(), |kind| format!("{value} ({kind})"))
    }
}

impl From<Held> for LockRow {
    fn from(held: Held) -> Self {
        let holder = held.holder.as_ref();
        Self {
            pid: holder.map(|h| h.pid),
            host: holder.map(|h| h.host.clone()).filter(|host| !host.is_empty()),
            run_id: holder.map(|h| h.run_id.clone()),
            command: holder.map(|h| h.command.clone()),
            since: held.since_unix_ms.map(format_rfc3339),
        }
    }
}
