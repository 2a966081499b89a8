//! The modes of an export, and the keys that belong to one of them.
//! It must not know how a mode reads.

use rivet_plugin_api::{Distance, Told};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::export::NullCursor;

/// Rows in a chunk, where the config says nothing.
const DEFAULT_CHUNK_ROWS: u64 = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ModeWord {
    /// All of them, in every run.
    #[default]
    Full,
    /// What came since the last good run.
    Incremental,
    /// All of them, in every run, in ranges of a key that are read, retried and counted each for itself.
    Chunked,
    /// Those of the last days, by the server's clock.
    TimeWindow,
}

impl ModeWord {
    /// As the config has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Chunked => "chunked",
            Self::TimeWindow => "time_window",
        }
    }
}

/// One column, or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Names {
    One(#[schemars(length(min = 1))] String),
    Many(#[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))] Vec<String>),
}

impl Names {
    fn list(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::Many(names) => names.clone(),
        }
    }
}

/// Keys of mode chunked.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ChunkKeys {
    /// Mode chunked: the column that the relation is cut along, or a list of columns that are compared as one row; the primary key
    /// where it is not said. An index on it makes chunks cheap.
    #[schemars(extend("only_in" = "chunked", "expected" = "a column, or a list of columns"))]
    chunk_column: Option<Names>,
    /// Mode chunked: about so many rows in a chunk; 100 000 where nothing is said.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64), extend("only_in" = "chunked"))]
    chunk_size: Option<u64>,
    /// Mode chunked: so many chunks of about the same number of rows.
    #[schemars(range(min = 1, max = 100_000), extend("only_in" = "chunked"))]
    chunk_count: Option<usize>,
    /// Mode chunked: about so many megabytes in a chunk, by the source's statistics.
    #[schemars(range(min = 1, max = 1_000_000_000), extend("only_in" = "chunked"))]
    chunk_size_memory_mb: Option<u64>,
    /// Mode chunked: so many days in a chunk, for a column of dates or timestamps.
    #[schemars(range(min = 1, max = 4_000_000), extend("only_in" = "chunked"))]
    chunk_by_days: Option<u32>,
    /// Mode chunked: as `chunk_column`, and each chunk holds `chunk_size` rows, counted along the index of this key. Choose a unique
    /// one: rows of one key are never parted.
    #[schemars(extend("only_in" = "chunked", "expected" = "a column, or a list of columns"))]
    chunk_by_key: Option<Names>,
    /// Mode chunked: each chunk holds `chunk_size` rows, counted, however the values of the key are spread.
    #[schemars(extend("only_in" = "chunked"))]
    chunk_dense: bool,
    /// Mode chunked: the next run after one that was killed keeps the chunks which that one had finished. With `false` it reads all again.
    #[schemars(extend("only_in" = "chunked", "default" = true))]
    pub(super) chunk_checkpoint: Option<bool>,
    /// Mode chunked: attempts at each chunk, the first included; otherwise one more than `tuning.max_retries`.
    #[schemars(range(min = 1, max = 1000), extend("only_in" = "chunked"))]
    pub(super) chunk_max_attempts: Option<u32>,
}

impl ChunkKeys {
    pub(super) fn mode(&self) -> Chunked {
        let rows = self.chunk_size.unwrap_or(DEFAULT_CHUNK_ROWS);
        let chunks = match (self.chunk_count, self.chunk_size_memory_mb, self.chunk_by_days) {
            (Some(n), ..) => Chunks::Count(n),
            (_, Some(mb), _) => Chunks::Megabytes(mb),
            (.., Some(days)) => Chunks::Days(days),
            _ if self.chunk_dense || self.chunk_by_key.is_some() => Chunks::Counted(rows),
            _ => Chunks::Rows(rows),
        };
        let key = self.chunk_by_key.as_ref().or(self.chunk_column.as_ref());
        Chunked { key: key.map(Names::list).unwrap_or_default(), chunks }
    }
}

/// Keys of mode time_window.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WindowKeys {
    /// Mode time_window, which needs it: the column that says when a row is from.
    #[schemars(length(min = 1), extend("only_in" = "time_window"))]
    time_column: Option<String>,
    /// Mode time_window: how that column tells the time.
    #[schemars(extend("only_in" = "time_window"))]
    time_column_type: Told,
    /// Mode time_window, which needs it: so many days up to now are read.
    #[schemars(range(min = 1, max = 4_294_967_295_u64), extend("only_in" = "time_window"))]
    days_window: Option<u32>,
    /// Mode time_window: with `day` whole days are read, up to the last midnight; otherwise up to this moment.
    #[schemars(extend("only_in" = "time_window"))]
    align: Option<Align>,
    /// Mode time_window: the zone of midnight, and of columns that have none: a name such as `Europe/Berlin`, as the server knows it,
    /// or a distance such as `+02:00`.
    #[schemars(length(min = 1), extend("only_in" = "time_window", "default" = UTC))]
    time_zone: Option<String>,
}

const UTC: &str = "UTC";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Align {
    /// At midnight.
    Day,
}

impl WindowKeys {
    pub(super) fn mode(&self) -> TimeWindow {
        TimeWindow {
            column: self.time_column.clone().unwrap_or_default(),
            told: self.time_column_type,
            days: self.days_window.unwrap_or(1),
            at_midnight: self.align == Some(Align::Day),
            time_zone: self.time_zone.clone().unwrap_or_else(|| UTC.to_owned()),
        }
    }
}

/// Which rows an export reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The whole relation, every run.
    #[default]
    Full,
    /// What came since the last good run.
    Incremental(Incremental),
    /// The whole relation, every run, in ranges of a key.
    Chunked(Chunked),
    /// The rows of the last days.
    TimeWindow(TimeWindow),
}

/// How an incremental export finds what is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incremental {
    /// The cursor: the first of these columns that is not NULL. One or two.
    pub key: Vec<String>,
    /// Mode incremental: how far below the stored cursor each run looks for rows that were committed late.
    pub lookback: Option<Distance>,
    /// What happens to rows without a cursor.
    pub nulls: NullCursor,
}

/// How a chunked export is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunked {
    /// Columns that are compared as one row; the primary key when empty.
    pub key: Vec<String>,
    /// How large chunks are.
    pub chunks: Chunks,
}

/// How large chunks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunks {
    /// About so many rows.
    Rows(u64),
    /// So many rows, counted.
    Counted(u64),
    /// So many chunks.
    Count(usize),
    /// About so many megabytes.
    Megabytes(u64),
    /// So many days.
    Days(u32),
}

/// Which rows are of the last days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeWindow {
    /// The column that says when a row is from.
    pub column: String,
    /// How it tells the time.
    pub told: Told,
    /// So many days before the end.
    pub days: u32,
    /// The end is the last midnight, and not now.
    pub at_midnight: bool,
    /// The zone of midnight, and of columns without one.
    pub time_zone: String,
}
