//! Which of two keys that a person typed is larger, where every engine orders them alike: numbers, dates and times.
//! It must not know collations: texts are left to the server.

use std::cmp::Ordering;

use rivet_plugin_api::LogicalType;

/// The order of two keys; none where only the server knows it, or where one is not written as expected.
pub fn compare(logical: &LogicalType, one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (one.trim(), other.trim());
    match logical {
        LogicalType::Int { .. } | LogicalType::Decimal { .. } => Some(Number::parse(one)?.cmp(&Number::parse(other)?)),
        LogicalType::Float { .. } => one.parse::<f64>().ok()?.partial_cmp(&other.parse::<f64>().ok()?),
        LogicalType::Date | LogicalType::Timestamp { .. } => Some(moment(one)?.cmp(&moment(other)?)),
        _ => None,
    }
}

/// What a date or time that a person typed says beyond what a column of this type holds, so that a source would leave
/// it out; none where it says no more, or is not written as expected.
pub fn surplus(logical: &LogicalType, text: &str) -> Option<&'static str> {
    let (date, rest) = text.trim().split_at_checked(10)?;
    if !date.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return None;
    }
    let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest);
    let is_era = |word: &str| ["BC", "AD"].iter().any(|era| era.eq_ignore_ascii_case(word));
    let is_half = |word: &str| ["AM", "PM"].iter().any(|half| half.eq_ignore_ascii_case(word));
    match logical {
        LogicalType::Date if rest.split_whitespace().any(|word| !is_era(word)) => Some("a time of day"),
        LogicalType::Timestamp { utc: false, .. } => {
            let mut words = rest.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
            let zone = rest.contains(['+', '-']) || words.any(|word| !is_era(word) && !is_half(word));
            zone.then_some("an offset")
        }
        _ => None,
    }
}

/// Why a text that a person gave is no value of a column of this type, as the rest of a sentence; none where it may be one.
pub fn problem(logical: &LogicalType, text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (fits, what) = match logical {
        LogicalType::Int { .. } => (all_digits(digits), "it is no whole number"),
        LogicalType::Decimal { .. } | LogicalType::Float { .. } => {
            (Number::parse(text).is_some() || text.parse::<f64>().is_ok(), "it is no number")
        }
        LogicalType::Date => (is_moment(text), "it is no date such as 2026-11-21"),
        LogicalType::Timestamp { .. } => (is_moment(text), "it is no time such as 2026-11-21 04:55:12"),
        LogicalType::Uuid => {
            let hex = text.trim_matches(['{', '}']).replace('-', "");
            (hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()), "it is no UUID")
        }
        _ => (!text.is_empty(), "it is empty"),
    };
    if !fits {
        return Some(what.to_owned());
    }
    surplus(logical, text).map(|surplus| format!("it says {surplus}, which the column does not have"))
}

/// A date, with a time of day and an offset or without; the year may have more than four digits.
fn is_moment(text: &str) -> bool {
    let text = text.trim_end_matches(" BC").trim_end_matches(" AD").trim();
    if matches!(text.to_ascii_lowercase().as_str(), "infinity" | "-infinity") {
        return true;
    }
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |text: &str, n: usize| {
        (text.len() >= n && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u32>().ok()).flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 1), number(day, 1)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    let time = time.trim();
    let zone = time.find(['Z', 'z', '+', '-', ' ']).unwrap_or(time.len());
    let mut clock = time[..zone].split([':', '.']);
    let in_time = time.is_empty()
        || (clock.by_ref().take(3).zip([24, 59, 60]).all(|(part, most)| number(part, 1).is_some_and(|n| n <= most))
            && clock.all(|fraction| number(fraction, 1).is_some()));
    (1..=days).contains(&day) && in_time
}

/// A decimal number of any length: whether it is negative, its digits before and after the point.
struct Number<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
}

