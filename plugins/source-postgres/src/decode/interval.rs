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
pub(super) enum Interval {
    /// Its parts.
    Finite {
        months: i32,
        days: i32,
        us: i64,
    },
    Infinity,
    NegativeInfinity,
}

impl Interval {
    /// Takes a field apart. Since version 17 all three parts at the end of their range mean infinity (`has_infinity`);
    /// before, that was an interval like any other.
    pub(super) fn parse(field: &[u8; 16], has_infinity: bool) -> Self {
        let bits = u128::from_be_bytes(*field);
        match ((bits >> 64) as i64, (bits >> 32) as i32, bits as i32) {
            (i64::MAX, i32::MAX, i32::MAX) if has_infinity => Self::Infinity,
            (i64::MIN, i32::MIN, i32::MIN) if has_infinity => Self::NegativeInfinity,
            (us, days, months) => Self::Finite { months, days, us },
        }
    }

    /// Months, days and ns.
    ///
    /// # Errors
    /// When it is infinite, or ns do not fit 64 bits.
    pub(super) fn month_day_nano(self) -> Result<IntervalMonthDayNano, Fault> {
        let Self::Finite { months, days, us } = self else { return Err(Fault::InfiniteTime) };
        let ns = us.checked_mul(NS_PER_US).ok_or(Fault::TimeOverflow)?;
        Ok(IntervalMonthDayNano::new(months, days, ns))
    }

    /// The nearest value that Arrow holds.
    pub(super) fn clamped(self) -> IntervalMonthDayNano {
        match self {
            Self::Finite { months, days, us } => IntervalMonthDayNano::new(months, days, us.saturating_mul(NS_PER_US)),
            Self::Infinity => IntervalMonthDayNano::MAX,
            Self::NegativeInfinity => IntervalMonthDayNano::MIN,
        }
    }

    /// Appends ISO 8601 as the server does (`IntervalStyle = iso_8601`): each part has its own sign.
    pub(super) fn write_iso_8601(self, out: &mut Vec<u8>) {
        let (months, days, us) = match self {
            Self::Infinity => return out.extend_from_slice(b"infinity"),
            Self::NegativeInfinity => return out.extend_from_slice(b"-infinity"),
            Self::Finite { months: 0, days: 0, us: 0 } => return out.extend_from_slice(b"PT0S"),
            Self::Finite { months, days, us } => (months, days, us),
        };
        out.push(b'P');
        part(out, (months / 12).into(), b'Y');
        part(out, (months % 12).into(), b'M');
        part(out, days.into(), b'D');
        if us == 0 {
            return;
        }
        out.push(b'T');
        part(out, us / HOUR_US, b'H');
        part(out, us % HOUR_US / MINUTE_US, b'M');
        seconds(out, us % MINUTE_US);
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

    fn text(interval: Interval) -> String {
        let mut out = Vec::new();
        interval.write_iso_8601(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    fn iso(months: i32, days: i32, us: i64) -> String {
        text(Interval::Finite { months, days, us })
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
    }

    #[test]
    fn the_ends_of_the_range_are_infinite_since_version_17_only() {
        let field = |us: i64, days: i32, months: i32| {
            let mut field = [0; 16];
            field[..8].copy_from_slice(&us.to_be_bytes());
            field[8..12].copy_from_slice(&days.to_be_bytes());
            field[12..].copy_from_slice(&months.to_be_bytes());
            field
        };
        let (last, first) = (field(i64::MAX, i32::MAX, i32::MAX), field(i64::MIN, i32::MIN, i32::MIN));
        assert_eq!(text(Interval::parse(&last, true)), "infinity");
        assert_eq!(text(Interval::parse(&first, true)), "-infinity");
        assert_eq!(text(Interval::parse(&last, false)), "P178956970Y7M2147483647DT2562047788H54.775807S");
        assert_eq!(text(Interval::parse(&first, false)), "P-178956970Y-8M-2147483648DT-2562047788H-54.775808S");
        assert_eq!(Interval::parse(&last, true).month_day_nano(), Err(Fault::InfiniteTime));
        assert_eq!(Interval::parse(&last, false).month_day_nano(), Err(Fault::TimeOverflow));
    }

    #[test]
    fn nanoseconds_fit_or_are_refused() {
        let interval = |us| Interval::Finite { months: 1, days: 2, us };
        assert_eq!(interval(-3).month_day_nano(), Ok(IntervalMonthDayNano::new(1, 2, -3000)));
        assert_eq!(interval(i64::MAX / 1000 + 1).month_day_nano(), Err(Fault::TimeOverflow));
        assert_eq!(interval(i64::MIN).clamped(), IntervalMonthDayNano::new(1, 2, i64::MIN));
    }
}
