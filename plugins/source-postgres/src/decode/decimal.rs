//! Decimal columns: `numeric` fields to 128-bit and 256-bit values, nearly all without a loop or a division.
//! It must not know batches, nor how a field is cut out of a tuple.

use arrow_buffer::i256;

use super::fault::Fault;
use super::numeric::Numeric;

/// Least power of ten of the last digit group that scales without a look at the groups: one that the scale cuts.
const LEAST_EXPONENT: i32 = -3;

/// How to multiply by a power of ten, or to divide exactly by one (Hacker's Delight, 10-16 and 10-17).
#[derive(Clone, Copy)]
struct Scaling<T> {
    /// Largest number whose product fits.
    max: T,
    /// Power of two to divide by first.
    shift: u32,
    /// Power of ten; for a division the inverse of a power of five modulo 2^bits.
    factor: T,
    /// Largest quotient of an exact division. An inexact one gives a larger number.
    max_quotient: T,
}

/// All scalings from 10^[`LEAST_EXPONENT`] up to the largest power of ten that fits.
macro_rules! scalings {
    ($t:ty, $n:expr, $inverse_of_5:expr) => {{
        const ALL: [Scaling<$t>; $n] = {
            let mut all = [Scaling { max: <$t>::MAX, shift: 0, factor: 1, max_quotient: <$t>::MAX }; $n];
            let mut i = 0;
            while i < $n {
                let exponent = i as i32 + LEAST_EXPONENT;
                if exponent < 0 {
                    all[i].shift = exponent.unsigned_abs();
                    all[i].factor = <$t>::wrapping_pow($inverse_of_5, exponent.unsigned_abs());
                    all[i].max_quotient = <$t>::MAX / (5 as $t).pow(exponent.unsigned_abs());
                } else {
                    all[i].factor = (10 as $t).pow(exponent.unsigned_abs());
                    all[i].max = <$t>::MAX / all[i].factor;
                }
                i += 1;
            }
            all
        };
        &ALL
    }};
}
const SCALINGS_64: &[Scaling<u64>; 23] = scalings!(u64, 23, 0xcccc_cccc_cccc_cccd);
const SCALINGS_128: &[Scaling<u128>; 42] = scalings!(u128, 42, 0xcccc_cccc_cccc_cccc_cccc_cccc_cccc_cccd);

/// The scaled number; none when it is not whole or does not fit.
macro_rules! scale {
    ($whole:expr, $scaling:expr) => {{
        let (whole, by) = ($whole, $scaling);
        let value = (whole >> by.shift).wrapping_mul(by.factor);
        let is_exact = whole <= by.max && value <= by.max_quotient && whole.trailing_zeros() >= by.shift;
        is_exact.then_some(value)
    }};
}

/// Scale and bounds of a decimal column of up to 38 digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal128 {
    scale: i32,
    /// 10^precision: the first number that is too large.
    limit: u128,
    /// The largest number allowed, as far as 64 bits go.
    max_64: u64,
}

impl Decimal128 {
    /// `precision` digits, `scale` of them after the point; none when there are more than 38.
    pub(super) fn new(precision: u8, scale: i8) -> Option<Self> {
        let limit = 10_u128.checked_pow(precision.into())?;
        Some(Self { scale: scale.into(), limit, max_64: u64::try_from(limit - 1).unwrap_or(u64::MAX) })
    }

    /// The number furthest from zero.
    pub(super) fn end(&self, negative: bool) -> i128 {
        // 38 digits at most.
        let end = i128::try_from(self.limit - 1).unwrap_or(i128::MAX);
        if negative { -end } else { end }
    }

    /// The value of the field of `n_bytes` at the start of `from`, which may go on behind it, times 10^scale.
    #[inline]
    pub(super) fn decode(&self, from: &[u8], n_bytes: usize) -> Result<i128, Fault> {
        let value = match from.first_chunk::<16>() {
            Some(chunk) => self.decode_short(chunk, n_bytes),
            None => self.decode_last(from, n_bytes),
        };
        match value {
            Some(value) => Ok(value),
            None => self.decode_long(from.get(..n_bytes).ok_or(Fault::Length)?),
        }
    }

    /// The value, where it has up to four groups, its scaled form fits 64 bits, and all is well.
    #[inline]
    fn decode_short(&self, chunk: &[u8; 16], n_bytes: usize) -> Option<i128> {
        let both = u128::from_be_bytes(*chunk);
        let (header, digits) = ((both >> 64) as u64, both as u64);
        let n_groups = header >> 48;
        if n_groups > 4 || n_bytes as u64 != 8 + 2 * n_groups {
            return None;
        }
        let whole = whole_number(digits.checked_shr(64 - 16 * n_groups as u32).unwrap_or(0))?;
        let value = scale!(whole, SCALINGS_64.get(self.scaling_index(header))?)?;
        let value = signed(header, value.into())?;
        (value.unsigned_abs() <= self.max_64.into()).then_some(value)
    }

    /// As [`decode_short`](Self::decode_short) for a field with little or nothing behind it.
    fn decode_last(&self, from: &[u8], n_bytes: usize) -> Option<i128> {
        let mut chunk = [0; 16];
        chunk.get_mut(..from.len())?.copy_from_slice(from);
        self.decode_short(&chunk, n_bytes)
    }

