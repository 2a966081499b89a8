//! Intervals: as Arrow's months, days and ns, or as the ISO 8601 text that the server writes for them.
//! It must not know batches. Parts are never normalised into one another.

use std::io::Write;

use arrow_buffer::IntervalMonthDayNano;

use super::fault::Fault;

const HOUR_US: i64 = 3_600_000_000;
const MINUTE_US: i64 = 60_000_000;
const SECOND_US: i64 = 1_000_000;
const NS_PER_US: i64 = 1_000;

/// An interval as the server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    months: i32,
    days: i32,
    us: i64,
}

impl Interval {
    /// Since version 17: all three parts at the end of their range.
    const INFINITY: Self = Self { months: i32::MAX, days: i32::MAX, us: i64::MAX };
    const NEGATIVE_INFINITY: Self = Self { months: i32::MIN, days: i32::MIN, us: i64::MIN };

    /// Takes a field apart.
    pub(super) fn parse(field: &[u8; 16]) -> Self {
        let bits = u128::from_be_bytes(*field);
        Self { us: (bits >> 64) as i64, days: (bits >> 32) as i32, months: bits as i32 }
    }

    /// Months, days and ns.
    ///
    /// # Errors
    /// When it is infinite, or ns do not fit 64 bits.
    pub(super) fn month_day_nano(self) -> Result<IntervalMonthDayNano, Fault> {
        if self == Self::INFINITY || self == Self::NEGATIVE_INFINITY {
            return Err(Fault::InfiniteTime);
        }
        let ns = self.us.checked_mul(NS_PER_US).ok_or(Fault::TimeOverflow)?;
        Ok(IntervalMonthDayNano::new(self.months, self.days, ns))
    }

    /// The nearest value that Arrow holds.
    pub(super) fn clamped(self) -> IntervalMonthDayNano {
        IntervalMonthDayNano::new(self.months, self.days, self.us.saturating_mul(NS_PER_US))
    }

    /// Appends ISO 8601 as the server does (`IntervalStyle = iso_8601`): each part has its own sign.
    pub(super) fn write_iso_8601(self, out: &mut Vec<u8>) {
        match self {
            Self::INFINITY => return out.extend_from_slice(b"infinity"),
            Self::NEGATIVE_INFINITY => return out.extend_from_slice(b"-infinity"),
            Self { months: 0, days: 0, us: 0 } => return out.extend_from_slice(b"PT0S"),
            _ => out.push(b'P'),
        }
        part(out, (self.months / 12).into(), b'Y');
        part(out, (self.months % 12).into(), b'M');
        part(out, self.days.into(), b'D');
        if self.us == 0 {
            return;
        }
        out.push(b'T');
        part(out, self.us / HOUR_US, b'H');
        part(out, self.us % HOUR_US / MINUTE_US, b'M');
        seconds(out, self.us % MINUTE_US);
    }
}

fn part(out: &mut Vec<u8>, n: i64, unit: u8) {
    if n != 0 {
        // Writing to memory does not fail.
        let _ = write!(out, "{n}");
        out.push(unit);
    }
}

fn seconds(out: &mut Vec<u8>, us: i64) {
    if us == 0 {
        return;
    }
    let sign = if us < 0 { "-" } else { "" };
    let (whole, fraction) = (us.abs() / SECOND_US, us.abs() % SECOND_US);
    let _ = write!(out, "{sign}{whole}");
    if fraction != 0 {
        let _ = write!(out, ".{fraction:06}");
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'S');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(months: i32, days: i32, us: i64) -> String {
        let mut out = Vec::new();
        Interval { months, days, us }.write_iso_8601(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn the_text_keeps_each_part_and_its_sign() {
        assert_eq!(iso(0, 0, 0), "PT0S");
        assert_eq!(iso(14, -2, 11_045_678_901), "P1Y2M-2DT3H4M5.678901S");
        assert_eq!(iso(-1, 0, 0), "P-1M");
        assert_eq!(iso(0, 0, -1), "PT-0.000001S");
        assert_eq!(iso(0, 0, 30 * HOUR_US), "PT30H");
        assert_eq!(iso(0, 1, -500_000), "P1DT-0.5S");
        assert_eq!(iso(0, 0, 10 * SECOND_US), "PT10S");
        assert_eq!(iso(i32::MIN, i32::MIN, i64::MIN), "-infinity");
    }

    #[test]
    fn nanoseconds_fit_or_are_refused() {
        let interval = |us| Interval { months: 1, days: 2, us };
        assert_eq!(interval(-3).month_day_nano(), Ok(IntervalMonthDayNano::new(1, 2, -3000)));
        assert_eq!(interval(i64::MAX / 1000 + 1).month_day_nano(), Err(Fault::TimeOverflow));
        assert_eq!(interval(i64::MIN).clamped(), IntervalMonthDayNano::new(1, 2, i64::MIN));
        assert_eq!(Interval::INFINITY.month_day_nano(), Err(Fault::InfiniteTime));
    }
}
