//! The keys of an export: each is a field, and its comment is what users read of it. What its schema says of values, the checker
//! proves before an export is made of them. It must not know which formats, destinations or engines there are.

use std::collections::BTreeMap;

use rivet_plugin_api::{Choices, ColumnChoice, Distance, LogicalType, Policies, Relation, TypesMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::meta_columns::{MetaChoice, MetaColumns, meta_columns};
use super::mode::{ChunkKeys, Incremental, Mode, ModeWord, WindowKeys};
use super::options::PluginConfig;
use super::patterns::{TablePattern, Tables};
use super::promises::{Consistent, DriftPolicy, Verify};
use super::quality::Quality;
use super::tuning::Tuning;
use super::types;
use crate::partition::Granularity;

/// One export: what is read, how it is encoded, where it goes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(
    extend(
        "required" = ["name", "destination"],
        "exclusive" = [
            [["table"], ["tables"], ["query"], ["query_file"]],
            [["select"], ["exclude"]],
            [["compression"], ["format.compression"], ["compression_profile"]],
            [["compression_level"], ["format.compression_level"], ["compression_profile"]],
            [["chunk_size"], ["chunk_count"], ["chunk_size_memory_mb"], ["chunk_by_days"]],
            [["chunk_dense"], ["chunk_count"], ["chunk_size_memory_mb"], ["chunk_by_days"]],
            [["chunk_by_key"], ["chunk_count"], ["chunk_size_memory_mb"], ["chunk_by_days"]],
            [["chunk_column"], ["chunk_by_key"]],
        ],
        "dependentRequired" = { "exclude_tables": ["tables"], "partition_granularity": ["partition_by"] }
    )
)]
pub struct ExportConfig {
    /// Name of the export; it becomes part of file names.
    #[serde(default)]
    #[schemars(extend(
        "reads" = "export-name",
        "pattern" = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$",
        "missing" = "each export has a name of its own"
    ))]
    pub name: String,
    /// `name` or `schema.name`; a part with dots stands in double quotes.
    #[schemars(with = "Option<String>", extend("reads" = "table"))]
    pub(super) table: Option<Relation>,
    /// Read every table that one of these patterns matches, each as an export of its own.
    #[schemars(length(min = 1))]
    pub tables: Option<Vec<TablePattern>>,
    /// With `tables`: but none that one of these matches.
    #[schemars(length(min = 1))]
    pub(super) exclude_tables: Option<Vec<TablePattern>>,
    /// A SELECT statement; `${rivet.filter}` marks where a condition goes.
    #[schemars(with = "Option<String>", extend("reads" = "query"))]
    pub(super) query: Option<Relation>,
    /// File that holds the query, in the config's folder or below.
    #[schemars(length(min = 1))]
    pub(super) query_file: Option<String>,
    /// What is read; where `tables` says it, how messages call it.
    #[serde(skip, default = "nothing")]
    pub relation: Relation,
    /// What of relation and condition may be kept.
    #[serde(skip)]
    pub written: Written,
    /// Read these columns, in this order.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    select: Option<Vec<String>>,
    /// Read all columns but these.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    exclude: Option<Vec<String>>,
    /// A condition on the rows of a table, in the source's own language.
    #[serde(rename = "where")]
    #[schemars(length(min = 1), extend("reads" = "condition"))]
    pub condition: Option<String>,
    /// Which rows are read.
    #[serde(default, rename = "mode")]
    pub(super) mode_word: ModeWord,
    /// Mode incremental, which needs it: the column that grows.
    #[schemars(length(min = 1), extend("only_in" = "incremental"))]
    pub(super) cursor_column: Option<String>,
    /// Mode incremental: stands in for the cursor column where that is NULL.
    #[schemars(length(min = 1), extend("only_in" = "incremental"))]
    pub(super) cursor_fallback_column: Option<String>,
    /// Mode incremental: what the cursor is: `cursor_column` alone, or that and the fallback where it is NULL. By default what
    /// the other two keys say.
    #[schemars(extend("only_in" = "incremental"))]
    pub(super) incremental_cursor_mode: Option<CursorMode>,
    /// Mode incremental: how far below the stored cursor each run looks for rows that were committed late: a time such as 15m, or a whole
    /// number for a cursor of numbers.
    #[schemars(with = "Option<u64>", extend("reads" = "distance", "only_in" = "incremental"))]
    lookback: Option<Distance>,
    /// Mode incremental: what happens to rows without a cursor.
    #[serde(default)]
    #[schemars(extend("only_in" = "incremental"))]
    null_cursor: NullCursor,
    #[serde(flatten)]
    pub(super) chunks: ChunkKeys,
    #[serde(flatten)]
    pub(super) window: WindowKeys,
    /// How long after its last finished piece a run that was killed is gone on with, s, or with a unit such as 12h; one that was left
    /// for longer starts anew. Mode chunked, and what else is read in ranges of a key.
    #[serde(rename = "resume_within", default = "half_a_day")]
    #[schemars(range(min = 0, max = 31_536_000), extend("reads" = "s", "default" = "12h"))]
    pub resume_within_ms: u64,
    /// Whether the files of a run may hold more than one state of the source.
    #[serde(default)]
    pub consistency: Consistent,
    /// When in a run: exports of a lower wave end before those of a higher one begin; those without one come last.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub wave: Option<u32>,
    /// Whether other exports of its wave may run at the same time, where exports run in parallel.
    #[serde(default = "yes")]
    pub parallel_safe: bool,
    /// Workers that read at once. `tuning.max_connections` may allow fewer.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub parallel: usize,
    /// Pace and limits, in `source`, `defaults` and each export, key by key: the export's counts most.
    pub tuning: Tuning,
    /// Types and policies by column.
    #[serde(default)]
    columns: BTreeMap<String, ColumnConfig>,
    /// What happens to values that have no exact place.
    #[serde(default)]
    policies: Policies,
    /// How parts are encoded: a name, or a block with `type` and options.
    #[schemars(extend(
        "shorthand" = "type",
        "expected" = "the name of a format, or a block with `type`",
        "default" = DEFAULT_FORMAT
    ))]
    pub format: PluginConfig,
    /// Compression of the format; the same as its own option.
    pub compression: Option<String>,
    /// Level of that compression.
    pub compression_level: Option<i64>,
    /// Codec and level by what they are for, instead of naming both.
    pub compression_profile: Option<CompressionProfile>,
    /// Size of a file as it is stored, compressed if it is, in bytes or with a unit: parts end at about 94 % of it, and
    /// beyond it only for a single long row; 256 MiB where the destination holds objects, and no limit where it holds a
    /// stream.
    #[serde(rename = "max_file_size")]
    #[schemars(range(min = 1, max = 1_125_899_906_842_624_u64), extend("reads" = "bytes"))]
    pub max_file_bytes: Option<u64>,
    /// Write no part when there are no rows, and call the run skipped. Otherwise an empty run writes one part that holds only the
    /// schema; in mode incremental it writes none. A single file (`type: file`) that an earlier run wrote stays as it was then.
    #[serde(default)]
    pub skip_empty: bool,
    /// Mode full: after a good run, complete runs of this export in its destination are removed, but for so many of the newest.
    /// Where `path` has `{run_id}` each run has a folder of its own, and finds no other.
    #[schemars(range(min = 1, max = 1_000_000), extend("only_in" = "full"))]
    pub keep_runs: Option<usize>,
    /// Each value of this column gets a folder of its own, as `country=DE/`, NULL the folder `__HIVE_DEFAULT_PARTITION__`; the column
    /// itself is then in no file, since readers take it from the folder. For a timestamp say what of it with `partition_granularity`.
    #[schemars(length(min = 1))]
    pub partition_by: Option<String>,
    /// Days, months or years of a date or timestamp (in UTC where it has a zone) get the folders, as `created_at_month=2026-11/`;
    /// the column stays in the files, since they say more of it than folders do.
    pub partition_granularity: Option<Granularity>,
    /// Which Arrow forms are written.
    #[serde(default)]
    pub types: TypesMode,
    /// Columns that Rivet adds: all, none, a list of them, or each with true or false. `_rivet_exported_at` is when the run started, `_rivet_row_hash` a hash
    /// of all values of the row.
    #[serde(default, deserialize_with = "meta_columns")]
    #[schemars(
        with = "MetaChoice",
        extend("expected" = "true, false, a list of columns, or a block such as {row_hash: true}", "default" = false)
    )]
    pub meta_columns: MetaColumns,
    /// What happens when the schema is not that of the last good run.
    #[serde(default)]
    pub on_schema_drift: DriftPolicy,
    /// How closely a run looks at what it wrote before it says that it is complete.
    #[serde(default)]
    pub verify: Verify,
    /// What the exported rows have to be like. A run that breaks a rule ends with exit code 3, and publishes nothing.
    #[serde(default)]
    pub quality: Quality,
    /// Where parts go.
    #[serde(default)]
    #[schemars(extend("missing" = "say where parts go: `destination: {type: local, path: out}`"))]
    pub destination: PluginConfig,
}

