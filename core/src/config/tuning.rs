//! Pace and limits of reading: profiles, and the keys that override them one by one.
//! It must not know who obeys them.

use std::fmt;

use serde::Serialize;

use super::section::{Cx, Section};
use super::units::{MIB, Unit};

/// How hard the source may be worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// As fast as it goes: for replicas and idle servers.
    Fast,
    /// Gentle enough for a server that others use.
    #[default]
    Balanced,
    /// For a production server under load.
    Safe,
}

/// Pace and limits, with every default settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tuning {
    /// Where the values come from that no key names.
    pub profile: Profile,
    /// Most rows in a batch (`batch_size`); absent when `batch_bytes` is set.
    pub batch_rows: Option<usize>,
    /// Arrow bytes in a batch (`batch_size_memory_mb`); absent when `batch_rows` is set.
    pub batch_bytes: Option<u64>,
    /// Pause per [`throttle_rows`](Self::throttle_rows) rows read, ms; 0 = none.
    pub throttle_ms: u64,
    /// Longest a statement may take, ms; 0 = no limit.
    pub statement_timeout_ms: u64,
    /// Longest wait for a lock, ms; 0 = no limit.
    pub lock_timeout_ms: u64,
    /// Attempts after the first, per split.
    pub max_retries: u32,
    /// Pause before the first retry, ms; doubled each time.
    pub retry_backoff_ms: u64,
    /// Largest value to accept, bytes; 0 = no limit.
    pub max_value_bytes: u64,
    /// Byte budget of the whole process while this export runs, over all workers, writers and upload buffers.
    pub memory_bytes: u64,
    /// Most server connections at once; no limit of its own when absent.
    pub max_connections: Option<usize>,
    /// Which of the last sizes the config names: what it does not name follows the other one.
    #[serde(skip)]
    pub named: Named,
}

/// Sizes that the config names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// `max_value_mb`
    pub max_value: bool,
    /// `memory_mb`
    pub memory: bool,
}

/// What a profile sets.
struct Row {
    batch_rows: usize,
    throttle_ms: u64,
    statement_timeout_ms: u64,
    lock_timeout_ms: u64,
    max_retries: u32,
    retry_backoff_ms: u64,
}

impl Profile {
    fn row(self) -> Row {
        let (batch_rows, throttle_ms, statement_timeout_ms, lock_timeout_ms, max_retries, retry_backoff_ms) = match self
        {
            Self::Fast => (50_000, 0, 0, 0, 1, 1_000),
            Self::Balanced => (10_000, 50, 300_000, 30_000, 3, 2_000),
            Self::Safe => (2_000, 500, 120_000, 10_000, 5, 5_000),
        };
        Row { batch_rows, throttle_ms, statement_timeout_ms, lock_timeout_ms, max_retries, retry_backoff_ms }
    }

    /// Its word in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Safe => "safe",
        }
    }

    /// Rows of a batch where no key says otherwise.
    pub fn batch_rows(self) -> usize {
        self.row().batch_rows
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Tuning {
    /// What holds where no key but the profile is given.
    pub(super) fn of(profile: Profile) -> Self {
        Patch { profile: Some(profile), ..Patch::default() }.settle()
    }

    /// A server that sends nothing for so long while it is read is taken for lost, ms: a statement is over by then.
    pub fn no_progress_timeout_ms(&self) -> u64 {
        match self.statement_timeout_ms {
            0 => MAX_SILENCE_MS,
            limit => limit + SILENCE_SLACK_MS,
        }
    }

    /// Rows that one pause of `throttle_ms` pays for: the batch size in rows, the profile's when it is set in bytes.
    pub fn throttle_rows(&self) -> usize {
        self.batch_rows.unwrap_or_else(|| self.profile.batch_rows())
    }
}

/// The keys of a `tuning` block.
pub(super) const KEYS: &[&str] = &[
    "profile",
    "batch_size",
    "batch_size_memory_mb",
    "throttle_ms",
    "statement_timeout_s",
    "lock_timeout_s",
    "max_retries",
    "retry_backoff_ms",
    "max_value_mb",
    "max_connections",
    "memory_mb",
];

/// Longest duration that every engine takes, ms.
const MAX_MS: u64 = i32::MAX as u64;
/// Largest size that means anything, bytes.
const MAX_BYTES: u64 = 1 << 50;
/// Below this a process cannot hold its own code and one batch, bytes.
const MIN_MEMORY_BYTES: u64 = 32 * MIB;

/// What a statement's end, and what comes after it, may take on its way here, ms.
const SILENCE_SLACK_MS: u64 = 30_000;
/// Longest silence where a statement may take as long as it likes, ms.
const MAX_SILENCE_MS: u64 = 600_000;
const DEFAULT_MEMORY_BYTES: u64 = 256 * MIB;
const DEFAULT_MAX_VALUE_BYTES: u64 = 64 * MIB;

/// The size of a batch: rows and bytes are two words for one setting, so a later level's word replaces the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batch {
    Rows(usize),
    Bytes(u64),
}

