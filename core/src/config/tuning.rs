//! Pace and limits of reading: profiles, and the keys that override them one by one.
//! It must not know who obeys them.

use serde::Serialize;

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
}

impl Profile {
    /// Rows of a batch where no key says otherwise.
    pub fn batch_rows(self) -> usize {
        match self {
            Self::Fast => 50_000,
            Self::Balanced => 10_000,
            Self::Safe => 2_000,
        }
    }
}

impl Tuning {
    /// Rows that one pause of `throttle_ms` pays for: the batch size in rows, the profile's when it is set in bytes.
    pub fn throttle_rows(&self) -> usize {
        self.batch_rows.unwrap_or_else(|| self.profile.batch_rows())
    }
}
