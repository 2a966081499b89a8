//! The binary form of `numeric`: header, digits of base 10 000, and their exact value as decimal or text.
//! It must not know batches or columns.

use arrow_buffer::i256;

use super::fault::Fault;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const POSITIVE_INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// A field taken apart: 0.d₀d₁d₂… × 10 000^(weight + 1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Numeric<'a> {
    groups: &'a [[u8; 2]],
    weight: i32,
    sign: u16,
    /// Digits after the point that the server shows.
    scale_shown: usize,
}

impl<'a> Numeric<'a> {
    /// Takes a field apart.
    pub(super) fn parse(field: &'a [u8]) -> Result<Self, Fault> {
        let (header, digits) = field.split_first_chunk::<8>().ok_or(Fault::Length)?;
        let [n0, n1, w0, w1, s0, s1, d0, d1] = *header;
        let (groups, rest) = digits.as_chunks::<2>();
        if groups.len() != usize::from(u16::from_be_bytes([n0, n1])) || !rest.is_empty() {
            return Err(Fault::Length);
        }
        let sign = u16::from_be_bytes([s0, s1]);
        let is_known = matches!(sign, 0 | NEGATIVE | NAN | POSITIVE_INFINITY | NEGATIVE_INFINITY);
        if !is_known || groups.iter().any(|g| u16::from_be_bytes(*g) > 9999) {
            return Err(Fault::Malformed);
        }
        let weight = i32::from(i16::from_be_bytes([w0, w1]));
        let scale_shown = usize::from(u16::from_be_bytes([d0, d1]) & 0x3fff);
        Ok(Self { groups, weight, sign, scale_shown })
    }

    /// Whether the value is negative.
    ///
    /// # Errors
    /// When it is not a finite number.
    pub(super) fn is_negative(&self) -> Result<bool, Fault> {
        match self.sign {
            0 => Ok(false),
            NEGATIVE => Ok(true),
            NAN => Err(Fault::NotANumber),
            _ => Err(Fault::InfiniteNumber),
        }
    }

    /// The absolute value times 10^`scale`.
    ///
    /// # Errors
    /// When that is not whole, or not within the range of `T`.
    pub(super) fn magnitude<T: Magnitude>(&self, scale: i32) -> Result<T, Fault> {
        let (mut groups, mut weight) = (self.groups, self.weight);
        while let [[0, 0], rest @ ..] = groups {
            (groups, weight) = (rest, weight - 1);
        }
        while let [rest @ .., [0, 0]] = groups {
            groups = rest;
        }
        let Some((last, before)) = groups.split_last() else { return Ok(T::ZERO) };
        // Power of ten by which the last group counts.
        let exponent = 4 * (weight - i32::try_from(before.len()).map_err(|_| Fault::Length)?) + scale;
        let step = |value: T, multiplier: u32, group: u32| value.mul_add(multiplier, group).ok_or(Fault::TooManyDigits);
        let mut value = T::ZERO;
        for group in before {
            value = step(value, 10_000, u32::from(u16::from_be_bytes(*group)))?;
        }
        let last = u32::from(u16::from_be_bytes(*last));
        if exponent < 0 {
            let unit = 10_u32.checked_pow(exponent.unsigned_abs()).filter(|unit| last % unit == 0);
            let unit = unit.ok_or(Fault::Inexact)?;
            // The last group is not zero, so the unit that divides it is below 10 000.
            return step(value, 10_000 / unit, last / unit);
        }
        value = step(value, 10_000, last)?;
        for _ in 0..exponent / 4 {
            value = step(value, 10_000, 0)?;
        }
        step(value, 10_u32.pow(exponent.unsigned_abs() % 4), 0)
    }

    /// Appends the value as the server shows it.
    pub(super) fn write_text(&self, out: &mut Vec<u8>) {
        match self.sign {
            NAN => return out.extend_from_slice(b"NaN"),
            POSITIVE_INFINITY => return out.extend_from_slice(b"Infinity"),
            NEGATIVE_INFINITY => return out.extend_from_slice(b"-Infinity"),
            NEGATIVE => out.push(b'-'),
            _ => {}
        }
        let start = out.len();
        for position in 0..=self.weight {
            out.extend_from_slice(&self.digits_at(position));
        }
        // Only the first group can begin with zeros.
        let zeros = out[start..].iter().take_while(|digit| **digit == b'0').count();
        out.drain(start..start + zeros);
        if out.len() == start {
            out.push(b'0');
        }
        if self.scale_shown == 0 {
            return;
        }
        out.push(b'.');
        let end = out.len() + self.scale_shown;
        let mut position = self.weight.max(-1) + 1;
        while out.len() < end {
            // A weight below -1 means that whole groups after the point are zero.
            out.extend_from_slice(&self.digits_at(position));
            position += 1;
        }
        out.truncate(end);
    }

    /// The four digits of the group that stands `position` groups behind the first before the point (or behind the
    /// point, where the value is below one).
    fn digits_at(&self, position: i32) -> [u8; 4] {
        let index = if self.weight < 0 { position + self.weight + 1 } else { position };
        let group = usize::try_from(index).ok().and_then(|index| self.groups.get(index));
        let group = group.map_or(0, |g| u16::from_be_bytes(*g));
        let digit = |unit: u16| b'0' + (group / unit % 10) as u8;
        [digit(1000), digit(100), digit(10), digit(1)]
    }
}

/// An unsigned whole number that decimals are gathered in.
pub(super) trait Magnitude: Copy {
    /// Nothing.
    const ZERO: Self;
    /// `self` × `multiplier` + `addend`, unless that is out of range.
    fn mul_add(self, multiplier: u32, addend: u32) -> Option<Self>;
}

impl Magnitude for u128 {
    const ZERO: Self = 0;
    #[inline]
    fn mul_add(self, multiplier: u32, addend: u32) -> Option<Self> {
        self.checked_mul(multiplier.into())?.checked_add(addend.into())
    }
}

impl Magnitude for i256 {
    const ZERO: Self = Self::ZERO;
    fn mul_add(self, multiplier: u32, addend: u32) -> Option<Self> {
        self.checked_mul(Self::from_i128(multiplier.into()))?.checked_add(Self::from_i128(addend.into()))
    }
}
