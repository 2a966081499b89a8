//! The keys of `tuning`, pace and limits of reading, and what the profiles say of them.
//! It must not know who obeys them.

use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How hard the source may be worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// As fast as it goes: for replicas and idle servers.
    Fast,
    /// Gentle enough for a server that others use.
    #[default]
    Balanced,
    /// For a production server under load. What is read in ranges of a key is read in many short snapshots.
    Safe,
}

/// What a batch does that takes more memory than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBatchMemory {
    /// It is told.
    #[default]
    Warn,
    /// It ends the run.
    Fail,
    /// Batches are cut at that size; a single row that is longer is told.
    AutoShrink,
}

/// How hard the source is worked, and how much memory is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(
    rename = "tuning",
    transform = by_profile,
    extend("exclusive" = [[["batch_size"], ["batch_size_memory_mb"]]])
)]
pub struct Tuning {
    /// Where the values come from that no key names.
    #[serde(default)]
    pub profile: Profile,
    /// Most rows in a batch.
    #[serde(rename = "batch_size")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub batch_rows: Option<usize>,
    /// Size of a batch, MiB, or with a unit; instead of `batch_size`.
    #[serde(rename = "batch_size_memory_mb")]
    #[schemars(range(min = 1, max = MAX_MIB), extend("reads" = "MiB"))]
    pub batch_bytes: Option<u64>,
    /// Pause after each batch of rows, ms, or with a unit; 0 = none. A value that you set is kept exactly. The pauses of a profile
    /// together last at most half as long as the source has worked (safe: nine times as long).
    #[schemars(range(min = 0, max = MAX_MS), extend("reads" = "ms"))]
    pub throttle_ms: u64,
    /// Longest a statement may take, s, or with a unit; 0 = no limit. Large tables are read in pieces that stay below it.
    /// A server that is silent for 30 s longer is lost; without a limit, after 10 minutes.
    #[serde(rename = "statement_timeout_s")]
    #[schemars(range(min = 0, max = MAX_S), extend("reads" = "s"))]
    pub statement_timeout_ms: u64,
    /// Longest wait for a lock, s, or with a unit; 0 = no limit.
    #[serde(rename = "lock_timeout_s")]
    #[schemars(range(min = 0, max = MAX_S), extend("reads" = "s"))]
    pub lock_timeout_ms: u64,
    /// Attempts after the first, per split.
    #[schemars(range(min = 0, max = 1000))]
    pub max_retries: u32,
    /// Longest pause before the first retry, ms, or with a unit; doubled each time, up to a minute. The pause is chosen at random
    /// between half of it and all of it.
    #[schemars(range(min = 0, max = MAX_MS), extend("reads" = "ms"))]
    pub retry_backoff_ms: u64,
    /// Largest value to accept, MiB, or with a unit; 0 = no limit. Where `memory_mb` holds no value of this size, it is as
    /// large as it holds; naming both so is an error.
    #[serde(rename = "max_value_mb", default = "max_value_bytes")]
    #[schemars(range(min = 0, max = MAX_MIB), extend("reads" = "MiB", "default" = MAX_VALUE_MIB))]
    pub max_value_bytes: u64,
    /// Byte budget of the whole process, over all workers, writers and upload buffers, MiB, or with a unit. A long value
    /// counts five times in each worker, beside 40 MiB; with `max_value_mb` alone the budget is as large as it needs. Where you
    /// set it, all that run with the same state on this machine share it.
    #[serde(rename = "memory_mb", default = "memory_bytes")]
    #[schemars(range(min = MIN_MEMORY_MIB, max = MAX_MIB), extend("reads" = "MiB", "default" = MEMORY_MIB))]
    pub memory_bytes: u64,
    /// While the process holds more than this, MiB, or with a unit, reading waits for what was read to be written, and where that
    /// is not enough one worker after the other ends between two splits.
    #[serde(rename = "memory_threshold_mb")]
    #[schemars(range(min = MIN_MEMORY_MIB, max = MAX_MIB), extend("reads" = "MiB"))]
    pub memory_threshold_bytes: Option<u64>,
    /// Size that a batch is not to exceed, MiB, or with a unit. Batches are cut at 1 MiB or less: only a single long row makes a
    /// larger one.
    #[serde(rename = "max_batch_memory_mb")]
    #[schemars(range(min = 1, max = MAX_MIB), extend("reads" = "MiB"))]
    pub max_batch_memory_bytes: Option<u64>,
    /// What a batch does that is larger than `max_batch_memory_mb`.
    #[serde(default)]
    pub on_batch_memory_exceeded: OnBatchMemory,
    /// Watch what others suffer on the server: while sessions wait or replicas fall behind, reading pauses longer and longer, and
    /// workers end between two splits. It takes one more connection, and slows nothing on a server that is quiet.
    #[serde(default)]
    pub adaptive: bool,
    /// Most server connections at once, one of which plans and holds the snapshot, over all exports of the source that run
    /// with the same state on this machine; absent, there are as many as `parallel` needs.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_connections: Option<usize>,
    /// Which of the sizes the config names: what it does not name follows the other one.
    #[serde(default)]
    #[schemars(skip)]
    pub named: Named,
}

