//! The one byte budget of a process, shared out to batches, row groups and buffers.
//! It must not know formats or stores: it hands out sizes.

use crate::config::Tuning;
use crate::error::RunError;
use crate::plural;

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
    /// Rows that wait for the others of their partition.
    pub partition_bytes: usize,
    /// Parts that are written at the same time, one a partition.
    pub n_partitions: usize,
    /// What the writer of each of these may hold.
    pub partition_buffered_bytes: usize,
}

/// What the process needs before the first batch: code, libraries, connections, state, and what the allocator keeps. Measured with
/// 10 GB that four workers send to an object store in parts of 128 and of 256 MB.
const BASE_BYTES: u64 = 48 << 20;
const MIB: u64 = 1 << 20;
/// What the part of a partition needs at least while it is written, beside its upload.
const PARTITION_BYTES: u64 = 3 * MIB;
/// More parts at the same time make files no larger where rows come in some order.
const MAX_PARTITIONS: u64 = 16;
/// What a worker needs at least while it reads and encodes, beside its upload.
const WORKER_BYTES: u64 = 5 * MIB;
/// How often a value is in memory at once, in each worker: as the source received it, in its batch, and while it is encoded as
/// values of a page, as that page, and compressed. A value that is larger than what may wait goes alone through all of them.
const COPIES_OF_A_VALUE: u64 = 5;
/// What there is beside them: measured with values of 40 and of 60 MB that do not compress.
const BESIDE_VALUES_BYTES: u64 = 40 << 20;
/// Values of this size are taken however little memory there is: a batch is no smaller.
const MIN_VALUE_BYTES: u64 = MIB;

/// Values of this size are not given up for more exports at once.
const MODEST_VALUE_BYTES: u64 = 8 * MIB;

/// Largest value that `memory_bytes` hold in each of `workers` workers, bytes; whole MiB.
pub fn largest_value_bytes(memory_bytes: u64, workers: usize) -> u64 {
    let each = memory_bytes.saturating_sub(BESIDE_VALUES_BYTES) / COPIES_OF_A_VALUE / workers.max(1) as u64;
    (each / MIB * MIB).max(MIN_VALUE_BYTES)
}

/// Whether `n_at_once` exports with `workers` workers each, which share `memory_bytes`, can take values of `value_bytes` or at
/// least of such a size that a table without large values needs no more. With more of them the values would have to be smaller.
pub fn suffices(memory_bytes: u64, n_at_once: usize, value_bytes: u64, workers: usize) -> bool {
    value_bytes.min(MODEST_VALUE_BYTES) <= largest_value_bytes(share(memory_bytes, n_at_once), workers)
}

/// What each of `n_at_once` exports has of the memory of the process, bytes; together no more than all.
pub fn share(memory_bytes: u64, n_at_once: usize) -> u64 {
    memory_bytes / n_at_once.max(1) as u64
}

/// Memory that values of up to `value_bytes` take in `workers` workers, bytes; whole MiB.
pub fn memory_for_value_bytes(value_bytes: u64, workers: usize) -> u64 {
    let values =
        value_bytes.div_ceil(MIB).saturating_mul(MIB).saturating_mul(COPIES_OF_A_VALUE * workers.max(1) as u64);
    BESIDE_VALUES_BYTES.saturating_add(values)
}

/// Shares of `memory_bytes` for each of `workers` workers, of which each uploads a part that takes `upload_bytes`.
pub fn shares(memory_bytes: u64, workers: usize, upload_bytes: u64) -> Shares {
    let each = (memory_bytes.saturating_sub(BASE_BYTES) / workers.max(1) as u64).saturating_sub(upload_bytes);
    let share = |part: u64, floor: u64, ceiling: u64| {
        usize::try_from((each / part).clamp(floor, ceiling)).unwrap_or(usize::MAX)
    };
    let n_partitions = (each / 4 / (PARTITION_BYTES + upload_bytes)).clamp(1, MAX_PARTITIONS);
    Shares {
        partition_bytes: share(4, 2 * MIB, 64 * MIB),
        n_partitions: usize::try_from(n_partitions).unwrap_or(1),
        partition_buffered_bytes: share(4 * n_partitions, 2 * MIB, 12 * MIB),
        max_batch_bytes: share(16, 256 * 1024, MIB),
        read_ahead_bytes: share(16, 256 * 1024, 5 * MIB),
        max_buffered_bytes: share(4, 2 * MIB, 12 * MIB),
        upload_ahead_bytes: share(32, 256 * 1024, 2 * MIB),
    }
}

/// Workers that `memory_bytes` hold when each uploads a part that takes `upload_bytes`; one in any case.
pub fn most_workers(memory_bytes: u64, upload_bytes: u64) -> usize {
    match upload_bytes {
        0 => usize::MAX,
        _ => usize::try_from(memory_bytes.saturating_sub(BASE_BYTES) / (upload_bytes + WORKER_BYTES))
            .map_or(1, |n| n.max(1)),
    }
}

