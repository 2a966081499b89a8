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
