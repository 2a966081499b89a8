//! Dates and times on the wire, from texts of ISO 8601.
//! Must not know columns, nor where the texts come from.

use anyhow::{Result, bail};

/// Dates and times, which are stored as texts of ISO 8601.
pub fn bytes(base: &str, scale: u8, text: &str) -> Result<Vec<u8>> {
    let (day, time) = text.split_once(['T', ' ']).unwrap_or(if text.contains(':') {
        ("0001-01-01", text)
    } else {
        (text, "00:00:00")
    });
    let (time, offset) = offset(time)?;
    let days = days_of(day)?;
    Ok(match base {
        "date" => days.to_le_bytes()[..3].to_vec(),
        "time" => fraction(time, scale)?,
        "datetime2" => [fraction(time, scale)?, days.to_le_bytes()[..3].to_vec()].concat(),
        "datetimeoffset" => {
            // What travels is the moment by UTC.
            let all = i128::from(days) * 864_000_000_000 + i128::from(ticks(time)?) - i128::from(offset) * 600_000_000;
            let (days, of_day) = (all.div_euclid(864_000_000_000), all.rem_euclid(864_000_000_000));
            let n = u64::try_from(of_day)? / 10_u64.pow(u32::from(7 - scale));
            let mut bytes = n.to_le_bytes()[..time_bytes(scale)].to_vec();
            bytes.extend(&u32::try_from(days)?.to_le_bytes()[..3]);
            bytes.extend(offset.to_le_bytes());
            bytes
        }
        "datetime" => {
            let since_1900 = i32::try_from(i64::from(days) - 693_595)?;
            // 300ths of a second, of which three are a hundredth.
            let n = u32::try_from((ticks(time)? * 3 + 50_000) / 100_000)?;
            [since_1900.to_le_bytes(), n.to_le_bytes()].concat()
        }
        "smalldatetime" => {
            let since_1900 = u16::try_from(i64::from(days) - 693_595)?;
            let minutes = u16::try_from(ticks(time)? / 600_000_000)?;
            [since_1900.to_le_bytes(), minutes.to_le_bytes()].concat()
        }
        other => bail!("no type {other} here"),
    })
}

/// A time without its distance from UTC, and that distance in minutes.
fn offset(time: &str) -> Result<(&str, i16)> {
    let Some(at) = time.rfind(['+', '-']) else { return Ok((time, 0)) };
    let (time, zone) = time.split_at(at);
    let (hours, minutes) = zone[1..].split_once(':').unwrap_or((&zone[1..], "0"));
    let minutes = hours.parse::<i16>()? * 60 + minutes.parse::<i16>()?;
    Ok((time.trim_end(), if zone.starts_with('-') { -minutes } else { minutes }))
}

fn time_bytes(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

fn fraction(time: &str, scale: u8) -> Result<Vec<u8>> {
    let n = ticks(time)? / 10_u64.pow(u32::from(7 - scale));
    Ok(n.to_le_bytes()[..time_bytes(scale)].to_vec())
}

/// 100 ns since midnight.
fn ticks(time: &str) -> Result<u64> {
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let parts = whole.split(':').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>()?;
    let seconds = parts.iter().fold(0, |sum, part| sum * 60 + part) * 60_u64.pow(3 - parts.len() as u32);
    Ok(seconds * 10_000_000 + format!("{fraction:0<7}")[..7].parse::<u64>()?)
}

/// Days since 0001-01-01.
pub fn days_of(day: &str) -> Result<u32> {
    let parts = day.split('-').map(str::parse::<i64>).collect::<Result<Vec<_>, _>>()?;
    let [year, month, day] = parts[..] else { bail!("no date: {day}") };
    // Years begin in March, so that the leap day is the last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Ok(u32::try_from(y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 306)?)
}
