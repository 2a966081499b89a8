//! Holds the memory of the process, and of single batches, against what the config allows.
//! It must not know what is in a batch, nor who reads it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rivet_plugin_api::HostCx;

use crate::clock::Clock;
use crate::config::{OnBatchMemory, Tuning};
use crate::error::RunError;
use crate::memory::rss_bytes;

/// Longest that a worker waits for relief: what is under way is written by then, and what is still held is held for good.
const MAX_WAIT_MS: u64 = 2_000;
const STEP_MS: u64 = 20;
/// Longest pause after a batch for the sake of others.
pub const MOST_PAUSE_MS: u64 = 2_000;

/// The guard of an export.
pub struct Guard<'a> {
    /// What the process may hold before reading waits, bytes.
    threshold: Option<u64>,
    /// What a batch may hold, bytes.
    max_batch: Option<u64>,
    policy: OnBatchMemory,
    clock: &'a dyn Clock,
    rss: fn() -> u64,
    /// Waiting did not help.
    in_vain: AtomicBool,
    /// Workers that are left.
    n_workers: AtomicUsize,
    /// Pause after each batch for the sake of others, ms.
    pause_ms: AtomicU64,
}

impl<'a> Guard<'a> {
    pub fn new(tuning: &Tuning, n_workers: usize, clock: &'a dyn Clock) -> Self {
        Self {
            threshold: tuning.memory_threshold_bytes,
            max_batch: tuning.max_batch_memory_bytes,
            policy: tuning.on_batch_memory_exceeded,
            clock,
            rss: rss_bytes,
            in_vain: AtomicBool::new(false),
            n_workers: AtomicUsize::new(n_workers),
            pause_ms: AtomicU64::new(0),
        }
    }

    /// The size that batches are cut at, of `most`.
    pub fn batch_limit(&self, most: usize) -> usize {
        let shrunk = self.max_batch.filter(|_| self.policy == OnBatchMemory::AutoShrink);
        shrunk.and_then(|bytes| usize::try_from(bytes).ok()).map_or(most, |bytes| bytes.min(most))
    }

    /// What is said of a batch that is too large.
    ///
    /// # Errors
    /// When the config says that it ends the run.
    pub fn judge(&self, relation: &str, rows: usize, bytes: usize) -> Result<Option<String>, RunError> {
        let Some(limit) = self.max_batch.filter(|limit| bytes as u64 > *limit) else { return Ok(None) };
        let what = format!("{relation}: a batch is larger than `max_batch_memory_mb: {}`", limit >> 20);
        let what = if rows == 1 { format!("{what}, for a single long row") } else { what };
        match self.policy {
            OnBatchMemory::Warn | OnBatchMemory::AutoShrink => Ok(Some(what)),
            OnBatchMemory::Fail => Err(RunError::Impossible {
                what,
                hint: "raise `max_batch_memory_mb`, leave long columns out with `exclude`, or set \
                       `on_batch_memory_exceeded: warn`"
                    .to_owned(),
            }),
        }
    }

    /// From now on reading pauses so long after each batch, up to [`MOST_PAUSE_MS`], for the sake of others.
    pub fn set_pause_ms(&self, ms: u64) {
        self.pause_ms.store(ms.min(MOST_PAUSE_MS), Ordering::Relaxed);
    }

    /// How long that is now, ms.
    pub fn pause_ms(&self) -> u64 {
        self.pause_ms.load(Ordering::Relaxed)
    }

    /// Pauses for the sake of others, a moment at a time: they may be well again before it is over.
    fn yield_to_others(&self, cx: &HostCx) {
        let mut paused_ms = 0;
        while paused_ms < self.pause_ms() && !cx.is_cancelled() {
            self.clock.sleep_ms(STEP_MS, &|| cx.is_cancelled());
            paused_ms += STEP_MS;
        }
    }

    /// Waits while the process holds too much, so that what was read is written first. What is to be said where that is not enough.
    pub fn relieve(&self, cx: &HostCx) -> Option<String> {
        self.yield_to_others(cx);
        let threshold = self.threshold?;
        let mut waited_ms = 0;
        while (self.rss)() > threshold && !self.in_vain.load(Ordering::Relaxed) && !cx.is_cancelled() {
            if waited_ms >= MAX_WAIT_MS {
                self.in_vain.store(true, Ordering::Relaxed);
                return Some(format!(
                    "the process holds more than `memory_threshold_mb: {}`, also after a pause for what was under way: lower \
                     `parallel` or `memory_mb`, or raise the threshold",
                    threshold >> 20
                ));
            }
            self.clock.sleep_ms(STEP_MS, &|| cx.is_cancelled());
            waited_ms += STEP_MS;
        }
        None
    }

