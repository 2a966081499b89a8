//! How many splits a relation is cut into, so that no statement comes near its time limit.
//! It must not know how an engine cuts.

use crate::config::Throttle;

/// Rows per second that a modest server and network deliver; only used to bound statement times, so low is safe.
const ASSUMED_ROWS_PER_SECOND: u64 = 50_000;
/// Bytes per second, likewise, for wide rows.
const ASSUMED_BYTES_PER_SECOND: u64 = 20 << 20;
/// How many times as fast a usual server and network are.
const USUAL_TIMES_MODEST: u64 = 5;
/// Splits per worker beyond the first, so that workers that finish early find more to do.
const SPLITS_PER_WORKER: u64 = 4;
/// Below this many rows a further split costs more than it gives.
const MIN_ROWS_PER_SPLIT: u64 = 50_000;
/// Upper bound of the number of splits.
const MAX_SPLITS: u64 = 10_000;

/// What the size of splits depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// Rows expected, when known.
    pub rows: Option<u64>,
    /// Bytes expected, when known.
    pub bytes: Option<u64>,
    /// Workers that read at once.
    pub n_workers: usize,
    /// Pauses between batches.
    pub throttle: Throttle,
    /// Longest a statement may take, ms; 0 = no limit.
    pub statement_timeout_ms: u64,
}

/// Time that reading everything in one statement is expected to take at the throttle, ms.
pub fn expected_ms(s: &Sizing) -> u64 {
    expected_at_ms(s, 1)
}

/// As [`expected_ms`], from a server so many times as fast as the modest one.
fn expected_at_ms(s: &Sizing, times: u64) -> u64 {
    let rows = s.rows.unwrap_or(0);
    let by_rows = rows.saturating_mul(1000) / (times * ASSUMED_ROWS_PER_SECOND);
    let by_bytes = s.bytes.unwrap_or(0).saturating_mul(1000) / (times * ASSUMED_BYTES_PER_SECOND);
    let worked = by_rows.max(by_bytes);
    s.throttle.pauses_ms(rows, worked).saturating_add(worked)
}

/// Rows that are expected to be read within so many ms, at the throttle; none where that is all, or how many there are is not
/// known. Nothing fails where it takes longer, so a usual server is assumed.
pub fn rows_within(s: &Sizing, ms: u64) -> Option<u64> {
    let (rows, all_ms) = (s.rows?, expected_at_ms(s, USUAL_TIMES_MODEST));
    let within = u64::try_from(u128::from(rows) * u128::from(ms) / u128::from(all_ms.max(1))).unwrap_or(u64::MAX);
    (all_ms > ms).then_some(within.max(rows.div_ceil(MAX_SPLITS)).max(1))
}

/// How many splits to ask for: enough that each is expected to take less than half of the statement timeout, and
/// enough to keep the workers busy.
pub fn wanted_splits(s: &Sizing) -> usize {
    let for_timeout = expected_ms(s).checked_div(s.statement_timeout_ms / 2).map_or(1, |n| n + 1);
    let for_workers = if s.n_workers > 1 {
        let most = s.n_workers as u64 * SPLITS_PER_WORKER;
        s.rows.map_or(most, |rows| (rows / MIN_ROWS_PER_SPLIT).clamp(1, most))
    } else {
        1
    };
    usize::try_from(for_timeout.max(for_workers).min(MAX_SPLITS)).unwrap_or(1)
}

/// Whether a single statement would come too near its limit, so that rows must be fetched piece by piece. An unknown
/// size counts as large.
pub fn needs_fetch(s: &Sizing) -> bool {
    s.statement_timeout_ms > 0 && (s.rows.is_none() || expected_ms(s) > s.statement_timeout_ms / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced(rows: u64, n_workers: usize) -> Sizing {
        Sizing {
            rows: Some(rows),
            bytes: None,
            n_workers,
            throttle: Throttle { ms: 50, rows: 10_000, at_most_percent: None },
            statement_timeout_ms: 300_000,
        }
    }

    #[test]
    fn each_split_is_expected_to_take_less_than_half_of_the_timeout() {
        for rows in [0, 1, 1_000_000, 5_000_000, 100_000_000, 3_000_000_000] {
            let s = balanced(rows, 1);
            let n = wanted_splits(&s) as u64;
            let each = Sizing { rows: Some(rows.div_ceil(n)), ..s };
            assert!(expected_ms(&each) <= s.statement_timeout_ms / 2 + 1 || n == MAX_SPLITS, "{rows}: {n}");
        }
        assert_eq!(wanted_splits(&balanced(1_000_000, 1)), 1);
        assert!(wanted_splits(&balanced(100_000_000, 1)) > 10);
    }

    #[test]
    fn without_a_timeout_one_worker_reads_everything_at_once() {
        let fast = Sizing {
            statement_timeout_ms: 0,
            throttle: Throttle { ms: 0, rows: 1, at_most_percent: None },
            ..balanced(u64::MAX, 1)
        };
        assert_eq!(wanted_splits(&fast), 1);
        assert!(!needs_fetch(&fast));
    }

    #[test]
    fn workers_get_several_splits_each_but_no_tiny_ones() {
        assert_eq!(wanted_splits(&balanced(5_000_000, 2)), 8);
        assert_eq!(wanted_splits(&balanced(60_000, 8)), 1);
        assert_eq!(wanted_splits(&Sizing { rows: None, ..balanced(0, 2) }), 8);
    }

    #[test]
    fn rows_within_a_time_are_counted_with_their_pauses() {
        let safe = Sizing {
            throttle: Throttle { ms: 500, rows: 2_000, at_most_percent: Some(900) },
            bytes: Some(60 * 6_000_000),
            ..balanced(6_000_000, 1)
        };
        assert_eq!(rows_within(&safe, 4_000), Some(100_000), "a tenth of the time is work");
        let wide = Sizing { bytes: Some(6_000_000 << 10), ..safe };
        assert_eq!(rows_within(&wide, 4_000), Some(40_960));
        let exact = Sizing { throttle: Throttle { at_most_percent: None, ..safe.throttle }, ..safe };
        assert_eq!(rows_within(&exact, 4_000), Some(15_748));
        assert_eq!(rows_within(&Sizing { rows: Some(90_000), bytes: None, ..safe }, 4_000), None, "all of them");
        assert_eq!(rows_within(&Sizing { rows: None, ..safe }, 4_000), None);
        let slow =
            Sizing { rows: Some(250_000_000), throttle: Throttle { ms: 2_000, rows: 1_000, ..exact.throttle }, ..safe };
        assert_eq!(rows_within(&slow, 4_000), Some(25_000), "no more splits than elsewhere");
    }

    #[test]
    fn an_unknown_size_is_fetched_piece_by_piece() {
        assert!(needs_fetch(&Sizing { rows: None, ..balanced(0, 1) }));
        assert!(!needs_fetch(&balanced(1_000, 1)));
    }
}
