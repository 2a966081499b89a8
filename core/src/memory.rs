//! The one byte budget of a process, shared out to batches, row groups and buffers.
//! It must not know formats or stores: it hands out sizes.

/// Sizes for one worker, bytes. Each has a floor below which an export only gets slower, and a ceiling above which
/// more memory buys nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// A batch is cut at this size.
    pub max_batch_bytes: usize,
    /// Batches waiting between reading and encoding.
    pub read_ahead_bytes: usize,
    /// What a writer may hold before it ends a row group.
    pub max_buffered_bytes: usize,
    /// Encoded bytes waiting for the upload.
    pub upload_ahead_bytes: usize,
}

/// What the process needs before the first batch: code, libraries, connections, state.
const BASE_BYTES: u64 = 24 << 20;
const MIB: u64 = 1 << 20;

/// Shares of `memory_bytes` for each of `workers` workers.
pub fn shares(memory_bytes: u64, workers: usize) -> Shares {
    let each = memory_bytes.saturating_sub(BASE_BYTES) / workers.max(1) as u64;
    let share = |part: u64, floor: u64, ceiling: u64| {
        usize::try_from((each / part).clamp(floor, ceiling)).unwrap_or(usize::MAX)
    };
    Shares {
        max_batch_bytes: share(16, 256 * 1024, MIB),
        read_ahead_bytes: share(16, 256 * 1024, 5 * MIB),
        max_buffered_bytes: share(4, 2 * MIB, 12 * MIB),
        upload_ahead_bytes: share(32, 256 * 1024, 2 * MIB),
    }
}

/// Highest resident memory of this process so far, bytes; 0 where the system does not say.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_workers_share_the_same_budget() {
        for workers in [1, 2, 4] {
            let s = shares(256 * MIB, workers);
            let all = workers as u64
                * (2 * s.max_batch_bytes + s.read_ahead_bytes + s.max_buffered_bytes + s.upload_ahead_bytes) as u64;
            assert!(all + BASE_BYTES <= 256 * MIB, "{workers}: {s:?}");
        }
    }

    #[test]
    fn a_tiny_budget_still_works() {
        assert_eq!(shares(0, 8).max_batch_bytes, 256 * 1024);
    }
}