    /// How many of `most` workers begin to read: as many as were left, until nobody suffers any more.
    pub fn workers(&self, most: usize) -> usize {
        if self.pause_ms() == 0 && self.threshold.is_none_or(|threshold| (self.rss)() <= threshold) {
            self.n_workers.store(most, Ordering::SeqCst);
        }
        self.n_workers.load(Ordering::SeqCst).min(most)
    }

    /// Whether a worker that is between two splits is to read no more: the process holds too much, or others suffer although all
    /// pause, and another worker is left.
    pub fn sheds(&self) -> bool {
        let one_less = |n: usize| (n > 1).then(|| n - 1);
        (self.pause_ms() == MOST_PAUSE_MS || self.threshold.is_some_and(|threshold| (self.rss)() > threshold))
            && self.n_workers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::CancelToken;

    use super::*;
    use crate::clock::TestClock;

    const MIB: usize = 1 << 20;

    fn guard(clock: &TestClock, policy: OnBatchMemory, rss: fn() -> u64) -> Guard<'_> {
        Guard {
            threshold: Some(64 << 20),
            max_batch: Some(2 << 20),
            policy,
            clock,
            rss,
            in_vain: AtomicBool::new(false),
            n_workers: AtomicUsize::new(2),
            pause_ms: AtomicU64::new(0),
        }
    }

    #[test]
    fn reading_waits_once_in_vain_and_one_worker_stays() {
        let (clock, token) = (TestClock::at(0), CancelToken::new());
        let full = guard(&clock, OnBatchMemory::Warn, || 65 << 20);
        let told = full.relieve(&token.cx()).expect("it is said");
        assert!(told.contains("memory_threshold_mb: 64") && clock.monotonic_ms() == MAX_WAIT_MS, "{told}");
        assert!(full.relieve(&token.cx()).is_none() && clock.monotonic_ms() == MAX_WAIT_MS);
        assert!(full.sheds() && !full.sheds());
        let fine = guard(&clock, OnBatchMemory::Warn, || 64 << 20);
        assert!(fine.relieve(&token.cx()).is_none() && !fine.sheds() && clock.monotonic_ms() == MAX_WAIT_MS);
    }

    #[test]
    fn others_have_the_server_for_the_pause_that_was_set() {
        let (clock, token) = (TestClock::at(0), CancelToken::new());
        let guard = guard(&clock, OnBatchMemory::Warn, || 0);
        assert!(guard.relieve(&token.cx()).is_none() && clock.monotonic_ms() == 0 && !guard.sheds());
        guard.set_pause_ms(u64::MAX);
        assert!(guard.relieve(&token.cx()).is_none() && clock.monotonic_ms() == MOST_PAUSE_MS);
        assert!(guard.sheds() && !guard.sheds());
        assert_eq!(guard.workers(2), 1, "in the next snapshot others suffer as they did");
        guard.set_pause_ms(0);
        assert_eq!((guard.workers(2), guard.sheds()), (2, false));
    }

    #[test]
    fn a_large_batch_is_told_refused_or_not_made() {
        let clock = TestClock::at(0);
        for (policy, limit, told) in [
            (OnBatchMemory::Warn, 9 * MIB, true),
            (OnBatchMemory::Fail, 9 * MIB, false),
            (OnBatchMemory::AutoShrink, 2 * MIB, true),
        ] {
            let guard = guard(&clock, policy, || 0);
            assert_eq!(guard.batch_limit(9 * MIB), limit);
            assert!(matches!(guard.judge("t", 9, 2 * MIB), Ok(None)));
            match guard.judge("t", 1, 3 * MIB) {
                Ok(said) => assert!(told && said.is_some_and(|said| said.ends_with("a single long row"))),
                Err(e) => assert!(!told && e.hint().is_some_and(|hint| hint.contains("max_batch_memory_mb"))),
            }
        }
    }
}
