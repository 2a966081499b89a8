//! Decimals of a fixed scale from the three ways that SQLite stores a number; no digit is lost or made up.
//! It must not know columns.

use std::fmt::Write;

use arrow_array::builder::Decimal128Builder;
use rivet_plugin_api::Result;

use super::Fault;

/// Reads decimals of up to 38 digits.
pub struct Decimals {
    precision: u8,
    scale: u8,
    /// 10^scale.
    unit: i128,
    /// 10^precision: the first number with too many digits.
    limit: i128,
    /// For the text of a float.
    scratch: String,
}

impl Decimals {
    /// For decimals of `precision` digits in all, at most 38, and `scale` of them after the point.
    pub fn new(precision: u8, scale: u8) -> Self {
        let power = |exponent: u8| 10_i128.checked_pow(u32::from(exponent)).unwrap_or(i128::MAX);
        Self { precision, scale, unit: power(scale), limit: power(precision), scratch: String::new() }
    }

    /// An empty builder.
    ///
    /// # Errors
    /// `Internal`.
    pub fn builder(&self, n_rows: usize) -> Result<Decimal128Builder> {
        let scale = i8::try_from(self.scale).unwrap_or(i8::MAX);
        Ok(Decimal128Builder::with_capacity(n_rows).with_precision_and_scale(self.precision, scale)?)
    }

    /// An integer, in units of 10^-scale.
    pub fn integer(&self, i: i64) -> Result<i128, Fault> {
        let value = i128::from(i).checked_mul(self.unit).ok_or(Fault::Inexact)?;
        if value.unsigned_abs() < self.limit.unsigned_abs() { Ok(value) } else { Err(Fault::Inexact) }
    }

    /// A float, by its shortest text that reads back as the same number: what was written, when it was written with
    /// up to 15 digits.
    pub fn real(&mut self, r: f64) -> Result<i128, Fault> {
        if !r.is_finite() {
            return Err(Fault::Inexact);
        }
        self.scratch.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.scratch, "{r}");
        self.text(self.scratch.as_bytes())
    }

    /// Digits with an optional sign and point.
    pub fn text(&self, text: &[u8]) -> Result<i128, Fault> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (whole, fraction) = match digits.iter().position(|b| *b == b'.') {
            Some(point) => (&digits[..point], &digits[point + 1..]),
            None => (digits, &[][..]),
        };
        if (whole.is_empty() && fraction.is_empty()) || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Err(Fault::NotDecimal);
        }
        let scale = usize::from(self.scale);
        let (kept, cut) = fraction.split_at(fraction.len().min(scale));
        if cut.iter().any(|b| *b != b'0') {
            return Err(Fault::Inexact);
        }
        let zeros = std::iter::repeat_n(&b'0', scale - kept.len());
        let mut value = 0_i128;
        for digit in whole.iter().chain(kept).chain(zeros) {
            value = value.checked_mul(10).map(|v| v + i128::from(digit - b'0')).ok_or(Fault::Inexact)?;
            if value >= self.limit {
                return Err(Fault::Inexact);
            }
        }
        Ok(if negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost() {
        for (text, p, s, value) in [
            ("12.5", 12, 2, Ok(1250)),
            ("-0.01", 12, 2, Ok(-1)),
            ("12.500", 12, 2, Ok(1250)),
            ("+.5", 3, 1, Ok(5)),
            ("7.", 3, 1, Ok(70)),
            ("0000000000000000000000000000000000000000000012", 2, 0, Ok(12)),
            ("99", 2, 0, Ok(99)),
            ("99999999999999999999999999999999999999", 38, 0, Ok(10_i128.pow(38) - 1)),
            ("0.99999999999999999999999999999999999999", 38, 38, Ok(10_i128.pow(38) - 1)),
            ("12.505", 12, 2, Err(Fault::Inexact)),
            ("100", 2, 0, Err(Fault::Inexact)),
            ("9.99", 2, 2, Err(Fault::Inexact)),
            ("100000000000000000000000000000000000000", 38, 0, Err(Fault::Inexact)),
            ("999999999999999999999999999999999999999999999", 38, 0, Err(Fault::Inexact)),
            ("1e3", 12, 2, Err(Fault::NotDecimal)),
            ("", 3, 0, Err(Fault::NotDecimal)),
            (".", 3, 1, Err(Fault::NotDecimal)),
            ("-", 3, 0, Err(Fault::NotDecimal)),
            ("1.2.3", 9, 4, Err(Fault::NotDecimal)),
            (" 1", 9, 4, Err(Fault::NotDecimal)),
            ("1,5", 9, 4, Err(Fault::NotDecimal)),
            ("NaN", 9, 4, Err(Fault::NotDecimal)),
        ] {
            assert_eq!(Decimals::new(p, s).text(text.as_bytes()), value, "{text} as decimal({p},{s})");
        }
    }

    #[test]
    fn numbers_keep_their_digits_or_are_refused() {
        let mut money = Decimals::new(12, 2);
        for (i, value) in [(0, Ok(0)), (-5, Ok(-500)), (9_999_999_999, Ok(999_999_999_900))] {
            assert_eq!(money.integer(i), value);
        }
        for i in [10_000_000_000, -10_000_000_000, i64::MAX, i64::MIN] {
            assert_eq!(money.integer(i), Err(Fault::Inexact));
        }
        assert_eq!(Decimals::new(38, 38).integer(1), Err(Fault::Inexact));
        assert_eq!(Decimals::new(38, 0).integer(i64::MIN), Ok(i128::from(i64::MIN)));
        for (r, value) in [
            (12.34, Ok(1234)),
            (-0.0, Ok(0)),
            (0.1 + 0.2, Err(Fault::Inexact)),
            (1e9, Ok(100_000_000_000)),
            (9_999_999_999.99, Ok(999_999_999_999)),
            (1e300, Err(Fault::Inexact)),
            (f64::INFINITY, Err(Fault::Inexact)),
            (5e-324, Err(Fault::Inexact)),
        ] {
            assert_eq!(money.real(r), value, "{r}");
        }
    }
}