/// What the keys of `unique_columns` may take of `memory_bytes`, bytes: of all workers, and of what they leave.
pub fn key_bytes(memory_bytes: u64) -> usize {
    usize::try_from((memory_bytes / 8).clamp(MIB, 64 * MIB)).unwrap_or(usize::MAX)
}

/// Makes the largest value and the memory of an export fit each other: what its config does not name follows what it names.
/// Returns whether memory is why the largest value is as small as it is.
///
/// # Errors
/// `Impossible` when the config names both, and they do not fit.
pub fn fit(export: &str, tuning: &mut Tuning, workers: usize) -> Result<bool, RunError> {
    let (value, largest) = (tuning.max_value_bytes, largest_value_bytes(tuning.memory_bytes, workers));
    if value == 0 || value <= largest {
        return Ok(false);
    }
    let needed = memory_for_value_bytes(value, workers);
    match (tuning.named.max_value, tuning.named.memory) {
        (false, _) => tuning.max_value_bytes = largest,
        (true, false) => tuning.memory_bytes = needed,
        (true, true) => {
            return Err(RunError::Impossible {
                what: format!(
                    "export '{export}' accepts values of {} MiB (`max_value_mb`), of which {} MiB (`memory_mb`) hold no \
                     more than {} MiB with {workers} worker{}",
                    value.div_ceil(MIB),
                    tuning.memory_bytes / MIB,
                    largest / MIB,
                    plural::s(workers)
                ),
                hint: format!("set `memory_mb: {}` or `max_value_mb: {}`", needed / MIB, largest / MIB),
            });
        }
    }
    Ok(!tuning.named.max_value)
}

/// What to do about a value that is refused because of the memory, which `n_at_once` exports share.
pub fn hint(tuning: &Tuning, n_at_once: usize) -> String {
    let (among, fewer) = match n_at_once {
        0 | 1 => (String::new(), ""),
        n => (format!(" in each of {n} exports at once"), "leave `--parallel-exports` out, "),
    };
    format!(
        "`memory_mb: {}` holds values of up to {} MiB{among}; a larger one needs {COPIES_OF_A_VALUE} times its size in each \
         worker, and {} MiB beside: {fewer}raise `memory_mb` with `max_value_mb`, or leave the column out with `exclude`",
        tuning.memory_bytes * n_at_once.max(1) as u64 / MIB,
        tuning.max_value_bytes / MIB,
        BESIDE_VALUES_BYTES / MIB
    )
}

/// Highest resident memory of this process so far, bytes; 0 where the system does not say.
pub fn peak_rss_bytes() -> u64 {
    of_process("VmHWM:")
}

/// Resident memory of this process now, bytes; 0 where the system does not say.
pub fn rss_bytes() -> u64 {
    of_process("VmRSS:")
}

fn of_process(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(what));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_workers_share_the_same_budget() {
        for workers in [1, 2, 4] {
            let s = shares(256 * MIB, workers, 0);
            let all = workers as u64
                * (2 * s.max_batch_bytes + s.read_ahead_bytes + s.max_buffered_bytes + s.upload_ahead_bytes) as u64;
            assert!(all + BASE_BYTES <= 256 * MIB, "{workers}: {s:?}");
        }
    }

    #[test]
    fn a_value_and_its_memory_fit_each_other() {
        for workers in [1, 2, 8] {
            for mib in [1, 8, 46, 64, 1000] {
                let memory = memory_for_value_bytes(mib * MIB, workers);
                assert_eq!(largest_value_bytes(memory, workers), mib * MIB, "{mib} MiB, {workers} workers");
                assert!(largest_value_bytes(memory - 1, workers) < mib * MIB || mib == 1, "no less will do");
            }
        }
        assert_eq!(largest_value_bytes(0, 100), MIN_VALUE_BYTES);
        assert_eq!(memory_for_value_bytes(u64::MAX, 8), u64::MAX);
    }

    #[test]
    fn exports_at_once_leave_each_other_room_for_values() {
        for (memory_mib, n_at_once, value_mib, expected) in [
            (256, 1, 64, true),
            (256, 3, 64, true),
            (256, 4, 64, false),
            (256, 4, 4, true),
            (256, 8, 4, false),
            (1024, 8, 64, true),
            (32, 1, 64, false),
        ] {
            let found = suffices(memory_mib * MIB, n_at_once, value_mib * MIB, 1);
            assert_eq!(found, expected, "{memory_mib} MiB, {n_at_once} exports, {value_mib} MiB");
        }
    }

    #[test]
    fn uploads_of_all_workers_fit_the_budget() {
        for (memory_mib, upload_mib, expected) in
            [(128, 20, 3), (148, 20, 4), (256, 20, 8), (64, 20, 1), (0, 20, 1), (0, 0, usize::MAX)]
        {
            assert_eq!(most_workers(memory_mib * MIB, upload_mib * MIB), expected, "{memory_mib} MiB");
        }
    }

    #[test]
    fn a_tiny_budget_still_works() {
        assert_eq!(shares(0, 8, 0).max_batch_bytes, 256 * 1024);
    }
}
