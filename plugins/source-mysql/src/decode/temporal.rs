//! Dates and times of the server as Arrow counts them, and as text.
//! It must not know columns, nor time zones: instants arrive in UTC.

use super::fault::Fault;

pub(super) const DAY_US: i64 = 86_400_000_000;

/// Days since 1970-01-01.
#[inline]
pub(super) fn days(year: u16, month: u8, day: u8) -> Result<i32, Fault> {
    if month == 0 || day == 0 || month > 12 || day > days_of_month(year, month) {
        return Err(Fault::ZeroDate);
    }
    // Years begin in March, so that the leap day is the last (Howard Hinnant, "chrono-Compatible Low-Level Date
    // Algorithms").
    let year = i32::from(year) - i32::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = (i32::from(month) + 9) % 12;
    let of_year = (153 * month + 2) / 5 + i32::from(day) - 1;
    Ok(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn days_of_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// µs of a clock's reading.
#[inline]
pub(super) fn clock_us(hour: u8, minute: u8, second: u8, us: u32) -> i64 {
    ((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * 1_000_000 + i64::from(us)
}

/// `2024-01-31`.
pub fn date_text(year: u16, month: u8, day: u8) -> String {
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2024-01-31 23:59:59.000001`.
pub fn datetime_text(date: (u16, u8, u8), (hour, minute, second, us): (u8, u8, u8, u32)) -> String {
    format!("{} {hour:02}:{minute:02}:{second:02}.{us:06}", date_text(date.0, date.1, date.2))
}

/// `-838:59:59.000000`.
pub fn time_text(negative: bool, days: u32, (hour, minute, second, us): (u8, u8, u8, u32)) -> String {
    let sign = if negative { "-" } else { "" };
    format!("{sign}{:02}:{minute:02}:{second:02}.{us:06}", u64::from(days) * 24 + u64::from(hour))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_as_the_calendar_does() {
        for (date, expected) in [
            ((1970, 1, 1), Ok(0)),
            ((1969, 12, 31), Ok(-1)),
            ((2000, 2, 29), Ok(11_016)),
            ((2024, 3, 1), Ok(19_783)),
            ((1000, 1, 1), Ok(-354_285)),
            ((1, 1, 1), Ok(-719_162)),
            ((0, 1, 1), Ok(-719_528)),
            ((0, 2, 29), Ok(-719_469)),
            ((9999, 12, 31), Ok(2_932_896)),
            ((0, 0, 0), Err(Fault::ZeroDate)),
            ((2024, 0, 10), Err(Fault::ZeroDate)),
            ((2024, 2, 0), Err(Fault::ZeroDate)),
            ((2023, 2, 29), Err(Fault::ZeroDate)),
            ((1900, 2, 29), Err(Fault::ZeroDate)),
            ((2024, 13, 1), Err(Fault::ZeroDate)),
        ] {
            assert_eq!(days(date.0, date.1, date.2), expected, "{date:?}");
        }
        assert_eq!(clock_us(23, 59, 59, 999_999), DAY_US - 1);
        assert_eq!(time_text(true, 34, (22, 59, 59, 0)), "-838:59:59.000000");
    }
}
