//! Dates and times: from the server's epoch (2000-01-01) to Arrow's (1970-01-01), with the values that have no place.
//! It must not know batches, nor time zones: instants arrive in UTC.

use super::fault::Fault;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const DAY_US: i64 = 86_400_000_000;
/// The last time of day that Arrow has.
pub(super) const LAST_US_OF_DAY: i64 = DAY_US - 1;
/// µs from 1970-01-01 to 2000-01-01.
const EPOCH_US: i64 = EPOCH_DAYS as i64 * DAY_US;

/// Days since 1970-01-01 of a `date`.
#[inline]
pub(super) fn date32(days: i32) -> Result<i32, Fault> {
    match days {
        // The ends of the range mean infinity.
        i32::MIN | i32::MAX => Err(Fault::InfiniteTime),
        _ => days.checked_add(EPOCH_DAYS).ok_or(Fault::TimeOverflow),
    }
}

/// µs since 1970-01-01 00:00:00 of a `timestamp` or `timestamptz`.
#[inline]
pub(super) fn timestamp_us(us: i64) -> Result<i64, Fault> {
    match us {
        i64::MIN | i64::MAX => Err(Fault::InfiniteTime),
        _ => us.checked_add(EPOCH_US).ok_or(Fault::TimeOverflow),
    }
}

/// µs since midnight of a `time`.
#[inline]
pub(super) fn time64_us(us: i64) -> Result<i64, Fault> {
    match us {
        0..DAY_US => Ok(us),
        DAY_US => Err(Fault::EndOfDay),
        _ => Err(Fault::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_ends_of_the_ranges() {
        assert_eq!(date32(0), Ok(10_957));
        assert_eq!(date32(-2_451_545), Ok(-2_440_588));
        assert_eq!(date32(i32::MAX), Err(Fault::InfiniteTime));
        assert_eq!(date32(i32::MIN), Err(Fault::InfiniteTime));
        assert_eq!(date32(i32::MAX - 1), Err(Fault::TimeOverflow));
        assert_eq!(timestamp_us(0), Ok(946_684_800_000_000));
        assert_eq!(timestamp_us(i64::MAX - 946_684_800_000_000), Ok(i64::MAX));
        assert_eq!(timestamp_us(i64::MAX - 946_684_800_000_000 + 1), Err(Fault::TimeOverflow));
        assert_eq!(timestamp_us(i64::MAX), Err(Fault::InfiniteTime));
        assert_eq!(timestamp_us(i64::MIN), Err(Fault::InfiniteTime));
        assert_eq!(time64_us(0), Ok(0));
        assert_eq!(time64_us(86_399_999_999), Ok(86_399_999_999));
        assert_eq!(time64_us(86_400_000_000), Err(Fault::EndOfDay));
        assert_eq!(time64_us(86_400_000_001), Err(Fault::Malformed));
        assert_eq!(time64_us(-1), Err(Fault::Malformed));
    }
}
