//! What a run will do, decided before it does anything: serialisable, without secrets, made by a pure function.
//! It must not know sessions, stores or the clock.

mod batch;
mod fingerprint;
mod increment;
mod make;
pub mod sealed;
pub mod sizing;

use rivet_plugin_api::{Column, Filter, KeyValue, ReadMode, Relation, SchemaRef, Split, TableSchema, TypesMode};
use serde::{Deserialize, Serialize};

use crate::config::{MetaColumns, Throttle};
use crate::manifest::{all_parts, manifest_name, part_prefix};
use crate::partition::Partition;
use crate::project::written_schema;
use crate::quality::Rules;
use crate::retry::RetryPolicy;
use crate::state::CursorUpdate;

pub use batch::{batch_rows, batch_sizing};
pub use fingerprint::Fingerprint;
pub use increment::{Increment, Mark, Owner};
pub use make::{Facts, expected_ms, make, rows_within, snapshot_ms, wanted};

/// Version of the plan's JSON form.
pub const PLAN_VERSION: u32 = 1;

/// Everything a run does, in order. Modes differ only in the splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Run that the plan is for.
    pub run_id: String,
    /// Export.
    pub export: String,
    /// When it was made, ms since 1970 UTC.
    pub created_at_ms: i64,
    /// What `{date}` stands for in the destination; empty where an older version planned it.
    #[serde(default)]
    pub date: String,
    /// What happens, as users see it: `full-scan`, `full-parallel(4)`.
    pub strategy: String,
    /// Source plugin and server, without credentials.
    pub source: Endpoint,
    /// Format plugin.
    pub format: Endpoint,
    /// Destination plugin.
    pub destination: Endpoint,
    /// What is read.
    pub relation: Relation,
    /// Which of its rows.
    #[serde(default)]
    pub filter: Filter,
    /// The engine's identity of the relation, where it has one.
    #[serde(default)]
    pub identity: Option<String>,
    /// Its columns.
    pub schema: TableSchema,
    /// Which Arrow forms are written.
    pub types: TypesMode,
    /// How statements deliver rows.
    pub read: ReadMode,
    /// What an incremental run reads and remembers.
    #[serde(default)]
    pub increment: Option<Increment>,
    /// The time that rows are from.
    #[serde(default)]
    pub window: Option<Window>,
    /// Columns that are added.
    #[serde(default)]
    pub meta_columns: MetaColumns,
    /// What the splits are made of; empty where an older version planned them.
    #[serde(default)]
    pub fingerprint: Fingerprint,
    /// The key that splits are ranges of.
    #[serde(default)]
    pub along: Option<Vec<String>>,
    /// What that key is.
    #[serde(default)]
    pub along_is: Along,
    /// Units of parallel reading; never empty.
    pub splits: Vec<PlannedSplit>,
    /// Workers that read at once.
    pub n_workers: usize,
    /// Most rows in a batch.
    pub max_batch_rows: usize,
    /// Arrow bytes of a batch, where the config sizes batches in bytes.
    pub max_batch_bytes: Option<u64>,
    /// A part is ended after about so many bytes; one part per split when absent.
    pub max_part_bytes: Option<u64>,
    /// Pauses between batches.
    pub throttle: Throttle,
    /// Retry budget of each split.
    pub retry: RetryPolicy,
    /// File name extension of parts, without the dot.
    pub extension: String,
    /// The run is called skipped when there are no rows, and writes nothing.
    pub skip_empty: bool,
    /// How rows are divided into folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// What the rows have to be like.
    #[serde(default)]
    pub quality: Rules,
    /// Read every part back before it counts.
    #[serde(default)]
    pub validate: bool,
    /// The sealed plan that this one follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// How many processes do a share of it each, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
}

/// A time that rows are from, as their column is compared with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Window {
    /// The column that says when a row is from.
    pub column: String,
    /// The first moment; none where it is before all that the column can hold.
    pub from: Option<KeyValue>,
    /// The end, by the server's clock when the run was planned: no part of it.
    pub to: KeyValue,
}

/// What the key is that splits are ranges of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Along {
    /// It is neither the relation's own key nor its beginning: a row may have another value of it in another snapshot, and be in another split.
    pub moving: bool,
    /// Its columns, also those that are not exported: ranges mean the same only while they are the same.
    pub columns: Vec<Column>,
}