impl<'t> Number<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = [whole, fraction].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
        if !all_digits || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        Some(Self { negative: negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let size = |n: &Self| (n.whole.len(), n.whole.to_owned(), n.fraction.to_owned());
        match (self.negative, other.negative) {
            (false, false) => size(self).cmp(&size(other)),
            (true, true) => size(other).cmp(&size(self)),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

/// `2026-11-21`, then perhaps `T` or a blank and `04:55[:12[.345678]]`, then perhaps `Z` or an offset: days since
/// 0000-03-01, seconds in UTC, and digits of the fraction. What has no offset is in UTC, as sessions are.
fn moment(text: &str) -> Option<(i64, String)> {
    let (date, rest) = text.split_at_checked(10)?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": March comes first.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day;
    let Some(time) = rest.strip_prefix(['T', ' ']) else {
        return rest.is_empty().then(|| (days * 86_400, String::new()));
    };
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.trim_end().split_once('.').unwrap_or((time.trim_end(), ""));
    fraction.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
    let clock = |text: &str| {
        let mut parts = text.split(':').map(number);
        let mut next = || parts.next().unwrap_or(Some(0));
        Some(next()? * 3600 + next()? * 60 + next()?)
    };
    let offset = match zone.split_at_checked(1) {
        None | Some(("Z", "")) => 0,
        Some(("+", offset)) => clock(offset)?,
        Some(("-", offset)) => -clock(offset)?,
        Some(_) => return None,
    };
    Some((days * 86_400 + clock(time)? - offset, fraction.trim_end_matches('0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_a_person_gives_is_of_its_type() {
        let (int, decimal) =
            (LogicalType::Int { bits: 64, signed: true }, LogicalType::Decimal { precision: 9, scale: 2 });
        let naive = LogicalType::Timestamp { utc: false, nanos: false };
        let utc = LogicalType::Timestamp { utc: true, nanos: false };
        for (logical, right, wrong) in [
            (&int, &["-7", "41", "99999999999999999999"][..], &["banana", "", "1.5", "2026-11-21"][..]),
            (&decimal, &["0.10", "-3", ".5"], &["banana", "1,5", ""]),
            (&LogicalType::Float { bits: 64 }, &["1e9", "NaN", "-infinity"], &["banana"]),
            (&LogicalType::Date, &["2024-02-29", "0044-03-15 BC", "infinity"], &["banana", "2026-02-30", "2026", "17"]),
            (
                &utc,
                &["2026-11-21 04:55:12.345678+00", "2026-11-21T04:55Z", "2026-11-21", "12026-01-01 00:00:00"],
                &["banana", "2026-13-01", "2026-11-21 25:00", "1795236912", "2026-11-21 ab:cd"],
            ),
            (&naive, &["2026-11-21 04:55:12"], &["2026-11-21 04:55:12+02"]),
            (&LogicalType::Uuid, &["018f1c0b-7a34-7b54-8e16-1c5a9b3f1c2d"], &["018f", "banana"]),
            (&LogicalType::Text, &["banana"], &[""]),
        ] {
            right.iter().for_each(|text| assert_eq!(problem(logical, text), None, "{logical:?} {text}"));
            wrong.iter().for_each(|text| assert!(problem(logical, text).is_some(), "{logical:?} {text}"));
        }
    }

    #[test]
    fn what_a_column_does_not_hold_is_seen() {
        let naive = LogicalType::Timestamp { utc: false, nanos: false };
        let utc = LogicalType::Timestamp { utc: true, nanos: false };
        let (offset, time) = (Some("an offset"), Some("a time of day"));
        for (logical, text, expected) in [
            (&naive, "2024-01-01 00:00 -04", offset),
            (&naive, "2024-01-01T00:00:00Z", offset),
            (&naive, "2024-01-01 00:00:00+05:45", offset),
            (&naive, "2024-01-01 00:00 America/New_York", offset),
            (&naive, "2024-01-01 00:00 est", offset),
            (&naive, "2024-01-01+02", offset),
            (&naive, "2024-01-01T00:00:00.123", None),
            (&naive, "2024-01-01", None),
            (&naive, "0044-03-15 10:00 pm BC", None),
            (&naive, "infinity", None),
            (&utc, "2024-01-01 00:00 -04", None),
            (&LogicalType::Date, "2024-01-01", None),
            (&LogicalType::Date, "0044-03-15 BC", None),
            (&LogicalType::Date, "2024-01-01 12:00", time),
            (&LogicalType::Date, "2024-01-01T12:00Z", time),
            (&LogicalType::Text, "2024-01-01 12:00 -04", None),
        ] {
            assert_eq!(surplus(logical, text), expected, "{text}");
        }
    }

    #[test]
    fn keys_compare_as_every_engine_orders_them() {
        let int = LogicalType::Int { bits: 64, signed: true };
        let decimal = LogicalType::Decimal { precision: 38, scale: 9 };
        let float = LogicalType::Float { bits: 64 };
        let time = LogicalType::Timestamp { utc: true, nanos: false };
        use Ordering::{Equal, Greater, Less};
        for (logical, one, other, expected) in [
            (&int, "9", "10", Some(Less)),
            (&int, "-9", "-10", Some(Greater)),
            (&int, "-1", "0", Some(Less)),
            (&int, "007", "7", Some(Equal)),
            (&int, "-0", "0", Some(Equal)),
            (&int, "ten", "1", None),
            (&int, "", "1", None),
            (&decimal, "1.5", "1.50", Some(Equal)),
            (&decimal, "1.09", "1.1", Some(Less)),
            (&decimal, "-1.09", "-1.1", Some(Greater)),
            (&decimal, "99999999999999999999999.1", "99999999999999999999999.09", Some(Greater)),
            (&decimal, ".5", "0.4", Some(Greater)),
            (&float, "1e3", "999", Some(Greater)),
            (&LogicalType::Date, "2026-03-01", "2026-02-28", Some(Greater)),
            (&LogicalType::Date, "2026-13-01", "2026-02-28", None),
            (&time, "2026-01-01", "2026-01-01 00:00:00", Some(Equal)),
            (&time, "2026-01-01T00:00:00.1Z", "2026-01-01 00:00:00.09", Some(Greater)),
            (&time, "2026-01-01 01:00:00+02", "2025-12-31 23:00:00+00", Some(Equal)),
            (&time, "2026-01-01 01:00:00+05:45", "2025-12-31 19:15:01Z", Some(Less)),
            (&time, "2024-02-29 23:59", "2024-03-01 00:00-00:01", Some(Less)),
            (&time, "yesterday", "2024-03-01", None),
            (&time, "2024-03-01 24h", "2024-03-01", None),
            (&LogicalType::Text, "b", "a", None),
        ] {
            assert_eq!(compare(logical, one, other), expected, "{one} {other}");
        }
    }
}
