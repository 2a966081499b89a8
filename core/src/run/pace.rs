//! Pauses between batches, so that a run leaves the source time for others.
//! It must not know what is read, nor how long a whole run may take.

use rivet_plugin_api::HostCx;

use crate::clock::Clock;
use crate::config::Throttle;

/// The pauses of one worker at one split.
pub struct Pace<'a> {
    throttle: Throttle,
    clock: &'a dyn Clock,
    rows: u64,
    worked_ms: u64,
    paused_ms: u64,
}

impl<'a> Pace<'a> {
    pub fn new(throttle: Throttle, clock: &'a dyn Clock) -> Self {
        Self { throttle, clock, rows: 0, worked_ms: 0, paused_ms: 0 }
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
        let ms = self.throttle.pauses_ms(self.rows, self.worked_ms).saturating_sub(self.paused_ms);
        if ms > 0 {
            self.clock.sleep_ms(ms, &|| cx.is_cancelled());
            self.paused_ms += ms;
        }
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
        let mut pace = Pace::new(throttle, &clock);
        for _ in 0..100 {
            pace.working(|| clock.advance_ms(work_ms));
            pace.pause(rows, &cx);
        }
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
}
