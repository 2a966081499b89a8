//! What `state chunks`, `state reset-chunks` and `state rebuild` print as JSON.
//! It must not know terminals.

use schemars::JsonSchema;
use serde::Serialize;

/// `rivet state chunks`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChunksDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// For each export the run that did not end, else its newest.
    pub runs: Vec<ChunkRunRow>,
}

/// A run and its chunks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChunkRunRow {
    /// Export.
    pub export: String,
    /// Run.
    pub run_id: String,
    /// `completed`; `running` while its process lives, `in_progress` when it died and can be gone on with, `reset` when the next run
    /// discards it; else how it ended.
    pub status: String,
    /// Strategy, as users see it.
    pub strategy: String,
    /// Digest of what the chunks are made of: a run is gone on with only while this is the same.
    pub plan_hash: String,
    /// When it began, RFC 3339 UTC.
    pub started_at: String,
    /// Chunks that are done.
    pub completed: usize,
    /// Rows in them.
    pub rows: u64,
    /// The chunks, by number.
    pub chunks: Vec<ChunkRow>,
}

/// A chunk.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChunkRow {
    /// Number within the plan, from 0.
    pub chunk: u32,
    /// What messages call it.
    pub label: String,
    /// `completed`, `pending`, or `begun` where an attempt did not complete it.
    pub status: String,
    /// Attempts at it, of all processes.
    pub attempts: u32,
    /// Rows; none until it is completed.
    pub rows: Option<u64>,
    /// Files; none until it is completed.
    pub files: Option<usize>,
    /// Snapshot epoch it was read in, from 0; none until it is completed.
    pub epoch: Option<u32>,
    /// When it was completed, RFC 3339 UTC.
    pub completed_at: Option<String>,
}

/// `rivet state reset-chunks`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResetDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// The runs of which the next run keeps nothing.
    pub reset: Vec<ResetRow>,
}

/// A run that was reset.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResetRow {
    /// Export.
    pub export: String,
    /// Run.
    pub run_id: String,
    /// Chunks that it had completed.
    pub completed: usize,
}

/// `rivet state rebuild`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RebuildDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// What was made again, by export.
    pub exports: Vec<RebuildRow>,
}

/// What was made again of an export.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RebuildRow {
    /// Export.
    pub export: String,
    /// Runs that are recorded now, the oldest first.
    pub runs: Vec<String>,
    /// Files of them.
    pub files: usize,
    /// Its cursor, as it is recorded now.
    pub cursor: Option<String>,
    /// What was left out, one sentence each.
    pub left_out: Vec<String>,
}
