//! What `rivet run --dry-run` prints as JSON, and the file that `rivet plan` writes.
//! It must not know terminals, nor how a plan is made.

use rivet_core::plan::sealed::Fingerprint;
use rivet_core::plan::{PlannedSplit, Window};
use rivet_plugin_api::wire::Connector;
use rivet_plugin_api::{Column, FIDELITY_KEY, KeyValue, TypesMode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::ProblemRow;

/// `rivet run --dry-run`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlansDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// Nothing was written: true.
    pub dry_run: bool,
    /// Each export.
    pub exports: Vec<PlanRow>,
}

/// The file that `rivet plan` writes and `rivet apply` follows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// Version of the rivet that wrote it.
    pub rivet: String,
    /// When it was made, RFC 3339 UTC. After 24 hours `rivet apply` asks for --force.
    pub created_at: String,
    /// Each export.
    pub exports: Vec<SealedRow>,
    /// Digest of all the rest, as JSON with sorted keys and no blanks. It shows that something was changed by hand or by
    /// accident; who changes it on purpose can make it anew.
    pub digest: String,
}

/// What is done for an export.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SealedRow {
    /// The plan, for people; warnings, too.
    #[serde(flatten)]
    pub shown: PlanRow,
    /// What tells this plan from all others.
    pub plan_id: String,
    /// The statement that reads the rows, which each split narrows; none where the source shows none, or where values of
    /// variables could not be taken out of it.
    pub sql: Option<String>,
    /// The rows of an incremental export.
    pub cursor: Option<CursorRange>,
    /// The rows of a time window.
    pub window: Option<Window>,
    /// A digest of each thing that must be the same when the plan is followed.
    pub fingerprint: Fingerprint,
    /// What is followed, in rivet's own words: bounds of splits and ranges.
    pub sealed: Value,
}

/// A range of a cursor.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CursorRange {
    /// The cursor columns.
    pub key: Vec<String>,
    /// Where the cursor stood: rows from here on are read, but those that were exported before. None before the first run.
    pub from: Option<KeyValue>,
    /// The last key that is read; none where there was no row.
    pub to: Option<KeyValue>,
}

/// What a run of an export would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanRow {
    /// Export.
    pub export: String,
    /// What is read.
    pub relation: String,
    /// Strategy; none when there is no plan.
    pub strategy: Option<String>,
    /// Source.
    pub source: EndpointRow,
    /// Format.
    pub format: EndpointRow,
    /// Destination.
    pub destination: EndpointRow,
    /// Rows, by the source's statistics; none when they do not say.
    pub estimated_rows: Option<u64>,
    /// Bytes on the source's disk, likewise.
    pub estimated_bytes: Option<u64>,
    /// Workers that would read at once.
    pub workers: Option<usize>,
    /// Units of parallel reading.
    pub splits: Vec<SplitRow>,
    /// Columns, in the order of the relation.
    pub columns: Vec<ColumnRow>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What was asked of the source.
    pub asked: Vec<String>,
    /// Questions about rows that only a scan would answer, which --probe asks.
    pub not_asked: Vec<String>,
    /// Why there is no plan.
    pub error: Option<ProblemRow>,
}

/// A plugin that takes part.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EndpointRow {
    /// Plugin name.
    pub plugin: String,
    /// Plugin version.
    pub version: String,
    /// Server, path or the like, without credentials.
    pub identity: String,
}

/// A unit of parallel reading.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SplitRow {
    /// Number, from 0.
    pub id: u32,
    /// How messages call it.
    pub label: String,
    /// Rows expected, when known.
    pub estimated_rows: Option<u64>,
}

/// A column.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ColumnRow {
    /// Name.
    pub name: String,
    /// The source's name of its type.
    pub native_type: String,
    /// Type of its Arrow form.
    pub arrow_type: String,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// How exactly the file holds it: `exact`, or `text` for the source's own text form.
    pub fidelity: String,
}

impl EndpointRow {
    /// A connector and the place that it leads to.
    pub fn of(connector: &Connector, identity: &str) -> Self {
        let info = connector.info();
        Self { plugin: info.name.clone(), version: info.version.clone(), identity: identity.to_owned() }
    }
}

impl SplitRow {
    /// From a plan.
    pub fn of(split: &PlannedSplit) -> Self {
        let estimated_rows = split.split.as_ref().and_then(|s| s.estimated_rows);
        Self { id: split.id, label: split.label(), estimated_rows }
    }
}

impl ColumnRow {
    /// From a schema.
    pub fn of(column: &Column, types: TypesMode) -> Self {
        let field = column.arrow_field(types);
        Self {
            name: column.name.clone(),
            native_type: column.native_type.clone(),
            arrow_type: field.data_type().to_string(),
            nullable: column.nullable,
            fidelity: field.metadata().get(FIDELITY_KEY).cloned().unwrap_or_default(),
        }
    }
}