/// Format of exports that name none.
pub(super) const DEFAULT_FORMAT: &str = "parquet";

fn nothing() -> Relation {
    Relation::Query { sql: String::new() }
}

fn one() -> usize {
    1
}

fn half_a_day() -> u64 {
    12 * 3_600_000
}

fn yes() -> bool {
    true
}

/// What an export reads, as it stands in the file: values of variables, which may be secrets, are not in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The relation.
    pub relation: Relation,
    /// The condition on its rows.
    pub condition: Option<String>,
}

impl Default for Written {
    fn default() -> Self {
        Self { relation: nothing(), condition: None }
    }
}

/// Which columns the cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CursorMode {
    /// `cursor_column` alone.
    SingleColumn,
    /// `cursor_column`, and `cursor_fallback_column` where that is NULL.
    Coalesce,
}

/// What compression is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompressionProfile {
    /// Uncompressed: to look at files, or where something else compresses them.
    None,
    /// Snappy: little work, larger files.
    Fast,
    /// Zstandard, level 3: what suits most.
    Balanced,
    /// Zstandard, level 9: small files, more work.
    Compact,
}

impl CompressionProfile {
    /// Codec and level that it stands for.
    pub(super) fn codec(self) -> (&'static str, Option<i64>) {
        match self {
            Self::None => ("none", None),
            Self::Fast => ("snappy", None),
            Self::Balanced => ("zstd", Some(3)),
            Self::Compact => ("zstd", Some(9)),
        }
    }
}

