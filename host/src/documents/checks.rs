//! What `rivet check` prints as JSON.
//! It must not know terminals, nor how an export is judged.

use schemars::JsonSchema;
use serde::Serialize;

use super::ProblemRow;

/// `rivet check`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChecksDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// Each export.
    pub exports: Vec<CheckRow>,
}

/// The judgement of an export.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct CheckRow {
    /// Export.
    pub export: String,
    /// What is read.
    pub relation: String,
    /// Strategy; none when there is no plan.
    pub strategy: Option<String>,
    /// Rows, by the source's statistics; none when they do not say.
    pub estimated_rows: Option<u64>,
    /// Bytes on the source's disk, likewise.
    pub estimated_bytes: Option<u64>,
    /// How the rows are found, in the source's words: of an incremental export those of the runs after the coming one.
    pub scan: Option<String>,
    /// Range of the cursor that a run would read: from, to; none where it begins at the first row, or is not known.
    pub cursor_range: Option<(Option<String>, Option<String>)>,
    /// `EFFICIENT`, `ACCEPTABLE`, `DEGRADED` or `UNSAFE`; none when nothing is known.
    pub verdict: Option<String>,
    /// Why.
    pub reason: String,
    /// Workers that read.
    pub workers: Option<usize>,
    /// Time that the coming run is expected to take at the export's profile, ms; none when the rows are not known.
    pub expected_ms: Option<u64>,
    /// How long a snapshot is held meanwhile, ms; none where there is none.
    pub snapshot_held_ms: Option<u64>,
    /// The export's tuning profile.
    pub profile: Option<String>,
    /// Tuning profile that suits it.
    pub recommended_profile: Option<String>,
    /// Workers that suit it.
    pub recommended_parallel: Option<u64>,
    /// Why so many.
    pub parallel_reason: Option<String>,
    /// Server and version.
    pub server: Option<String>,
    /// What each rule of `unique_columns` costs a run: nothing where a unique constraint of the source proves it.
    pub quality: Vec<String>,
    /// What may go wrong.
    pub warnings: Vec<String>,
    /// What could be better.
    pub suggestions: Vec<String>,
    /// Statements that make the index which finds what is new; none where there is one.
    pub index_statements: Vec<String>,
    /// What was asked of the source.
    pub asked: Vec<String>,
    /// Questions about rows that only a scan would answer, which --probe asks.
    pub not_asked: Vec<String>,
    /// What --strict fails on, column by column.
    pub strict: Vec<String>,
    /// Columns, in the order in which they are written.
    pub columns: Vec<TypeRow>,
    /// Why it cannot be judged.
    pub error: Option<ProblemRow>,
}

/// How a column is held.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TypeRow {
    /// Name.
    pub name: String,
    /// The source's name of its type.
    pub native_type: String,
    /// What it holds.
    pub logical_type: String,
    /// Type of its Arrow form.
    pub arrow_type: String,
    /// Type in the file; none when the format cannot hold it.
    pub file_type: Option<String>,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// `exact`, or `text` for the source's own text form.
    pub fidelity: String,
    /// Type in the target; none when there is no target, or it does not take the column.
    pub target_type: Option<String>,
    /// How the target takes it: `ok`, `changed` or `refused`; none when there is no target.
    pub target_status: Option<&'static str>,
    /// Why it is not held, or what the target makes of it.
    pub problem: Option<String>,
}
