//! Moments by the machine's clock, as columns are compared with them: SQLite has no clock of its own.
//! It must not know which rows are from when.

use rivet_plugin_api::{ErrorKind, KeyValue, Moment, PluginError, Result, Told};
use rusqlite::Connection;

use crate::decode::temporal;
use crate::error::sqlite;

const MS_PER_DAY: i64 = 86_400_000;

/// Now, ms since 1970 UTC, as SQLite tells it.
///
/// # Errors
/// SQLite's.
pub fn now(db: &Connection) -> Result<i64> {
    // A Julian day, exact to the millisecond.
    let sql = "SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)";
    db.query_row(sql, [], |row| row.get(0)).map_err(sqlite("ask what time it is"))
}

/// A moment before `now_ms`. Days are as long as one another, since a zone is a distance here.
///
/// # Errors
/// `Config` for a zone that SQLite does not know.
pub fn of(moment: &Moment, now_ms: i64) -> Result<Option<KeyValue>> {
    let zone_ms = zone_ms(&moment.time_zone)?;
    let local = now_ms + zone_ms;
    let end = if moment.at_midnight { local - local.rem_euclid(MS_PER_DAY) } else { local };
    let local = end - i64::from(moment.days_ago) * MS_PER_DAY;
    let number = |n: i64| Some(KeyValue::new("integer", n.to_string()));
    Ok(match moment.told {
        Told::Timestamp => {
            let text = local.checked_mul(1000).and_then(temporal::timestamp_text);
            text.map(|text| KeyValue::new("timestamp", text))
        }
        Told::Unix => number((local - zone_ms).div_euclid(1000)),
        Told::UnixMs => number(local - zone_ms),
    })
}

/// How far a zone is ahead of UTC, ms.
fn zone_ms(zone: &str) -> Result<i64> {
    let unknown = || {
        let text = format!("sqlite does not know the time zone '{zone}'");
        PluginError::new(ErrorKind::Config, "sqlite.time_zone", text)
            .hint("write `UTC`, or a distance such as `+02:00`")
    };
    if ["UTC", "Z", "GMT", "Etc/UTC"].iter().any(|utc| utc.eq_ignore_ascii_case(zone)) {
        return Ok(0);
    }
    let (sign, distance) = match zone.split_at_checked(1) {
        Some(("+", distance)) => (1, distance),
        Some(("-", distance)) => (-1, distance),
        _ => return Err(unknown()),
    };
    let number = |text: &str, most: i64| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i64>().ok().filter(|n| digits && *n <= most)
    };
    let (hours, minutes) = distance.split_once(':').unwrap_or((distance, "00"));
    let minutes = number(hours, 15).zip(number(minutes, 59)).map(|(hours, minutes)| hours * 60 + minutes);
    minutes.map(|minutes| sign * minutes * 60_000).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_all_forms() {
        let at = |told, days_ago, at_midnight, zone: &str| {
            let moment = Moment { column: "t".into(), told, days_ago, at_midnight, time_zone: zone.into() };
            of(&moment, 1_700_000_000_123).map(|value| value.map(|value| value.text))
        };
        let text = |text: &str| Some(text.to_owned());
        for (told, days_ago, at_midnight, zone, expected) in [
            (Told::Timestamp, 0, false, "UTC", text("2023-11-14 22:13:20.123000")),
            (Told::Timestamp, 7, false, "+02:00", text("2023-11-08 00:13:20.123000")),
            (Told::Timestamp, 7, true, "+02:00", text("2023-11-08 00:00:00")),
            (Told::Timestamp, u32::MAX, false, "UTC", None),
            (Told::Unix, 0, false, "UTC", text("1700000000")),
            (Told::Unix, 1, true, "-01:30", text("1699839000")),
            (Told::UnixMs, 1, false, "+05", text("1699913600123")),
            (Told::UnixMs, u32::MAX, false, "UTC", text("-371083474287999877")),
        ] {
            let found = at(told, days_ago, at_midnight, zone).expect("a zone");
            assert_eq!(found, expected, "{told:?} {days_ago} {zone}");
        }
        for zone in ["Europe/Berlin", "+2:00", "+99:00", "", "+02:60", "+0200"] {
            assert!(at(Told::Unix, 0, false, zone).is_err(), "{zone}");
        }
    }
}