/// Sizes that the config names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    /// `max_value_mb`
    pub max_value: bool,
    /// `memory_mb`
    pub memory: bool,
    /// `throttle_ms`
    #[serde(default)]
    pub throttle: bool,
}

/// How long pauses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// Pause per [`rows`](Self::rows) read, ms.
    pub ms: u64,
    /// Rows that a pause is for, at least 1.
    pub rows: usize,
    /// All pauses together are at most so many percent of the time that the source worked; without it they are as long as
    /// `ms` says.
    #[serde(default)]
    pub at_most_percent: Option<u64>,
}

impl Throttle {
    /// What reading so many rows, on which the source works for so long, costs in pauses, ms.
    pub fn pauses_ms(&self, rows: u64, worked_ms: u64) -> u64 {
        let all = rows.saturating_mul(self.ms) / self.rows.max(1) as u64;
        self.at_most_percent.map_or(all, |percent| all.min(worked_ms.saturating_mul(percent) / 100))
    }
}

/// Longest duration that every engine takes, ms and s.
const MAX_MS: u64 = i32::MAX as u64;
const MAX_S: u64 = MAX_MS / 1000;
/// Largest size that means anything, MiB.
const MAX_MIB: u64 = 1 << 30;
/// Below this a process cannot hold its own code and one batch, MiB.
const MIN_MEMORY_MIB: u64 = 32;
const MEMORY_MIB: u64 = 256;
const MAX_VALUE_MIB: u64 = 64;

fn memory_bytes() -> u64 {
    MEMORY_MIB << 20
}

fn max_value_bytes() -> u64 {
    MAX_VALUE_MIB << 20
}

/// Vacuum and changes of tables wait for snapshots: so long they may, ms. A split more comes on top.
const SAFE_SNAPSHOT_MS: u64 = 4_000;

/// What a statement's end, and what comes after it, may take on its way here, ms.
const SILENCE_SLACK_MS: u64 = 30_000;
/// Longest silence where a statement may take as long as it likes, ms.
const MAX_SILENCE_MS: u64 = 600_000;

impl Profile {
    /// All, the fastest first.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Balanced, Self::Safe];

    /// What it sets, in the units of the keys.
    fn row(self) -> (usize, u64, u64, u64, u64, u64) {
        match self {
            Self::Fast => (50_000, 0, 0, 0, 1, 1_000),
            Self::Balanced => (10_000, 50, 300, 30, 3, 2_000),
            Self::Safe => (2_000, 500, 120, 10, 5, 5_000),
        }
    }

    /// The keys that it sets: the lowest layer of all.
    pub(super) fn keys(self) -> Value {
        let (rows, throttle_ms, statement_timeout_s, lock_timeout_s, retries, backoff_ms) = self.row();
        json!({
            "batch_size": rows,
            "throttle_ms": throttle_ms,
            "statement_timeout_s": statement_timeout_s,
            "lock_timeout_s": lock_timeout_s,
            "max_retries": retries,
            "retry_backoff_ms": backoff_ms,
        })
    }

    /// Its word in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Safe => "safe",
        }
    }

    /// How long its pauses may be, in percent of the time that the source works.
    fn at_most_percent(self) -> u64 {
        match self {
            Self::Fast => 0,
            Self::Balanced => 50,
            Self::Safe => 900,
        }
    }

    /// How long one snapshot is read at most, ms, where the rest may be read in another one.
    fn snapshot_ms(self) -> Option<u64> {
        match self {
            Self::Fast | Self::Balanced => None,
            Self::Safe => Some(SAFE_SNAPSHOT_MS),
        }
    }

    /// Rows of a batch where no key says otherwise.
    pub fn batch_rows(self) -> usize {
        self.row().0
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says of each key what the profiles set, so that none of these is needed.
fn by_profile(schema: &mut Schema) {
    schema.remove("required");
    let rows = Profile::ALL.map(|profile| (profile, profile.keys()));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (key, property) in properties {
        if let (true, Some(about)) = (rows[0].1.get(key).is_some(), property["description"].as_str()) {
            let each = rows.each_ref().map(|(profile, row)| format!("{profile} {}", row[key]));
            property["description"] = format!("{about} By profile: {}.", each.join(", ")).into();
        }
    }
}

impl Tuning {
    /// A server that sends nothing for so long while it is read is taken for lost, ms: a statement is over by then.
    pub fn no_progress_timeout_ms(&self) -> u64 {
        match self.statement_timeout_ms {
            0 => MAX_SILENCE_MS,
            limit => limit + SILENCE_SLACK_MS,
        }
    }

    /// How long one snapshot is read at most, ms, where the rest may be read in another one; none where it does not matter.
    pub fn snapshot_ms(&self) -> Option<u64> {
        self.profile.snapshot_ms()
    }

    /// Pauses per batch in rows, or the profile's where it is set in bytes. What the config does not name itself keeps
    /// within the profile's share of the time that the source works.
    pub fn throttle(&self) -> Throttle {
        Throttle {
            ms: self.throttle_ms,
            rows: self.batch_rows.unwrap_or_else(|| self.profile.batch_rows()),
            at_most_percent: (!self.named.throttle).then(|| self.profile.at_most_percent()),
        }
    }
}