    /// The value of any field, or what is wrong with it.
    #[inline(never)]
    fn decode_long(&self, field: &[u8]) -> Result<i128, Fault> {
        if let Some(value) = self.decode_eight_groups(field) {
            return Ok(value);
        }
        let numeric = Numeric::parse(field)?;
        let is_negative = numeric.is_negative()?;
        let magnitude = numeric.magnitude::<u128>(self.scale)?;
        if magnitude >= self.limit {
            return Err(Fault::TooManyDigits);
        }
        let value = i128::try_from(magnitude).map_err(|_| Fault::TooManyDigits)?;
        Ok(if is_negative { -value } else { value })
    }

    /// The value, where it has up to eight groups, its scaled form fits 128 bits, and all is well.
    fn decode_eight_groups(&self, field: &[u8]) -> Option<i128> {
        let (header, groups) = field.split_first_chunk::<8>()?;
        let header = u64::from_be_bytes(*header);
        let mut digits = [0; 16];
        if (header >> 48) as usize * 2 != groups.len() || groups.len() > digits.len() {
            return None;
        }
        digits[16 - groups.len()..].copy_from_slice(groups);
        let digits = u128::from_be_bytes(digits);
        let (high, low) = (whole_number((digits >> 64) as u64)?, whole_number(digits as u64)?);
        let whole = u128::from(high) * 10_u128.pow(16) + u128::from(low);
        let value = scale!(whole, SCALINGS_128.get(self.scaling_index(header))?)?;
        let value = signed(header, i128::try_from(value).ok()?)?;
        (value.unsigned_abs() < self.limit).then_some(value)
    }

    /// Where the power of ten of a field's last group stands in the tables, if at all.
    #[inline]
    fn scaling_index(&self, header: u64) -> usize {
        let (n_groups, weight) = ((header >> 48) as i32, i32::from((header >> 32) as i16));
        let exponent = 4 * (weight - n_groups + 1) + self.scale;
        (exponent - LEAST_EXPONENT) as usize
    }
}

/// The number with the sign that the header says; none when that is not a sign.
#[inline]
fn signed(header: u64, magnitude: i128) -> Option<i128> {
    match (header >> 16) as u16 {
        0 => Some(magnitude),
        0x4000 => Some(-magnitude),
        _ => None,
    }
}

/// The number that four groups of 16 bits form, first group highest; none when a group is beyond 9999.
#[inline]
fn whole_number(groups: u64) -> Option<u64> {
    let beyond_9999 = (groups.wrapping_add(0x58f0_58f0_58f0_58f0) | groups) & 0x8000_8000_8000_8000;
    // Two pairs side by side, then the pair of pairs.
    let pairs = (groups & 0x0000_ffff_0000_ffff) + ((groups >> 16) & 0x0000_ffff_0000_ffff) * 10_000;
    let whole = (pairs & 0xffff_ffff) + (pairs >> 32) * 100_000_000;
    (beyond_9999 == 0).then_some(whole)
}

/// Scale and bounds of a decimal column of up to 76 digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal256 {
    scale: i32,
    /// 10^precision: the first number that is too large.
    limit: i256,
}

impl Decimal256 {
    /// `precision` digits, `scale` of them after the point; none when there are more than 76.
    pub(super) fn new(precision: u8, scale: i8) -> Option<Self> {
        Some(Self { scale: scale.into(), limit: i256::from_i128(10).checked_pow(precision.into())? })
    }

    /// The number furthest from zero.
    pub(super) fn end(&self, negative: bool) -> i256 {
        let end = self.limit.wrapping_sub(i256::ONE);
        if negative { end.wrapping_neg() } else { end }
    }

    /// Appends a value, given times 10^scale, with all digits after the point.
    pub(super) fn write_text(&self, value: i256, out: &mut Vec<u8>) {
        let text = value.to_string();
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
        let scale = usize::try_from(self.scale).unwrap_or(0);
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(sign.as_bytes());
        out.extend_from_slice(whole.as_bytes());
        if scale > 0 {
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
    }

    /// The value of a field times 10^scale.
    pub(super) fn decode(&self, field: &[u8]) -> Result<i256, Fault> {
        let numeric = Numeric::parse(field)?;
        let is_negative = numeric.is_negative()?;
        let magnitude = numeric.magnitude::<i256>(self.scale)?;
        if magnitude >= self.limit {
            return Err(Fault::TooManyDigits);
        }
        Ok(if is_negative { magnitude.wrapping_neg() } else { magnitude })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An inexact division must never pass for an exact one: it would give a wrong number, not an error.
    #[test]
    fn scaling_is_exact_or_nothing() {
        for seed in 0..100_000_u64 {
            // Multiples of 8 are not told apart by their low bits.
            let whole = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) / 8 * (seed % 3 * 7 + 1) * 8;
            for (i, unit) in [1000, 100, 10].into_iter().enumerate() {
                let expected = (whole % unit == 0).then_some(whole / unit);
                assert_eq!(scale!(whole, SCALINGS_64[i]), expected, "{whole} / {unit}");
                let (wide, unit) = (u128::from(whole) << 40, u128::from(unit));
                let expected = (wide % unit == 0).then_some(wide / unit);
                assert_eq!(scale!(wide, SCALINGS_128[i]), expected, "{wide} / {unit}");
            }
            let exponent = seed as u32 % 20;
            let expected = whole.checked_mul(10_u64.pow(exponent));
            assert_eq!(scale!(whole, SCALINGS_64[3 + exponent as usize]), expected, "{whole} with {exponent} zeros");
            let exponent = seed as u32 % 39;
            let expected = u128::from(whole).checked_mul(10_u128.pow(exponent));
            let found = scale!(u128::from(whole), SCALINGS_128[3 + exponent as usize]);
            assert_eq!(found, expected, "{whole} with {exponent} zeros");
        }
    }
}
