//! Time as an injected dependency, and its two text forms.
//! It must not know what is timed.

use std::sync::{Mutex, MutexGuard, PoisonError};
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
        let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        SystemTime::now().duration_since(UNIX_EPOCH).map_or_else(|before| -ms(before.duration()), ms)
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep_ms(&self, ms: u64, cancelled: &dyn Fn() -> bool) -> bool {
        // Counted from the start: an end beyond what an `Instant` can hold is a wish like any other.
        let started = Instant::now();
        loop {
            if cancelled() {
                return false;
            }
            let left = Duration::from_millis(ms).saturating_sub(started.elapsed());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(SLEEP_SLICE_MS)));
        }
    }
}

/// A clock for simulations: it moves only when somebody sleeps or moves it.
#[derive(Debug, Default)]
pub struct TestClock {
    start_unix_ms: i64,
    elapsed_ms: Mutex<u64>,
}

impl TestClock {
    /// A clock whose wall time begins at `unix_ms`; its monotonic time begins at 0.
    pub fn at(unix_ms: i64) -> Self {
        Self { start_unix_ms: unix_ms, elapsed_ms: Mutex::default() }
    }

    /// Lets `ms` pass.
    pub fn advance_ms(&self, ms: u64) {
        let mut elapsed = self.elapsed();
        *elapsed = elapsed.saturating_add(ms);
    }

    fn elapsed(&self) -> MutexGuard<'_, u64> {
        self.elapsed_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn now_unix_ms(&self) -> i64 {
        self.start_unix_ms.saturating_add_unsigned(self.monotonic_ms())
    }

    fn monotonic_ms(&self) -> u64 {
        *self.elapsed()
    }

    fn sleep_ms(&self, ms: u64, cancelled: &dyn Fn() -> bool) -> bool {
        // In slices, as the machine's clock: what cancels may itself be a deadline on this clock.
        let mut left = ms;
        loop {
            if cancelled() {
                return false;
            }
            if left == 0 {
                return true;
            }
            let slice = left.min(SLEEP_SLICE_MS);
            self.advance_ms(slice);
            left -= slice;
        }
    }
}

/// `2026-11-21T04:55:12.345Z` (RFC 3339). A year beyond 9999 takes the digits it needs.
pub fn format_rfc3339(unix_ms: i64) -> String {
    let Civil { year, month, day, hour, minute, second, ms } = civil(unix_ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// What [`format_rfc3339`] wrote; none for anything else.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let numbers: Option<Vec<i64>> =
        text.strip_suffix('Z')?.split(['-', 'T', ':', '.']).map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second, ms] = numbers?.try_into().ok()?;
    // Days from a date, as `civil` the other way round.
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let at = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + ms;
    (format_rfc3339(at) == text).then_some(at)
}

/// `20261121T045512Z`: sorts by time and fits into file names. Fractions of a second are cut off towards the past.
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

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar.
pub fn date(day: i64) -> (i64, i64, i64) {
    let Civil { year, month, day, .. } = civil(day.saturating_mul(86_400_000));
    (year, month, day)
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
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "10000-01-01T00:00:00.000Z"),
            (i64::MAX, "292278994-08-17T07:12:55.807Z"),
        ] {
            assert_eq!(format_rfc3339(unix_ms), text);
        }
        for (unix_ms, text) in [
            (1_795_236_912_345, "20261121T045512Z"),
            (1_795_236_912_999, "20261121T045512Z"),
            (-1, "19691231T235959Z"),
            (0, "19700101T000000Z"),
        ] {
            assert_eq!(format_stamp(unix_ms), text);
        }
    }

    /// SQLite's own calendar is the oracle, over all of the years 0 to 9999.
    #[test]
    fn dates_are_those_of_sqlite() {
        let sql = "WITH RECURSIVE t (s) AS (SELECT -62167219200 UNION ALL SELECT s + 3123457 FROM t WHERE s < 253399000000) \
                   SELECT s, strftime('%Y-%m-%dT%H:%M:%S', s, 'unixepoch') FROM t";
        let db = rusqlite::Connection::open_in_memory().expect("a database in memory opens");
        let mut query = db.prepare(sql).expect("the statement is valid");
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        let mut n_dates = 0;
        for row in rows.expect("the statement runs") {
            let (unix_s, text) = row.expect("a number and a text");
            assert_eq!(format_rfc3339(unix_s * 1000 + 7), format!("{text}.007Z"));
            n_dates += 1;
        }
        assert!(n_dates > 100_000, "{n_dates}");
    }

    #[test]
    fn a_cancelled_sleep_ends_at_once() {
        let started = Instant::now();
        assert!(!SystemClock::default().sleep_ms(u64::MAX, &|| true));
        assert!(started.elapsed() < Duration::from_secs(10));
        assert!(SystemClock::default().sleep_ms(60, &|| false));
        assert!(started.elapsed() >= Duration::from_millis(60));
    }

    #[test]
    fn virtual_time_passes_by_sleeping_only() {
        let clock = TestClock::at(1_000_000);
        assert_eq!((clock.now_unix_ms(), clock.monotonic_ms()), (1_000_000, 0));
        assert!(clock.sleep_ms(3_600_001, &|| false));
        assert_eq!((clock.now_unix_ms(), clock.monotonic_ms()), (4_600_001, 3_600_001));
        assert!(!clock.sleep_ms(1_000, &|| true));
        assert_eq!(clock.monotonic_ms(), 3_600_001);
        assert!(!clock.sleep_ms(1_000, &|| clock.monotonic_ms() >= 3_600_201));
        assert_eq!(clock.monotonic_ms(), 3_600_201);
        clock.advance_ms(u64::MAX);
        assert_eq!(clock.monotonic_ms(), u64::MAX);
        assert_eq!(clock.now_unix_ms(), i64::MAX);
    }

    #[test]
    fn what_was_written_is_read_back() {
        for at in [0, 1, 1_795_236_912_345, 951_782_399_999, 951_782_400_000, 4_102_444_800_000, -1] {
            assert_eq!(parse_rfc3339(&format_rfc3339(at)), Some(at), "{at}");
        }
        for text in ["", "2026-11-21", "2026-02-30T00:00:00.000Z", "2026-11-21T04:55:12Z", "x"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
