//! Days and times from ISO 8601 text and back, exactly or not at all.
//! It must not know columns.

use super::Fault;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `YYYY-MM-DD` as days since 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
pub fn date(text: &[u8]) -> Result<i32, Fault> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return Err(Fault::NotTime) };
    let year = i64::from(number(&[*y1, *y2, *y3, *y4])?);
    let (month, day) = (i64::from(number(&[*m1, *m2])?), i64::from(number(&[*d1, *d2])?));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return Err(Fault::NotTime),
    };
    if !(1..=days_in_month).contains(&day) {
        return Err(Fault::NotTime);
    }
    // The year begins in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).map_err(|_| Fault::NotTime)
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.f` as µs since midnight.
pub fn time(text: &[u8]) -> Result<i64, Fault> {
    // A zone ends in `Z`, or has a sign where the clock has none.
    if text.iter().any(|b| matches!(b, b'Z' | b'z' | b'+' | b'-')) {
        return Err(Fault::Zone);
    }
    let (clock, fraction) = match text {
        [clock @ .., _] if clock.len() < 8 => (text, None),
        [clock @ .., b'.'] if clock.len() == 8 => return Err(Fault::NotTime),
        _ => match text.split_at_checked(8) {
            Some((clock, [b'.', fraction @ ..])) => (clock, Some(fraction)),
            Some((clock, [])) => (clock, None),
            _ => return Err(Fault::NotTime),
        },
    };
    let (h, m, s) = match clock {
        [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?),
        _ => return Err(Fault::NotTime),
    };
    if h > 23 || m > 59 || s > 59 {
        return Err(Fault::NotTime);
    }
    let micros = fraction.map_or(Ok(0), micros)?;
    Ok((i64::from(h) * 3600 + i64::from(m) * 60 + i64::from(s)) * 1_000_000 + i64::from(micros))
}

/// Digits of a second; zeros may follow the sixth.
fn micros(digits: &[u8]) -> Result<u32, Fault> {
    let (kept, cut) = digits.split_at(digits.len().min(6));
    if cut.len() > 3 || number(cut)? > 0 {
        return Err(Fault::SubMicrosecond);
    }
    let missing = u32::try_from(6 - kept.len()).unwrap_or(0);
    Ok(number(kept)? * 10_u32.pow(missing))
}

/// A day, alone or followed by a time after a blank or `T`, as µs since 1970-01-01. A day alone is its midnight, as
/// it is to SQLite's own functions.
pub fn timestamp(text: &[u8]) -> Result<i64, Fault> {
    let (day, rest) = text.split_at_checked(10).ok_or(Fault::NotTime)?;
    let days = i64::from(date(day)?);
    let micros = match rest {
        [] => 0,
        [b' ' | b'T', clock @ ..] => time(clock)?,
        _ => return Err(Fault::NotTime),
    };
    Ok(days * MICROS_PER_DAY + micros)
}

/// `YYYY-MM-DD` of days since 1970-01-01; none outside the years 0 to 9999 (Hinnant, `civil_from_days`).
pub fn date_text(days: i64) -> Option<String> {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (0..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// `HH:MM:SS[.ffffff]` of µs since midnight; none outside a day.
pub fn time_text(micros: i64) -> Option<String> {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
    let clock = || format!("{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    (0..MICROS_PER_DAY).contains(&micros).then(clock)
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]` of µs since 1970-01-01; none outside the years 0 to 9999.
pub fn timestamp_text(micros: i64) -> Option<String> {
    let day = date_text(micros.div_euclid(MICROS_PER_DAY))?;
    Some(format!("{day} {}", time_text(micros.rem_euclid(MICROS_PER_DAY))?))
}

fn number(digits: &[u8]) -> Result<u32, Fault> {
    let step = |n: u32, b: &u8| if b.is_ascii_digit() { Ok(n * 10 + u32::from(b - b'0')) } else { Err(Fault::NotTime) };
    digits.iter().try_fold(0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_of_the_calendar() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("0001-01-01", -719_162),
            ("9999-12-31", 2_932_896),
            ("0000-03-01", -719_468),
        ] {
            assert_eq!(date(text.as_bytes()), Ok(days), "{text}");
        }
        for text in [
            "1900-02-29",
            "2026-13-01",
            "2026-1-1",
            "2026-01-01 ",
            "x",
            "",
            "2026-00-10",
            "2026-04-31",
            "2026-04-00",
            "20260-4-1",
            "-026-01-01",
            "2026/01/01",
        ] {
            assert_eq!(date(text.as_bytes()), Err(Fault::NotTime), "{text}");
        }
    }

    #[test]
    fn times_keep_every_digit() {
        for (text, micros) in [
            ("00:00", 0),
            ("23:59", 86_340_000_000),
            ("00:00:01.5", 1_500_000),
            ("00:00:00.000001", 1),
            ("00:00:00.123456000", 123_456),
            ("12:34:56", 45_296_000_000),
        ] {
            assert_eq!(time(text.as_bytes()), Ok(micros), "{text}");
        }
        for (text, fault) in [
            ("24:00", Fault::NotTime),
            ("00:60", Fault::NotTime),
            ("00:00:60", Fault::NotTime),
            ("00:00:0.1", Fault::NotTime),
            ("00:00:00.", Fault::NotTime),
            ("00:00:00,5", Fault::NotTime),
            ("00:00.5", Fault::NotTime),
            ("0:00", Fault::NotTime),
            ("", Fault::NotTime),
            ("00:00:00.1234567", Fault::SubMicrosecond),
            ("00:00:00.0000000001", Fault::SubMicrosecond),
            ("12:00Z", Fault::Zone),
            ("12:00:00.5+02:00", Fault::Zone),
            ("12:00:00-0130", Fault::Zone),
        ] {
            assert_eq!(time(text.as_bytes()), Err(fault), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let span = 2_932_896 + 719_528;
        for n in 0..=5_000 {
            let micros = (n * span / 5_000 - 719_528) * MICROS_PER_DAY + n * 17_279_999_999 % MICROS_PER_DAY;
            let text = timestamp_text(micros).expect("a year of four digits");
            assert_eq!(timestamp(text.as_bytes()), Ok(micros), "{text}");
        }
        assert_eq!(timestamp_text(-1).as_deref(), Some("1969-12-31 23:59:59.999999"));
        assert_eq!(date_text(-719_528).as_deref(), Some("0000-01-01"));
        assert_eq!((date_text(-719_529), date_text(2_932_897), time_text(-1)), (None, None, None));
        assert_eq!(time_text(MICROS_PER_DAY), None);
    }

    #[test]
    fn timestamps_are_naive() {
        for (text, micros) in [
            ("1970-01-01 00:00:01.5", 1_500_000),
            ("1970-01-02T01:00", 90_000_000_000),
            ("1970-01-02", MICROS_PER_DAY),
            ("1969-12-31 23:59:59.999999", -1),
        ] {
            assert_eq!(timestamp(text.as_bytes()), Ok(micros), "{text}");
        }
        for (text, fault) in [
            ("1970-01-01 00:00:00Z", Fault::Zone),
            ("1970-01-01T00:00:00+01:00", Fault::Zone),
            ("1970-01-01 ", Fault::NotTime),
            ("1970-01-01x00:00", Fault::NotTime),
            ("now", Fault::NotTime),
            ("1970-01-0é 00:00", Fault::NotTime),
        ] {
            assert_eq!(timestamp(text.as_bytes()), Err(fault), "{text}");
        }
    }
}
