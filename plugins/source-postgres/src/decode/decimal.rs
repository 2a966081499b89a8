//! Decimal columns: `numeric` fields to 128-bit and 256-bit values, nearly all without a loop or a division.
//! It must not know batches, nor how a field is cut out of a tuple.

use arrow_buffer::i256;

use super::fault::Fault;
use super::numeric::Numeric;

/// Most digit groups that the fast way takes: 16 decimal digits.
const FAST_GROUPS: u64 = 4;
/// Least power of ten of the last digit group on the fast way: a group that is cut by the scale.
const LEAST_EXPONENT: i32 = -3;
/// How to scale by 10^-3 to 10^19.
const SCALINGS: [Scaling; 23] = scalings();

/// How to multiply by a power of ten, or to divide exactly by one.
#[derive(Clone, Copy)]
struct Scaling {
    /// Largest number whose product fits.
    max: u64,
    /// Power of two to divide by first.
    shift: u32,
    /// Power of ten; for a division the inverse of a power of five modulo 2^64.
    factor: u64,
    /// Largest quotient of an exact division: an inexact one gives a larger number, by the theory of inverses.
    max_quotient: u64,
}

const fn scalings() -> [Scaling; 23] {
    /// Inverse of 5 modulo 2^64.
    const INVERSE_OF_5: u64 = 0xcccc_cccc_cccc_cccd;
    let mut all = [Scaling { max: u64::MAX, shift: 0, factor: 1, max_quotient: u64::MAX }; 23];
    let mut k = 1;
    while k <= 3 {
        let factor = INVERSE_OF_5.wrapping_pow(k);
        all[3 - k as usize] = Scaling { max: u64::MAX, shift: k, factor, max_quotient: u64::MAX / 5_u64.pow(k) };
        k += 1;
    }
    let mut exponent = 0;
    while exponent < 20 {
        let factor = 10_u64.pow(exponent);
        all[3 + exponent as usize] = Scaling { max: u64::MAX / factor, shift: 0, factor, max_quotient: u64::MAX };
        exponent += 1;
    }
    all
}

/// Scale and bounds of a decimal column of up to 38 digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal128 {
    scale: i32,
    /// 10^precision: the first number that is too large.
    limit: u128,
    /// The largest number allowed, as far as 64 bits go.
    max_fast: u64,
}

impl Decimal128 {
    /// `precision` digits, `scale` of them after the point; none when there are more than 38.
    pub(super) fn new(precision: u8, scale: i8) -> Option<Self> {
        let limit = 10_u128.checked_pow(precision.into())?;
        Some(Self { scale: scale.into(), limit, max_fast: u64::try_from(limit - 1).unwrap_or(u64::MAX) })
    }

    /// The value of the field of `n_bytes` at the start of `from`, which may go on behind it, times 10^scale.
    #[inline]
    pub(super) fn decode(&self, from: &[u8], n_bytes: usize) -> Result<i128, Fault> {
        match from.first_chunk::<16>().and_then(|chunk| self.decode_fast(chunk, n_bytes)) {
            Some(value) => Ok(value),
            None => self.decode_any(from.get(..n_bytes).ok_or(Fault::Length)?),
        }
    }

    /// The value, where it has up to 16 digits, its scaled form fits 64 bits, and all is well.
    #[inline]
    fn decode_fast(&self, chunk: &[u8; 16], n_bytes: usize) -> Option<i128> {
        let both = u128::from_be_bytes(*chunk);
        let (header, digits) = ((both >> 64) as u64, both as u64);
        let n_groups = header >> 48;
        let (weight, sign) = ((header >> 32) as i16, (header >> 16) as u16);
        if n_groups > FAST_GROUPS || n_bytes as u64 != 8 + 2 * n_groups || sign & !0x4000 != 0 {
            return None;
        }
        // The groups, 16 bits each, the last one lowest.
        let groups = digits.checked_shr(64 - 16 * n_groups as u32).unwrap_or(0);
        let too_large = groups.wrapping_add(0x58f0_58f0_58f0_58f0) | groups;
        let pairs = (groups & 0x0000_ffff_0000_ffff) + ((groups >> 16) & 0x0000_ffff_0000_ffff) * 10_000;
        let whole = (pairs & 0xffff_ffff) + (pairs >> 32) * 100_000_000;
        let exponent = 4 * (i32::from(weight) - n_groups as i32 + 1) + self.scale;
        let scaling = SCALINGS.get((exponent - LEAST_EXPONENT) as usize)?;
        let value = (whole >> scaling.shift).wrapping_mul(scaling.factor);
        let is_exact = whole <= scaling.max
            && value <= scaling.max_quotient
            && whole.trailing_zeros() >= scaling.shift
            && value <= self.max_fast
            && too_large & 0x8000_8000_8000_8000 == 0;
        let value = i128::from(value);
        is_exact.then_some(if sign == 0 { value } else { -value })
    }

    /// The value of any field, or what is wrong with it.
    #[inline(never)]
    fn decode_any(&self, field: &[u8]) -> Result<i128, Fault> {
        let numeric = Numeric::parse(field)?;
        let is_negative = numeric.is_negative()?;
        let magnitude = numeric.magnitude::<u128>(self.scale)?;
        if magnitude >= self.limit {
            return Err(Fault::TooManyDigits);
        }
        let value = i128::try_from(magnitude).map_err(|_| Fault::TooManyDigits)?;
        Ok(if is_negative { -value } else { value })
    }
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
