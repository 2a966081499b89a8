//! Texts to days, times and decimals, exactly or not at all.
//! It must not know columns or SQLite.

/// `YYYY-MM-DD` as days since 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
pub fn date(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let year = i64::from(number(&[*y1, *y2, *y3, *y4])?);
    let (month, day) = (i64::from(number(&[*m1, *m2])?), i64::from(number(&[*d1, *d2])?));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.f` with up to 6 digits, as µs since midnight.
pub fn time(text: &[u8]) -> Option<i64> {
    let (clock, fraction) = match text.iter().position(|b| *b == b'.') {
        Some(at) if at == 8 => (&text[..at], Some(&text[at + 1..])),
        Some(_) => return None,
        None => (text, None),
    };
    let (h, m, s) = match clock {
        [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?),
        _ => return None,
    };
    if h > 23 || m > 59 || s > 59 {
        return None;
    }
    let micros = match fraction {
        None => 0,
        Some(digits) if (1..=6).contains(&digits.len()) => {
            i64::from(number(digits)?) * 10_i64.pow(u32::try_from(6 - digits.len()).ok()?)
        }
        Some(_) => return None,
    };
    Some((i64::from(h) * 3600 + i64::from(m) * 60 + i64::from(s)) * 1_000_000 + micros)
}

/// A date, or a date and a time joined by a blank or `T`, as µs since 1970-01-01.
pub fn timestamp(text: &[u8]) -> Option<i64> {
    let days = i64::from(date(text.get(..10)?)?);
    let micros = match &text[10..] {
        [] => 0,
        [b' ' | b'T', clock @ ..] => time(clock)?,
        _ => return None,
    };
    Some(days * 86_400_000_000 + micros)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// Digits with an optional sign and point as an integer of 10^-scale; `None` when a digit would be lost or there are
/// more than `precision` digits.
pub fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let scale = usize::from(scale);
    let kept = fraction.get(..scale).unwrap_or(fraction);
    if fraction[kept.len()..].bytes().any(|b| b != b'0') {
        return None;
    }
    let padding = std::iter::repeat_n(b'0', scale - kept.len());
    let mut value = 0_i128;
    for digit in whole.bytes().chain(kept.bytes()).chain(padding) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_exactly_or_not_at_all() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"2000-02-29"), Some(11_016));
        assert_eq!(date(b"0001-01-01"), Some(-719_162));
        assert_eq!(date(b"9999-12-31"), Some(2_932_896));
        for text in ["1900-02-29", "2026-13-01", "2026-1-1", "2026-01-01 ", "x", "2026-00-10", "2026-04-31"] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
        assert_eq!(timestamp(b"1970-01-01 00:00:01.5"), Some(1_500_000));
        assert_eq!(timestamp(b"1970-01-02T01:00"), Some(90_000_000_000));
        assert_eq!(timestamp(b"1969-12-31 23:59:59.999999"), Some(-1));
        for text in
            ["1970-01-01 24:00:00", "1970-01-01 00:00:00Z", "1970-01-01 00:00:00.1234567", "1970-01-01 00:00:0.1"]
        {
            assert_eq!(timestamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decimals_lose_no_digit() {
        assert_eq!(decimal("12.5", 12, 2), Some(1250));
        assert_eq!(decimal("-0.01", 12, 2), Some(-1));
        assert_eq!(decimal("12.500", 12, 2), Some(1250));
        assert_eq!(decimal("99", 2, 0), Some(99));
        for (text, p, s) in
            [("12.505", 12, 2), ("100", 2, 0), ("1e3", 12, 2), ("", 3, 0), (".", 3, 1), ("-", 3, 0), ("1.2.3", 9, 4)]
        {
            assert_eq!(decimal(text, p, s), None, "{text}");
        }
        assert_eq!(decimal("99999999999999999999999999999999999999", 38, 0), Some(10_i128.pow(38) - 1));
    }
}