/// The keys that one level sets.
#[derive(Debug, Clone, Default)]
pub(super) struct Patch {
    profile: Option<Profile>,
    batch: Option<Batch>,
    throttle_ms: Option<u64>,
    statement_timeout_ms: Option<u64>,
    lock_timeout_ms: Option<u64>,
    max_retries: Option<u32>,
    retry_backoff_ms: Option<u64>,
    max_value_bytes: Option<u64>,
    memory_bytes: Option<u64>,
    max_connections: Option<usize>,
}

impl Patch {
    pub(super) fn read(block: &Section, cx: &mut Cx) -> Self {
        block.refuse_unknown(KEYS, cx);
        block.exclusive("batch_size", "batch_size_memory_mb", cx);
        let rows = block.whole("batch_size", 1..=100_000_000, cx).map(|n| Batch::Rows(to_usize(n)));
        let bytes = block.measure("batch_size_memory_mb", Unit::Bytes(MIB), MIB..=MAX_BYTES, cx).map(Batch::Bytes);
        let profiles = [Profile::Fast, Profile::Balanced, Profile::Safe].map(|p| (p.as_str(), p));
        let retries = block.whole("max_retries", 0..=1000, cx);
        Self {
            profile: block.choice("profile", &profiles, cx),
            batch: rows.or(bytes),
            throttle_ms: block.measure("throttle_ms", Unit::Ms(1), 0..=MAX_MS, cx),
            statement_timeout_ms: block.measure("statement_timeout_s", Unit::Ms(1000), 0..=MAX_MS, cx),
            lock_timeout_ms: block.measure("lock_timeout_s", Unit::Ms(1000), 0..=MAX_MS, cx),
            max_retries: retries.and_then(|n| u32::try_from(n).ok()),
            retry_backoff_ms: block.measure("retry_backoff_ms", Unit::Ms(1), 0..=MAX_MS, cx),
            max_value_bytes: block.measure("max_value_mb", Unit::Bytes(MIB), 0..=MAX_BYTES, cx),
            memory_bytes: block.measure("memory_mb", Unit::Bytes(MIB), MIN_MEMORY_BYTES..=MAX_BYTES, cx),
            max_connections: block.whole("max_connections", 1..=10_000, cx).map(to_usize),
        }
    }

    /// These keys, and those of `base` where these are silent.
    pub(super) fn over(self, base: &Self) -> Self {
        Self {
            profile: self.profile.or(base.profile),
            batch: self.batch.or(base.batch),
            throttle_ms: self.throttle_ms.or(base.throttle_ms),
            statement_timeout_ms: self.statement_timeout_ms.or(base.statement_timeout_ms),
            lock_timeout_ms: self.lock_timeout_ms.or(base.lock_timeout_ms),
            max_retries: self.max_retries.or(base.max_retries),
            retry_backoff_ms: self.retry_backoff_ms.or(base.retry_backoff_ms),
            max_value_bytes: self.max_value_bytes.or(base.max_value_bytes),
            memory_bytes: self.memory_bytes.or(base.memory_bytes),
            max_connections: self.max_connections.or(base.max_connections),
        }
    }

    /// Everything settled.
    pub(super) fn settle(&self) -> Tuning {
        let profile = self.profile.unwrap_or_default();
        let row = profile.row();
        let (batch_rows, batch_bytes) = match self.batch {
            Some(Batch::Bytes(bytes)) => (None, Some(bytes)),
            Some(Batch::Rows(rows)) => (Some(rows), None),
            None => (Some(profile.batch_rows()), None),
        };
        Tuning {
            profile,
            batch_rows,
            batch_bytes,
            throttle_ms: self.throttle_ms.unwrap_or(row.throttle_ms),
            statement_timeout_ms: self.statement_timeout_ms.unwrap_or(row.statement_timeout_ms),
            lock_timeout_ms: self.lock_timeout_ms.unwrap_or(row.lock_timeout_ms),
            max_retries: self.max_retries.unwrap_or(row.max_retries),
            retry_backoff_ms: self.retry_backoff_ms.unwrap_or(row.retry_backoff_ms),
            max_value_bytes: self.max_value_bytes.unwrap_or(DEFAULT_MAX_VALUE_BYTES),
            memory_bytes: self.memory_bytes.unwrap_or(DEFAULT_MEMORY_BYTES),
            max_connections: self.max_connections,
            named: Named { max_value: self.max_value_bytes.is_some(), memory: self.memory_bytes.is_some() },
        }
    }
}

/// Numbers here are bounded far below what any platform's `usize` holds.
pub(super) fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_ends_soon_after_a_statement_must() {
        let limit = |profile| Tuning::of(profile).no_progress_timeout_ms();
        assert_eq!([Profile::Fast, Profile::Balanced, Profile::Safe].map(limit), [600_000, 330_000, 150_000]);
    }
}
