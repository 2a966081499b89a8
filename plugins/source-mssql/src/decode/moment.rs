//! Dates and times of the wire as numbers since 1970.
//! It must not know Arrow, nor policies.

use tiberius::time::{Date, DateTime, SmallDateTime, Time};

use super::fault::Fault;

/// Days from 0001-01-01, and from 1900-01-01, to 1970-01-01.
const SINCE_YEAR_1: i64 = 719_162;
const SINCE_1900: i64 = 25_567;
/// Days of the last date, 9999-12-31, since 1970.
const LAST_DAY: i64 = 2_932_896;
const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// Days since 1970.
pub fn day(date: Date) -> Result<i32, Fault> {
    day_number(i64::from(date.days()) - SINCE_YEAR_1)
}

fn day_number(day: i64) -> Result<i32, Fault> {
    i32::try_from(day).ok().filter(|_| day <= LAST_DAY).ok_or(Fault::NotTime)
}

/// Nanoseconds since midnight.
pub fn time(time: Time) -> Result<i128, Fault> {
    let scale = u32::from(time.scale());
    let digits = 9_u32.checked_sub(scale).ok_or(Fault::NotTime)?;
    let nanos = i128::from(time.increments()) * 10_i128.pow(digits);
    if nanos < NANOS_PER_DAY { Ok(nanos) } else { Err(Fault::NotTime) }
}

/// Nanoseconds since 1970.
pub fn datetime2(date: Date, of_day: Time) -> Result<i128, Fault> {
    Ok(i128::from(day(date)?) * NANOS_PER_DAY + time(of_day)?)
}

/// Nanoseconds since 1970 of a `datetime`, which counts 300ths of a second and stands for .000, .003 or .007.
pub fn datetime(value: DateTime) -> Result<i128, Fault> {
    let day = day_number(i64::from(value.days()) - SINCE_1900)?;
    let ms = (i128::from(value.seconds_fragments()) * 20 + 3) / 6;
    let nanos = ms * 1_000_000;
    if nanos > NANOS_PER_DAY {
        return Err(Fault::NotTime);
    }
    Ok(i128::from(day) * NANOS_PER_DAY + nanos)
}

/// Nanoseconds since 1970 of a `smalldatetime`, which counts minutes.
pub fn smalldatetime(value: SmallDateTime) -> Result<i128, Fault> {
    let day = day_number(i64::from(value.days()) - SINCE_1900)?;
    let nanos = i128::from(value.seconds_fragments()) * 60_000_000_000;
    if nanos >= NANOS_PER_DAY {
        return Err(Fault::NotTime);
    }
    Ok(i128::from(day) * NANOS_PER_DAY + nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datetime_has_thousandths_that_end_in_0_3_or_7() {
        let at = |fragments| datetime(DateTime::new(25_567, fragments)).expect("a time") / 1_000_000;
        assert_eq!([at(0), at(1), at(2), at(3), at(299), at(300)], [0, 3, 7, 10, 997, 1_000]);
        assert_eq!(at(25_919_999), 86_399_997);
        assert_eq!(datetime(DateTime::new(-53_690, 0)).expect("1753"), -6_847_804_800_000_000_000);
    }

    #[test]
    fn ends_of_the_calendar() {
        assert_eq!((day(Date::new(0)), day(Date::new(3_652_058))), (Ok(-719_162), Ok(2_932_896)));
        assert_eq!(day(Date::new(3_652_059)), Err(Fault::NotTime));
        assert_eq!(time(Time::new(863_999_999_999, 7)), Ok(86_399_999_999_900));
        assert_eq!(
            (time(Time::new(864_000_000_000, 7)), time(Time::new(0, 200))),
            (Err(Fault::NotTime), Err(Fault::NotTime))
        );
        assert_eq!(smalldatetime(SmallDateTime::new(25_567, 1_439)), Ok(86_340_000_000_000));
    }
}