impl Along {
    /// Of a key of the relation, which is described as a whole.
    pub fn of(key: &[String], whole: &TableSchema) -> Self {
        let is_kept = whole.has_primary_key && whole.keys.first().is_some_and(|own| own.starts_with(key));
        let columns = whole.columns.iter().filter(|column| key.contains(&column.name)).cloned().collect();
        Self { moving: !is_kept, columns }
    }
}

/// A plugin that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Endpoint {
    /// Plugin name.
    pub plugin: String,
    /// Plugin version: its splits are opaque and mean something to this version only.
    pub version: String,
    /// Server, path or the like, without credentials; empty for formats.
    pub identity: String,
}

/// One unit of parallel reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedSplit {
    /// Number within the plan, from 0.
    pub id: u32,
    /// The source's description; the whole relation when absent.
    pub split: Option<Split>,
}

impl PlannedSplit {
    /// How messages call it.
    pub fn label(&self) -> String {
        self.split.as_ref().map_or_else(|| "all rows".to_owned(), |s| s.label.clone())
    }
}

impl Plan {
    /// Name of a part: a function of run, split, attempt and index alone, so that no two attempts collide and
    /// nothing is ever overwritten. All numbers are 0-based. It goes into the folder of its partition.
    pub fn part_name(&self, split: u32, attempt: u32, index: u32) -> String {
        let prefix = part_prefix(&self.export, &self.run_id);
        format!("{prefix}s{split:05}_a{attempt:02}_part{index:05}.{}", self.extension)
    }

    /// How the names of all parts of this run begin, and those of no other run.
    pub fn part_prefix(&self) -> String {
        all_parts(&self.export, &self.run_id, self.partition.as_ref())
    }

    /// The schema of a part.
    pub fn part_schema(&self) -> SchemaRef {
        let written = self.written_schema();
        self.partition.as_ref().map_or_else(|| written.clone(), |partition| partition.file_schema(&written))
    }

    /// The schema of what is written, with what folders say.
    pub fn written_schema(&self) -> SchemaRef {
        written_schema(&self.schema, self.types, self.meta_columns)
    }

    /// Name of the manifest of this run.
    pub fn manifest_name(&self) -> String {
        manifest_name(&self.export, &self.run_id)
    }

    /// Whether a run without rows writes a part with the schema alone: it says that there are none. A run that reads what is
    /// new says nothing of the rest.
    pub fn keeps_empty_part(&self) -> bool {
        !self.skip_empty && self.increment.is_none()
    }

    /// The cursor to store when the run is finished.
    pub fn cursor_update(&self) -> Option<CursorUpdate> {
        let increment = self.increment.as_ref()?;
        let value = serde_json::to_value(increment.next.as_ref()?).ok()?;
        Some(CursorUpdate { fingerprint: increment.fingerprint.clone(), value })
    }

    /// What a later process cannot keep of the splits that this one has finished, if it dies: why.
    pub fn why_not_kept(&self) -> Option<&'static str> {
        if self.fingerprint.is_empty() {
            Some("another version of rivet planned it")
        } else if self.splits.len() == 1 {
            Some("all rows are read at once")
        } else if !self.splits_are_stable() {
            Some("its splits mean something else in another snapshot")
        } else if self.increment.is_some() {
            Some("what is new is read from one snapshot")
        } else if !self.quality.quality.unique_columns.is_empty() {
            Some("`unique_columns` compares the rows of one run of the program")
        } else {
            None
        }
    }

    /// Leaves the splits of a shard, where it is one.
    pub fn limit_to(&mut self, shard: Option<sealed::Shard>) {
        self.splits.retain(|planned| shard.is_none_or(|shard| shard.has(planned.id)));
    }

    /// What is said where splits are read in several snapshots, though rows may move between them.
    pub fn doubt_of_several_states(&self) -> Option<String> {
        let along = self.along.as_ref().filter(|_| self.along_is.moving)?.join(", ");
        Some(format!(
            "chunks are of several moments, and {along} is not of the primary key: a row whose {along} changed in between may be in the files \
             twice or not at all"
        ))
    }

    /// What users call the splits.
    pub fn splits_word(&self) -> &'static str {
        if self.along.is_some() { "chunks" } else { "splits" }
    }

    /// Whether every split can be read again in another snapshot without losing or doubling rows at its borders.
    pub fn splits_are_stable(&self) -> bool {
        self.splits.len() == 1 || self.splits.iter().all(|s| s.split.as_ref().is_some_and(|s| s.stable))
    }
}
