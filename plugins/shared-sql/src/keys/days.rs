//! Where to cut along a key of dates or timestamps: every so many days, and nowhere in the days that nobody has.
//! It must not know how a statement is run, nor time zones.

use rivet_plugin_api::{ErrorKind, KeyValue, PluginError, Result};

use super::borders::{KeyAnswers, found, hop, not_too_many};
use super::{Key, KeyRows};

/// Days from 0000-03-01 to 1970-01-01, and of 400 years.
const EPOCH_DAYS: i64 = 719_468;
const ERA_DAYS: i64 = 146_097;

/// How an engine writes the beginning of a day as a key.
pub trait Calendar: KeyAnswers {
    /// The day, which is written `2024-01-31`, as a value of the key.
    fn day(&self, text: String) -> KeyValue;
}

/// Borders that leave `n_days` between them, counted from the first day that has a key. Keys that are no days of the years 1
/// to 9999 are in the first split, or in the last, with all that come behind them.
///
/// # Errors
/// The engine's; `Config` for more borders than make sense, and for keys in whose order days do not rise.
pub fn by_days(engine: &mut impl Calendar, of: &KeyRows, n_days: u32) -> Result<Vec<Key>> {
    let step = i64::from(n_days.max(1));
    let mut borders: Vec<Key> = Vec::new();
    let mut at = vec![engine.day(text_of(days_of("0001-01-01").unwrap_or(0)))];
    let (mut first, mut last) = (None, None);
    loop {
        let behind = KeyRows { from: Some(at.clone()), ..of.clone() };
        let select = hop(engine, &behind, None, 0)?;
        let next = found(engine, &select, of)?.pop();
        // There is something in the range that begins here.
        if first.is_some() && next.is_some() {
            borders.push(at);
            not_too_many(&borders, of)?;
        }
        let Some(day) = next.and_then(|key| days_of(&key.first()?.text)) else { return Ok(borders) };
        let from = *first.get_or_insert(day);
        let next = from + ((day - from).div_euclid(step) + 1) * step;
        // Between borders that do not rise there would be no rows, and beside them rows in no split.
        if last.replace(next).is_some_and(|last| next <= last) {
            let text = format!("{} is no column of days: they are not in the order of its keys", of.key.join(", "));
            return Err(PluginError::new(ErrorKind::Config, "sql.days", text)
                .hint("cut by `chunk_size`, or by another column, that is a date or timestamp throughout"));
        }
        let border = text_of(next);
        if border.len() > "9999-12-31".len() {
            return Ok(borders);
        }
        at = vec![engine.day(border)];
    }
}

/// Days since 1970 of a text that starts with a date of the years 0 to 9999; none for any other.
fn days_of(text: &str) -> Option<i64> {
    let date = text.get(..10).filter(|_| !text.ends_with("BC"))?;
    let part = |from: usize, to: usize| -> Option<i64> {
        let digits = date.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let ("-", "-") = (date.get(4..5)?, date.get(7..8)?) else { return None };
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    if !(0..=12).contains(&month) || !(0..=31).contains(&day) {
        return None;
    }
    // Some servers have dates without a month or a day: they come before the first of it.
    let (month, day) = if month == 0 { (1, 1) } else { (month, day.max(1)) };
    let written = format!("{year:04}-{month:02}-{day:02}");
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_era = year.rem_euclid(400);
    let days = of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * ERA_DAYS + days - EPOCH_DAYS;
    // The 30th of February is no day.
    (text_of(days) == written).then_some(days)
}

/// The date of a day since 1970.
fn text_of(days: i64) -> String {
    let (era, day) = ((days + EPOCH_DAYS).div_euclid(ERA_DAYS), (days + EPOCH_DAYS).rem_euclid(ERA_DAYS));
    let of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (of_era, month + 3) } else { (of_era + 1, month - 9) };
    format!("{:04}-{month:02}-{of_month:02}", era * 400 + year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates() {
        for (text, days) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-1)),
            ("2000-02-29", Some(11_016)),
            ("2024-03-01 23:59:59.999999+00", Some(19_783)),
            ("0001-01-01", Some(-719_162)),
            ("9999-12-31", Some(2_932_896)),
            ("0044-03-15 BC", None),
            ("infinity", None),
            ("-infinity", None),
            ("12024-01-01", None),
            ("", None),
            ("2024-00-00", Some(19_723)),
            ("2024-1-1 00:0", None),
            ("2024-00-15", Some(19_723)),
            ("2024-13-01", None),
            ("2024-01-00", Some(19_723)),
            ("2024-02-30", None),
            ("2023-02-29 10:00", None),
        ] {
            assert_eq!(days_of(text), days, "{text}");
        }
        for days in (-719_162..2_932_897).step_by(97) {
            assert_eq!(days_of(&text_of(days)), Some(days));
        }
    }
}
