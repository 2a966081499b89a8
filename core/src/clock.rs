//! Time as an injected dependency, and its two text forms.
//! It must not know what is timed.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock.
pub trait Clock: Send + Sync {
    /// Wall time, ms since 1970-01-01 UTC.
    fn now_unix_ms(&self) -> i64;
    /// Time that never goes back, ms since some start.
    fn monotonic_ms(&self) -> u64;
    /// Sleeps, but ends early when `cancelled` says so; returns whether it slept to the end.
    fn sleep_ms(&self, ms: u64, cancelled: &dyn Fn() -> bool) -> bool;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

/// How often a sleeper looks whether it was cancelled, ms.
const SLEEP_SLICE_MS: u64 = 50;

impl Clock for SystemClock {
    fn now_unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep_ms(&self, ms: u64, cancelled: &dyn Fn() -> bool) -> bool {
        let end = Instant::now() + Duration::from_millis(ms);
        loop {
            if cancelled() {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(SLEEP_SLICE_MS)));
        }
    }
}

/// A clock for simulations: it moves only when somebody sleeps.
#[derive(Debug, Default)]
pub struct TestClock {
    now_ms: Mutex<u64>,
}

impl Clock for TestClock {
    fn now_unix_ms(&self) -> i64 {
        i64::try_from(self.monotonic_ms()).unwrap_or(i64::MAX)
    }

    fn monotonic_ms(&self) -> u64 {
        *self.now_ms.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn sleep_ms(&self, ms: u64, cancelled: &dyn Fn() -> bool) -> bool {
        *self.now_ms.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += ms;
        !cancelled()
    }
}

/// `2026-11-21T04:55:12.345Z` (RFC 3339).
pub fn format_rfc3339(unix_ms: i64) -> String {
    let Civil { year, month, day, hour, minute, second, ms } = civil(unix_ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// `20261121T045512Z`: sorts by time and fits into file names.
pub fn format_stamp(unix_ms: i64) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = civil(unix_ms);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    ms: i64,
}

/// Days to a proleptic Gregorian date (Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(unix_ms: i64) -> Civil {
    let (days, ms_of_day) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_based = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_based + 2) / 5 + 1;
    let month = if march_based < 10 { march_based + 3 } else { march_based - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let second_of_day = ms_of_day / 1000;
    Civil {
        year,
        month,
        day,
        hour: second_of_day / 3600,
        minute: second_of_day / 60 % 60,
        second: second_of_day % 60,
        ms: ms_of_day % 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_at_the_edges() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_236_912_345, "2026-11-21T04:55:12.345Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(format_rfc3339(unix_ms), text);
        }
        assert_eq!(format_stamp(1_795_236_912_345), "20261121T045512Z");
    }

    #[test]
    fn a_cancelled_sleep_ends_at_once() {
        let started = Instant::now();
        assert!(!SystemClock::default().sleep_ms(60_000, &|| true));
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
