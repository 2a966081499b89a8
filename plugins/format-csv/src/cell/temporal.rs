//! Dates, times and timestamps as ISO 8601 text.
//! It must not know arrays, quotes or delimiters.

use super::number::integer;

const SECONDS_PER_DAY: i64 = 86_400;

/// 00 to 99.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};

/// The last two digits of a number.
fn pair(n: u32) -> [u8; 2] {
    PAIRS[(n % 100) as usize]
}

/// A day, counted from 1970-01-01.
pub fn date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    let ([m, n], [d, e]) = (pair(month), pair(day));
    match u32::try_from(year) {
        Ok(year) if year <= 9999 => {
            let ([a, b], [x, y]) = (pair(year / 100), pair(year));
            out.extend_from_slice(&[a, b, x, y, b'-', m, n, b'-', d, e]);
        }
        _ => {
            out.push(if year < 0 { b'-' } else { b'+' });
            let year = year.unsigned_abs();
            let n_digits = year.checked_ilog10().unwrap_or(0) as usize + 1;
            out.resize(out.len() + 4_usize.saturating_sub(n_digits), b'0');
            integer(out, year);
            out.extend_from_slice(&[b'-', m, n, b'-', d, e]);
        }
    }
}

/// Year, month and day in the proleptic Gregorian calendar; year 0 is 1 BC. The way of counting, with years that begin
/// in March and eras of 400 years, is that of Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, u32, u32) {
    const DAYS_PER_ERA: i64 = 146_097;
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA) as u32);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + i64::from(year_of_era) + i64::from(month <= 2), month, day)
}

/// A time of day in units of which a second has `PER_SECOND`, with `DIGITS` digits of it. Hours go on beyond 24, and
/// a time before midnight has a minus.
pub fn time<const PER_SECOND: i64, const DIGITS: usize>(out: &mut Vec<u8>, units: i64) {
    if units < 0 {
        out.push(b'-');
    }
    let seconds = units / PER_SECOND;
    let fraction = (units % PER_SECOND).unsigned_abs() as u32;
    if seconds.unsigned_abs() < 100 * 3_600 {
        clock::<DIGITS>(out, seconds.unsigned_abs() as u32, fraction);
    } else {
        integer(out, seconds.unsigned_abs() / 3_600);
        let at = out.len();
        clock::<DIGITS>(out, (seconds.unsigned_abs() % 3_600) as u32, fraction);
        out.drain(at..at + 2);
    }
}

/// A moment in units since 1970, as [`time`] has them.
pub fn timestamp<const PER_SECOND: i64, const DIGITS: usize>(out: &mut Vec<u8>, units: i64, utc: bool) {
    let (seconds, fraction) = (units.div_euclid(PER_SECOND), units.rem_euclid(PER_SECOND) as u32);
    date(out, seconds.div_euclid(SECONDS_PER_DAY));
    out.push(b'T');
    clock::<DIGITS>(out, seconds.rem_euclid(SECONDS_PER_DAY) as u32, fraction);
    if utc {
        out.push(b'Z');
    }
}

/// Less than 100 hours, with the fraction of a second in `DIGITS` digits.
fn clock<const DIGITS: usize>(out: &mut Vec<u8>, seconds: u32, mut fraction: u32) {
    let ([h, i], [m, n], [s, t]) = (pair(seconds / 3_600), pair(seconds / 60 % 60), pair(seconds % 60));
    // Room for the digits of every unit, so that one copy takes it all.
    let mut text = [h, i, b':', m, n, b':', s, t, b'.', 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for digit in text[9..9 + DIGITS].iter_mut().rev() {
        *digit = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
    out.extend_from_slice(&text[..if DIGITS == 0 { 8 } else { 9 + DIGITS }]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_US: i64 = 86_400_000_000;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn days_have_their_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
            (-719_162, "0001-01-01"),
            (-719_163, "0000-12-31"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
            (i64::from(i32::MAX), "+5881580-07-11"),
            (i64::from(i32::MIN), "-5877641-06-23"),
        ] {
            assert_eq!(text(|out| date(out, days)), expected, "{days}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1900, 1, 1);
        for days in -25_567..146_097 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn times_have_all_digits_of_their_unit() {
        for (units, expected) in [
            (0, "00:00:00.000000"),
            (1, "00:00:00.000001"),
            (DAY_US - 1, "23:59:59.999999"),
            (DAY_US, "24:00:00.000000"),
            (-1_500_000, "-00:00:01.500000"),
            (35 * DAY_US, "840:00:00.000000"),
        ] {
            assert_eq!(text(|out| time::<1_000_000, 6>(out, units)), expected, "{units}");
        }
        assert_eq!(text(|out| time::<1, 0>(out, 3_661)), "01:01:01");
        assert_eq!(text(|out| time::<1_000, 3>(out, 7)), "00:00:00.007");
        assert_eq!(text(|out| time::<1_000_000_000, 9>(out, 7)), "00:00:00.000000007");
        assert_eq!(text(|out| time::<1, 0>(out, i64::MIN)), "-2562047788015215:30:08");
    }

    #[test]
    fn moments_before_1970_count_forwards_too() {
        for (units, expected) in [
            (0, "1970-01-01T00:00:00.000000"),
            (-1, "1969-12-31T23:59:59.999999"),
            (-719_162 * DAY_US, "0001-01-01T00:00:00.000000"),
            (2_932_897 * DAY_US - 1, "9999-12-31T23:59:59.999999"),
            (i64::MIN, "-290308-12-21T19:59:05.224192"),
            (i64::MAX, "+294247-01-10T04:00:54.775807"),
        ] {
            assert_eq!(text(|out| timestamp::<1_000_000, 6>(out, units, false)), expected, "{units}");
            assert_eq!(text(|out| timestamp::<1_000_000, 6>(out, units, true)), format!("{expected}Z"));
        }
        assert_eq!(text(|out| timestamp::<1, 0>(out, -1, true)), "1969-12-31T23:59:59Z");
        assert_eq!(text(|out| timestamp::<1, 0>(out, i64::MAX, true)), "+292277026596-12-04T15:30:07Z");
        assert_eq!(text(|out| timestamp::<1_000_000_000, 9>(out, i64::MIN, false)), "1677-09-21T00:12:43.145224192");
    }
}
