//! Intervals as ISO 8601 text, for files that have no type for them.
//! It must not know files.

use std::fmt::Write;

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const HOUR_NS: i64 = 60 * MINUTE_NS;

/// Appends an interval of months, days and ns. Each part has its own sign; months beyond a year show as years.
pub fn write_iso_8601(months: i32, days: i32, ns: i64, out: &mut String) {
    if (months, days, ns) == (0, 0, 0) {
        return out.push_str("PT0S");
    }
    out.push('P');
    part(out, (months / 12).into(), 'Y');
    part(out, (months % 12).into(), 'M');
    part(out, days.into(), 'D');
    if ns == 0 {
        return;
    }
    out.push('T');
    part(out, ns / HOUR_NS, 'H');
    part(out, ns % HOUR_NS / MINUTE_NS, 'M');
    let seconds = ns % MINUTE_NS;
    if seconds != 0 {
        let sign = if seconds < 0 { "-" } else { "" };
        let (whole, fraction) = (seconds.abs() / SECOND_NS, seconds.abs() % SECOND_NS);
        // Writing to memory does not fail.
        let _ = write!(out, "{sign}{whole}.{fraction:09}");
        out.truncate(out.trim_end_matches('0').trim_end_matches('.').len());
        out.push('S');
    }
}

fn part(out: &mut String, n: i64, unit: char) {
    if n != 0 {
        let _ = write!(out, "{n}{unit}");
    }
}
