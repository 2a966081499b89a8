//! What a run wrote: the one truth a reader needs, as versioned JSON.
//! It must not know how parts were read, encoded or stored.

use std::collections::BTreeMap;

use rivet_plugin_api::{KeyValue, TableSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::checksum::ColumnChecksum;
use crate::config::MetaColumns;
use crate::partition::Partition;
use crate::plan::{Endpoint, Plan, Window};
use crate::quality::Checked;

/// Version of the manifest's JSON form.
pub const MANIFEST_VERSION: u32 = 1;
/// Name of the object that says a run is complete, for tools that look for it; what all pointers are called starts so.
pub const SUCCESS_NAME: &str = "_SUCCESS";

/// Names of the objects that say which run of an export is its newest complete one: its own, and the common one.
pub fn pointer_names(export: &str) -> [String; 2] {
    [format!("{SUCCESS_NAME}.{export}"), SUCCESS_NAME.to_owned()]
}

/// Name of the manifest of a run.
pub fn manifest_name(export: &str, run_id: &str) -> String {
    format!("_manifest-{export}-{run_id}.json")
}

/// What the names of all parts of a run start with, and those of no other run.
pub fn part_prefix(export: &str, run_id: &str) -> String {
    format!("{export}_{run_id}_")
}

/// How the names of all parts of a run begin, in the folders of all partitions.
pub fn all_parts(export: &str, run_id: &str, partition: Option<&Partition>) -> String {
    let file = part_prefix(export, run_id);
    partition.map_or_else(|| file.clone(), |partition| partition.everywhere(&file))
}

/// Whether a part is of this run, by its name.
pub fn is_part_of(name: &str, export: &str, run_id: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.starts_with(&part_prefix(export, run_id))
}

/// What a run wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Version of this document: 1 ([`MANIFEST_VERSION`]).
    pub version: u32,
    /// Run.
    pub run_id: String,
    /// Export.
    pub export: String,
    /// When the run was planned, RFC 3339 UTC.
    pub planned_at: String,
    /// Strategy, as users see it.
    pub strategy: String,
    /// Where rows come from.
    pub source: Endpoint,
    /// How parts are encoded.
    pub format: Endpoint,
    /// The relation, as messages call it.
    pub relation: String,
    /// Range of the cursor that was read, for an incremental run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<CursorRange>,
    /// The time that rows are from, for mode time_window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// How rows are divided into folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// Columns that Rivet added after those of `schema`.
    #[serde(default)]
    pub meta_columns: MetaColumns,
    /// Columns as described by the source.
    pub schema: TableSchema,
    /// Digest of `schema`.
    pub schema_digest: String,
    /// Which state of the source the parts hold.
    pub consistency: Consistency,
    /// Identity of the snapshot of each epoch, by epoch.
    pub snapshots: Vec<Option<String>>,
    /// Rows in all parts.
    pub rows: u64,
    /// Bytes in all parts.
    pub bytes: u64,
    /// All parts, ordered by split and index.
    pub parts: Vec<Part>,
    /// Values changed by a policy: column, policy, count.
    pub policy_hits: Vec<(String, String, u64)>,
    /// The rules of `quality`, all of which the rows keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quality: Vec<Checked>,
    /// What the user was told about the rows, such as some that the login could not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The keys that a run read. Both ends are part of the range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CursorRange {
    /// The key: the first of these columns that is not NULL.
    pub key: Vec<String>,
    /// Where the cursor was, without `lookback`; none on the first run.
    pub lower: Option<KeyValue>,
    /// The largest key; none where there were no rows.
    pub upper: Option<KeyValue>,
    /// Whether the run moved the cursor: a backfill does not. Absent from runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<bool>,
}

/// Which state of the source a file set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// One snapshot for all parts.
    Snapshot,
    /// Each split as of its own statement, or of a snapshot that it shares with a few others; each part names its epoch.
    PerSplit,
    /// Several snapshots; each part names its epoch.
    Mixed,
}

/// One written object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Name below the destination.
    pub name: String,
    /// What its folders say of all its rows: values by key, null for NULL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partition: BTreeMap<String, Option<String>>,
    /// Split it belongs to.
    pub split: u32,
    /// Snapshot epoch it was read in, from 0.
    pub epoch: u32,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Digest of the bytes.
    pub digest: String,
    /// Checksum of each column, in order; none where a column is of a type without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checksums: Vec<ColumnChecksum>,
}

/// Body of each of [`pointer_names`]: vouches for one manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Success {
    /// Run.
    pub run_id: String,
    /// Name of the manifest below the destination.
    pub manifest: String,
    /// Digest of the manifest's bytes.
    pub manifest_digest: String,
    /// Rows in all parts.
    pub rows: u64,
    /// Number of parts.
    pub parts: usize,
}

/// Digest of bytes as written in manifests: `xxh3-128:` and 32 hex digits.
pub fn digest(bytes: &[u8]) -> String {
    digest_text(xxh3_128(bytes))
}

/// A 128-bit XXH3 value as written in manifests.
pub fn digest_text(value: u128) -> String {
    format!("xxh3-128:{value:032x}")
}

impl Manifest {
    /// The manifest of a finished run. `parts` are in order.
    pub fn new(plan: &Plan, parts: Vec<Part>, consistency: Consistency, snapshots: Vec<Option<String>>) -> Self {
        let schema_json = serde_json::to_vec(&plan.schema).unwrap_or_default();
        Self {
            version: MANIFEST_VERSION,
            run_id: plan.run_id.clone(),
            export: plan.export.clone(),
            planned_at: crate::clock::format_rfc3339(plan.created_at_ms),
            strategy: plan.strategy.clone(),
            source: plan.source.clone(),
            format: plan.format.clone(),
            relation: plan.relation.label(),
            cursor: plan.increment.as_ref().map(|i| CursorRange {
                key: i.key.clone(),
                lower: i.lower.clone(),
                upper: i.upper.clone(),
                moved: Some(i.next.is_some()),
            }),
            window: plan.window.clone(),
            partition: plan.partition.clone(),
            meta_columns: plan.meta_columns,
            schema: plan.schema.clone(),
            schema_digest: digest(&schema_json),
            consistency,
            snapshots,
            rows: parts.iter().map(|p| p.rows).sum(),
            bytes: parts.iter().map(|p| p.bytes).sum(),
            parts,
            policy_hits: Vec::new(),
            quality: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The bytes that are written: pretty JSON and a final newline.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}