/// What happens to rows whose cursor is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NullCursor {
    /// The run stops.
    #[default]
    Error,
    /// Every run exports them all.
    Include,
}

/// Type and policies of the column.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(extend("shorthand" = "type", "expected" = "a type such as `text` or `decimal(18,2)`, or a block of keys"))]
struct ColumnConfig {
    /// A type such as `text` or `decimal(18,2)`.
    #[serde(rename = "type")]
    #[schemars(
        with = "Option<String>",
        extend(
            "reads" = "column-type",
            "expected" = "a type such as `text` or `decimal(18,2)`",
            "pattern" = types::pattern()
        )
    )]
    logical: Option<LogicalType>,
    /// The type may change values.
    #[serde(default)]
    lossy: bool,
    #[serde(flatten)]
    policies: Policies,
}

/// Which columns an export reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// All, in the relation's order.
    #[default]
    All,
    /// These, in this order.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl ExportConfig {
    /// The export stands for one export of each table that these mean.
    pub fn group(&self) -> Option<Tables> {
        let except = self.exclude_tables.clone().unwrap_or_default();
        self.tables.clone().map(|patterns| Tables { patterns, except })
    }

    /// The export of one table of the group.
    #[must_use]
    pub fn of_table(&self, name: String, relation: Relation) -> Self {
        let written = Written { relation: relation.clone(), ..self.written.clone() };
        Self { name, relation, written, tables: None, exclude_tables: None, ..self.clone() }
    }

    /// Which rows are read.
    pub fn mode(&self) -> Mode {
        match self.mode_word {
            ModeWord::Full => Mode::Full,
            ModeWord::Incremental => Mode::Incremental(Incremental {
                key: [&self.cursor_column, &self.cursor_fallback_column].into_iter().flatten().cloned().collect(),
                lookback: self.lookback,
                nulls: self.null_cursor,
            }),
            ModeWord::Chunked => Mode::Chunked(self.chunks.mode()),
            ModeWord::TimeWindow => Mode::TimeWindow(self.window.mode()),
        }
    }

    /// Why nothing is kept of a run that died, where the config says so.
    pub fn why_not_kept(&self) -> Option<&'static str> {
        if self.consistency == Consistent::Required {
            Some("`consistency: required`")
        } else if self.chunks.chunk_checkpoint == Some(false) {
            Some("`chunk_checkpoint: false`")
        } else {
            None
        }
    }

    /// Attempts at each chunk, where the mode has chunks and the config says how many.
    pub fn max_attempts(&self) -> Option<u32> {
        self.chunks.chunk_max_attempts
    }

    /// Which columns are read.
    pub fn select(&self) -> Select {
        match (&self.select, &self.exclude) {
            (Some(names), _) => Select::Only(names.clone()),
            (None, Some(names)) => Select::Except(names.clone()),
            (None, None) => Select::All,
        }
    }

    /// Types and value policies.
    pub fn choices(&self) -> Choices {
        let choice = |column: &ColumnConfig| ColumnChoice {
            logical: column.logical.clone(),
            lossy: column.lossy,
            policies: column.policies,
        };
        let columns = self.columns.iter().map(|(name, column)| (name.clone(), choice(column))).collect();
        Choices { policies: self.policies, columns, ..Choices::default() }
    }
}
