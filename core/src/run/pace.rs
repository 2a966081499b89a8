//! Pauses between batches, so that a run leaves the source time for others.
//! It must not know what is read, nor how long a whole run may take.

use rivet_plugin_api::HostCx;

use crate::clock::Clock;
use crate::config::Throttle;

/// Batches at the beginning of a split that are read without a pause where pauses are longer than the work. They tell how long the
/// source takes for a row: in a pause it works on until everything on the way here is full, and nobody sees for how long.
const SAMPLE_BATCHES: u32 = 4;
/// What pauses are at most, in percent of the work, once a snapshot is older than it should be.
const HURRIED_PERCENT: u64 = 50;

/// The pauses of one worker at one split.
pub struct Pace<'a> {
    throttle: Throttle,
    clock: &'a dyn Clock,
    /// From then on others wait for the snapshot, monotonic ms.
    hurry_from_ms: Option<u64>,
    sample: Sample,
    rows: u64,
    worked_ms: u64,
    paused_ms: u64,
}

/// What is known of the source's own pace.
#[derive(Debug, Default)]
struct Sample {
    n_batches: u32,
    /// Until the first batch came.
    first_ms: u64,
    first_rows: u64,
    rows: u64,
    ms: u64,
}

impl Sample {
    fn add(&mut self, rows: u64, worked_ms: u64) {
        self.n_batches += 1;
        if self.n_batches == 1 {
            (self.first_ms, self.first_rows) = (worked_ms, rows);
        }
        self.rows = rows - self.first_rows;
        self.ms = worked_ms - self.first_ms;
    }

    /// How long the source works on so many rows, whether we wait for it or not.
    fn worked_ms(&self, rows: u64) -> u64 {
        let rest = u128::from(rows.saturating_sub(self.first_rows)) * u128::from(self.ms);
        self.first_ms + rest.checked_div(u128::from(self.rows)).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0)
    }
}

impl<'a> Pace<'a> {
    pub fn new(throttle: Throttle, hurry_from_ms: Option<u64>, clock: &'a dyn Clock) -> Self {
        Self { throttle, clock, hurry_from_ms, sample: Sample::default(), rows: 0, worked_ms: 0, paused_ms: 0 }
    }

    /// Calls `f`, for which the source works.
    pub fn working<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let start_ms = self.clock.monotonic_ms();
        let came = f();
        self.worked_ms += self.clock.monotonic_ms().saturating_sub(start_ms);
        came
    }

    /// Pauses for rows that were read, but no longer than is left to pause.
    pub fn pause(&mut self, rows: usize, cx: &HostCx) {
        self.rows += rows as u64;
        if self.sample.n_batches < SAMPLE_BATCHES && self.rests_longer_than_it_works() {
            return self.sample.add(self.rows, self.worked_ms);
        }
        self.settle(cx);
    }

    /// Pauses for all that was read.
    pub fn settle(&mut self, cx: &HostCx) {
        if let (Some(percent), Some(from_ms)) = (self.throttle.at_most_percent, self.hurry_from_ms)
            && self.clock.monotonic_ms() >= from_ms
        {
            self.throttle.at_most_percent = Some(percent.min(HURRIED_PERCENT));
            (self.hurry_from_ms, self.rows, self.worked_ms, self.paused_ms) = (None, 0, 0, 0);
        }
        let unseen_ms = if self.rests_longer_than_it_works() { self.sample.worked_ms(self.rows) } else { 0 };
        let worked_ms = self.worked_ms.max(unseen_ms);
        let ms = self.throttle.pauses_ms(self.rows, worked_ms).saturating_sub(self.paused_ms);
        if ms > 0 {
            self.clock.sleep_ms(ms, &|| cx.is_cancelled());
            self.paused_ms += ms;
        }
    }

    fn rests_longer_than_it_works(&self) -> bool {
        self.throttle.at_most_percent.is_some_and(|percent| percent > 100)
    }
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::CancelToken;

    use super::*;
    use crate::clock::TestClock;

    /// Time that pauses take when the source works for so long on each of 100 batches.
    fn paused(throttle: Throttle, rows: usize, work_ms: u64) -> u64 {
        let (clock, token) = (TestClock::at(0), CancelToken::new());
        let cx = token.cx();
        let mut pace = Pace::new(throttle, None, &clock);
        for _ in 0..100 {
            pace.working(|| clock.advance_ms(work_ms));
            pace.pause(rows, &cx);
        }
        pace.settle(&cx);
        clock.monotonic_ms() - 100 * work_ms
    }

    #[test]
    fn pauses_are_a_share_of_the_work_unless_they_are_asked_for() {
        let balanced = Throttle { ms: 50, rows: 10_000, at_most_percent: Some(50) };
        for (throttle, rows, work_ms, expected_ms) in [
            (balanced, 10_000, 10, 500),
            (balanced, 10_000, 200, 5_000),
            (balanced, 10_000, 0, 0),
            // Small batches add up.
            (balanced, 100, 10, 50),
            (Throttle { at_most_percent: Some(900), ..balanced }, 10_000, 1, 900),
            (Throttle { at_most_percent: None, ..balanced }, 10_000, 1, 5_000),
            (Throttle { ms: 0, ..balanced }, 10_000, 1, 0),
        ] {
            assert_eq!(paused(throttle, rows, work_ms), expected_ms, "{throttle:?} {rows} {work_ms}");
        }
    }

    const SAFE: Throttle = Throttle { ms: 500, rows: 2_000, at_most_percent: Some(900) };

    /// A source that takes 10 ms for a batch and works in our pauses too, until what it has made waits for us.
    #[test]
    fn work_that_is_done_in_pauses_counts() {
        let (clock, token) = (TestClock::at(0), CancelToken::new());
        let cx = token.cx();
        let mut pace = Pace::new(SAFE, None, &clock);
        let mut made_ms = 0;
        for n in 1..=100 {
            made_ms += 10;
            let wait_ms = u64::saturating_sub(made_ms, clock.monotonic_ms());
            pace.working(|| clock.advance_ms(wait_ms));
            if n <= SAMPLE_BATCHES {
                assert_eq!(clock.monotonic_ms(), made_ms, "it is not known yet how long it takes");
            }
            pace.pause(2_000, &cx);
        }
        pace.settle(&cx);
        let ms = clock.monotonic_ms();
        assert!((9_000..=10_000).contains(&ms), "100 batches of 10 ms, and nine times as long: {ms}");
    }

    #[test]
    fn few_batches_have_their_pauses_too_and_an_old_snapshot_has_short_ones() {
        assert_eq!(paused(SAFE, 2_000, 10), 9_000);
        let (clock, token) = (TestClock::at(0), CancelToken::new());
        let cx = token.cx();
        let mut pace = Pace::new(SAFE, Some(4_000), &clock);
        for _ in 0..2 {
            pace.working(|| clock.advance_ms(10));
            pace.pause(2_000, &cx);
        }
        assert_eq!(clock.monotonic_ms(), 20);
        pace.settle(&cx);
        assert_eq!(clock.monotonic_ms(), 200);
        clock.advance_ms(4_000);
        pace.settle(&cx);
        pace.working(|| clock.advance_ms(100));
        pace.pause(2_000, &cx);
        assert_eq!(clock.monotonic_ms(), 4_350, "half as long as the work");
        let exact = Throttle { at_most_percent: None, ..SAFE };
        let mut pace = Pace::new(exact, Some(0), &clock);
        pace.pause(2_000, &cx);
        assert_eq!(clock.monotonic_ms(), 4_850, "what the config names is exact");
    }
}
