//! Digits as text to whole numbers times a power of ten, exactly or rounded half away from zero.
//! It must not know batches or columns.

use arrow_buffer::i256;

use super::fault::Fault;

/// Digits that surely fit 64 bits, point and sign included.
const SHORT: usize = 18;

/// An unsigned number that digits are gathered in.
pub(super) trait Magnitude: Copy {
    const ZERO: Self;
    /// `self` × 10 + `digit`, unless that is out of range.
    fn then(self, digit: u8) -> Option<Self>;
    /// `self` + 1.
    fn next(self) -> Option<Self>;
}

impl Magnitude for u64 {
    const ZERO: Self = 0;
    #[inline]
    fn then(self, digit: u8) -> Option<Self> {
        self.checked_mul(10)?.checked_add(digit.into())
    }
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Magnitude for u128 {
    const ZERO: Self = 0;
    #[inline]
    fn then(self, digit: u8) -> Option<Self> {
        self.checked_mul(10)?.checked_add(digit.into())
    }
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Magnitude for i256 {
    const ZERO: Self = Self::ZERO;
    fn then(self, digit: u8) -> Option<Self> {
        self.checked_mul(Self::from_i128(10))?.checked_add(Self::from_i128(digit.into()))
    }
    fn next(self) -> Option<Self> {
        self.checked_add(Self::ONE)
    }
}

/// The number of at most 38 digits times 10^`scale`.
#[inline]
pub(super) fn parse_128(text: &[u8], scale: u8, lossy: bool) -> Result<i128, Fault> {
    let (negative, magnitude) = if text.len() + usize::from(scale) <= SHORT {
        let (negative, magnitude) = parse::<u64>(text, scale, lossy)?;
        (negative, u128::from(magnitude))
    } else {
        parse::<u128>(text, scale, lossy)?
    };
    let value = i128::try_from(magnitude).map_err(|_| Fault::OutOfRange { negative })?;
    Ok(if negative { -value } else { value })
}

/// The number times 10^`scale`.
pub(super) fn parse_256(text: &[u8], scale: u8, lossy: bool) -> Result<i256, Fault> {
    let (negative, magnitude) = parse::<i256>(text, scale, lossy)?;
    Ok(if negative { magnitude.wrapping_neg() } else { magnitude })
}

/// The sign and the magnitude.
#[inline]
fn parse<T: Magnitude>(text: &[u8], scale: u8, lossy: bool) -> Result<(bool, T), Fault> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let beyond = Fault::OutOfRange { negative };
    let (mut value, mut after_point, mut dropped) = (T::ZERO, None::<u8>, None::<u8>);
    for byte in digits {
        match byte {
            b'0'..=b'9' if after_point.is_some_and(|n| n >= scale) => {
                if *byte != b'0' && !lossy {
                    return Err(Fault::Inexact);
                }
                dropped.get_or_insert(byte - b'0');
            }
            b'0'..=b'9' => {
                value = value.then(byte - b'0').ok_or(beyond)?;
                after_point = after_point.map(|n| n + 1);
            }
            b'.' if after_point.is_none() => after_point = Some(0),
            _ => return Err(Fault::Form),
        }
    }
    if digits.is_empty() {
        return Err(Fault::Form);
    }
    for _ in after_point.unwrap_or(0)..scale {
        value = value.then(0).ok_or(beyond)?;
    }
    if dropped.is_some_and(|digit| digit >= 5) {
        value = value.next().ok_or(beyond)?;
    }
    Ok((negative, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_exact_or_refused() {
        let negative = Fault::OutOfRange { negative: true };
        for (text, scale, lossy, expected) in [
            ("0", 0, false, Ok(0)),
            ("-12.50", 2, false, Ok(-1250)),
            ("12.5", 4, false, Ok(125_000)),
            ("12.50", 1, false, Ok(125)),
            ("12.55", 1, false, Err(Fault::Inexact)),
            ("12.55", 1, true, Ok(126)),
            ("-12.55", 1, true, Ok(-126)),
            ("12.5499", 1, true, Ok(125)),
            ("-0.5", 0, true, Ok(-1)),
            ("99999999999999999999999999999999999999", 0, false, Ok(10_i128.pow(38) - 1)),
            ("-999999999999999999999999999999999999999999", 0, false, Err(negative)),
            ("1e5", 0, false, Err(Fault::Form)),
            ("", 0, false, Err(Fault::Form)),
            ("1.2.3", 4, false, Err(Fault::Form)),
        ] {
            assert_eq!(parse_128(text.as_bytes(), scale, lossy), expected, "{text} {scale} {lossy}");
            if let Ok(value) = expected {
                assert_eq!(parse_256(text.as_bytes(), scale, lossy), Ok(i256::from_i128(value)), "{text}");
            }
        }
        let long = "9".repeat(65);
        assert_eq!(parse_256(long.as_bytes(), 0, false).map(|n| n.to_string()), Ok(long));
    }
}
