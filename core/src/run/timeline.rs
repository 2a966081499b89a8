//! How a run went over time: rows read and memory, sampled, and when each attempt at a split began and ended. Bounded.
//! It must not know who looks at it, nor where it is kept.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::env::lock;
use super::progress::Attempted;
use crate::memory::rss_bytes;

/// More samples than this are merged, two into one.
const MAX_SAMPLES: usize = 120;
/// Shortest time between two samples, ms; doubled each time samples are merged.
const INTERVAL_MS: u64 = 250;
/// More attempts than this are counted, not kept; of those that failed, twice as many are kept.
const MAX_SPANS: usize = 250;

/// What the journal keeps of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Start of the run, ms since 1970 UTC: all other times count from there.
    pub began_at_ms: i64,
    /// Samples, in order of time.
    pub samples: Samples,
    /// Attempts, in the order of their ends.
    pub spans: Vec<Span>,
    /// Attempts that were not kept.
    pub n_left_off: usize,
}

/// Column by column, of one length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// When, ms.
    pub at_ms: Vec<u64>,
    /// Rows read so far, those of failed attempts included.
    pub rows: Vec<u64>,
    /// Resident memory of the process, bytes; 0 where the system does not say.
    pub rss_bytes: Vec<u64>,
}

/// One attempt at a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Split.
    pub split: u32,
    /// Number of the attempt, from 0.
    pub attempt: u32,
    /// Beginning, ms.
    pub from_ms: u64,
    /// End, ms.
    pub to_ms: u64,
    /// Rows that it delivered; none when it failed.
    pub rows: Option<u64>,
}

/// Takes what happens, from several threads.
pub struct Recorder {
    began_ms: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    rows: u64,
    next_sample_ms: u64,
    interval_ms: u64,
    timeline: Timeline,
}

impl Recorder {
    /// From now on: now by both clocks.
    pub fn new(now_unix_ms: i64, monotonic_ms: u64) -> Self {
        let timeline = Timeline { began_at_ms: now_unix_ms, ..Timeline::default() };
        Self {
            began_ms: monotonic_ms,
            inner: Mutex::new(Inner { interval_ms: INTERVAL_MS, timeline, ..Inner::default() }),
        }
    }

    /// More rows were read.
    pub fn read(&self, rows: u64, monotonic_ms: u64) {
        let at_ms = self.since(monotonic_ms);
        let mut inner = lock(&self.inner);
        inner.rows += rows;
        if at_ms >= inner.next_sample_ms {
            inner.sample(at_ms, rss_bytes());
        }
    }

    /// An attempt is over.
    pub fn attempted(&self, told: &Attempted) {
        let span = Span {
            split: told.split,
            attempt: told.attempt,
            from_ms: self.since(told.began_ms),
            to_ms: self.since(told.ended_ms),
            rows: told.rows,
        };
        let timeline = &mut lock(&self.inner).timeline;
        let most = if span.rows.is_some() { MAX_SPANS } else { 2 * MAX_SPANS };
        if timeline.spans.len() < most { timeline.spans.push(span) } else { timeline.n_left_off += 1 }
    }

    /// All of it; none when nothing was read.
    pub fn end(&self, monotonic_ms: u64) -> Option<Timeline> {
        let mut inner = lock(&self.inner);
        if inner.timeline.spans.is_empty() && inner.rows == 0 {
            return None;
        }
        let at_ms = self.since(monotonic_ms);
        inner.sample(at_ms, rss_bytes());
        Some(inner.timeline.clone())
    }

    fn since(&self, monotonic_ms: u64) -> u64 {
        monotonic_ms.saturating_sub(self.began_ms)
    }
}

impl Inner {
    fn sample(&mut self, at_ms: u64, rss_bytes: u64) {
        let Samples { at_ms: times, rows, rss_bytes: memory } = &mut self.timeline.samples;
        times.push(at_ms);
        rows.push(self.rows);
        memory.push(rss_bytes);
        if times.len() > MAX_SAMPLES {
            // Rows are a running count: the later of two samples stands for both. Of memory the peak must stay.
            *times = times.chunks(2).filter_map(|pair| pair.last().copied()).collect();
            *rows = rows.chunks(2).filter_map(|pair| pair.last().copied()).collect();
            *memory = memory.chunks(2).filter_map(|pair| pair.iter().max().copied()).collect();
            self.interval_ms *= 2;
        }
        self.next_sample_ms = at_ms + self.interval_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_no_more_samples_than_a_short_one_and_counts_every_row() {
        for (n_batches, every_ms) in [(1, 1), (100, 1), (1_000, 1_000), (100_000, 7), (20_000, 60_000)] {
            let recorder = Recorder::new(0, 5);
            for i in 0..n_batches {
                recorder.read(10, 5 + i * every_ms);
            }
            let timeline = recorder.end(5 + n_batches * every_ms).expect("rows were read");
            let Samples { at_ms, rows, rss_bytes } = timeline.samples;
            assert!(at_ms.len() <= MAX_SAMPLES && rows.len() == at_ms.len() && rss_bytes.len() == at_ms.len());
            assert!(at_ms.is_sorted() && rows.is_sorted(), "{at_ms:?} {rows:?}");
            assert_eq!((at_ms.last(), rows.last()), (Some(&(n_batches * every_ms)), Some(&(n_batches * 10))));
            assert!(n_batches < 1_000 || at_ms.len() > MAX_SAMPLES / 3, "{n_batches}: {} samples", at_ms.len());
        }
    }

    #[test]
    fn failed_attempts_are_kept_before_others_and_the_rest_is_counted() {
        let recorder = Recorder::new(0, 0);
        assert_eq!(recorder.end(1), None);
        for split in 0..1_000 {
            let rows = (split % 10 != 0).then_some(1);
            recorder.attempted(&Attempted { split, attempt: 0, began_ms: 1, ended_ms: 2, rows });
        }
        let timeline = recorder.end(2).expect("there were attempts");
        assert_eq!(timeline.spans.iter().filter(|span| span.rows.is_none()).count(), 100);
        assert_eq!(timeline.spans.len() + timeline.n_left_off, 1_000);
        assert!(timeline.spans.len() <= 2 * MAX_SPANS);
    }
}
