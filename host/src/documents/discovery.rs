//! What `rivet init --discover` prints as JSON.
//! It must not know terminals, nor how a proposal is made.

use std::collections::BTreeMap;

use rivet_core::propose::{Found, Proposal, Refusal, Surveyed};
use rivet_plugin_api::{Column, CursorColumn};
use schemars::JsonSchema;
use serde::Serialize;

/// `rivet init --discover`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DiscoveryDocument {
    /// Version of this document: 1.
    pub version: u32,
    /// Each relation that was looked at.
    pub relations: Vec<RelationRow>,
}

/// A relation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RelationRow {
    /// Schema; none where the source has none.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
    /// `table`, `partition`, `view` or `other`.
    pub kind: String,
    /// Rows, by the source's statistics; none when they do not say.
    pub estimated_rows: Option<u64>,
    /// Bytes on the source's disk, likewise.
    pub estimated_bytes: Option<u64>,
    /// Columns.
    pub columns: Vec<Column>,
    /// Columns that together find one row, never NULL; the primary key first.
    pub keys: Vec<Vec<String>>,
    /// Columns that a cursor could go by; none where the source does not say.
    pub cursors: Option<Vec<CursorColumn>>,
    /// The export that is proposed.
    pub proposal: Option<ProposalRow>,
    /// Why there is none.
    pub left_out: Option<LeftOutRow>,
}

/// An export that is proposed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProposalRow {
    /// Name of the export.
    pub export: String,
    /// Keys of mode and what goes with it.
    pub mode: BTreeMap<String, String>,
    /// Why this mode.
    pub reason: Option<String>,
    /// What may be better, and when.
    pub instead: Option<InsteadRow>,
    /// Pace.
    pub profile: String,
    /// Types of columns that are not the source's own.
    pub columns: BTreeMap<String, String>,
    /// What to look at.
    pub notes: Vec<String>,
}

/// Another mode.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InsteadRow {
    /// When it is the better one.
    pub when: String,
    /// Its keys.
    pub mode: BTreeMap<String, String>,
}

/// Why a relation has no export.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LeftOutRow {
    /// One sentence.
    pub why: String,
    /// What to do.
    pub hint: Option<String>,
}

impl DiscoveryDocument {
    /// Of what was found, and what was made of each.
    pub fn of(surveyed: &[Surveyed], proposed: &[Result<Proposal, Refusal>]) -> Self {
        let relations = surveyed.iter().zip(proposed).map(|(one, proposed)| RelationRow::of(one, proposed)).collect();
        Self { version: super::VERSION, relations }
    }
}

impl RelationRow {
    fn of(one: &Surveyed, proposed: &Result<Proposal, Refusal>) -> Self {
        let Surveyed { table, found } = one;
        let kind = serde_json::to_value(table.kind).ok();
        let Found { schema, estimate, .. } = found.clone().unwrap_or_default();
        Self {
            schema: table.schema.clone(),
            name: table.name.clone(),
            kind: kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().to_owned(),
            estimated_rows: estimate.rows,
            estimated_bytes: estimate.bytes,
            columns: schema.columns,
            keys: schema.keys,
            cursors: schema.cursors,
            proposal: proposed.as_ref().ok().map(ProposalRow::of),
            left_out: proposed.as_ref().err().map(|no| LeftOutRow { why: no.why.clone(), hint: no.hint.clone() }),
        }
    }
}

impl ProposalRow {
    fn of(proposal: &Proposal) -> Self {
        let keys = |way: &rivet_core::propose::Way| {
            way.keys().into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let instead = proposal.instead.as_ref();
        Self {
            export: proposal.name.clone(),
            mode: keys(&proposal.way),
            reason: proposal.reason.clone(),
            instead: instead.map(|(when, way)| InsteadRow { when: when.clone(), mode: keys(way) }),
            profile: proposal.profile.to_string(),
            columns: proposal.columns.iter().cloned().collect(),
            notes: proposal.notes.clone(),
        }
    }
}
