//! What `rivet run --output ndjson` prints while it runs: one event a line.
//! It must not know when an event happens.

use rivet_core::summary::Summary;
use schemars::JsonSchema;
use serde::Serialize;

use super::ProblemRow;

/// One line.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventLine {
    /// Version of the events: 1.
    pub v: u32,
    /// When it was written, RFC 3339 UTC.
    pub at: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. A reader skips events that it does not know: new ones may come.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins.
    RunStarted {
        /// Run.
        run_id: String,
        /// Export.
        export: String,
    },
    /// The plan is made.
    Planned {
        /// Run.
        run_id: String,
        /// Export.
        export: String,
        /// Strategy.
        strategy: String,
        /// Units of parallel reading.
        splits: usize,
        /// Workers that read at once.
        workers: usize,
        /// Rows, by the source's statistics.
        estimated_rows: Option<u64>,
    },
    /// More rows were read; written twice a second at most.
    Progress {
        /// Run.
        run_id: String,
        /// Export.
        export: String,
        /// Rows read so far, those of failed attempts included.
        rows: u64,
        /// Their size in memory, bytes.
        bytes: u64,
        /// Rows expected, by the source's statistics.
        estimated_rows: Option<u64>,
    },
    /// A part is durable, not yet visible: the manifest alone says which parts count.
    PartWritten {
        /// Run.
        run_id: String,
        /// Export.
        export: String,
        /// Name below the destination.
        name: String,
        /// Rows.
        rows: u64,
        /// Bytes.
        bytes: u64,
    },
    /// A split is complete.
    SplitDone {
        /// Run.
        run_id: String,
        /// Export.
        export: String,
        /// Splits that are complete.
        done: usize,
        /// Splits in all.
        of: usize,
    },
    /// An attempt failed and is tried again, on a new session.
    Retrying {
        /// Run.
        run_id: String,
        /// Export.
        export: String,
        /// What is tried again.
        split: String,
        /// Why it failed.
        cause: String,
        /// Which of its retries this is, from 1.
        retry: u32,
        /// Retries that it may have.
        of: u32,
        /// Pause before, ms.
        after_ms: u64,
    },
    /// Something the user should know that does not fail the run.
    Warning {
        /// Run.
        run_id: String,
        /// Export.
        export: String,
        /// One sentence.
        message: String,
    },
    /// An export is over, whatever its end. The last event of its run.
    ExportFinished {
        /// Run.
        run_id: String,
        /// Export.
        export: String,
        /// How it ended.
        summary: Box<Summary>,
    },
    /// Nothing could run, or a command failed.
    Error {
        /// Why.
        error: ProblemRow,
    },
}
