//! Single values of the driver as numbers, decimals and identifiers, with what is wrong with those that are none.
//! It must not know columns.

use arrow_buffer::i256;
use mysql_async::Value;

use super::decimal::{parse_128, parse_256};
use super::fault::Fault;
use crate::types::Wire;

/// The size of a decimal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digits<T> {
    pub(super) scale: u8,
    /// 10^precision: the first number that is too large.
    pub(super) limit: T,
}

pub(super) fn end_256(digits: Digits<i256>, negative: bool) -> i256 {
    let end = digits.limit.wrapping_sub(i256::ONE);
    if negative { end.wrapping_neg() } else { end }
}

/// A whole number: as the server sends it, or as digits.
#[inline]
pub(super) fn int<T: TryFrom<i64> + TryFrom<u64> + TryFrom<i128>>(value: &Value, lossy: bool) -> Result<T, Fault> {
    match value {
        Value::Int(n) => T::try_from(*n).map_err(|_| Fault::OutOfRange { negative: *n < 0 }),
        Value::UInt(n) => T::try_from(*n).map_err(|_| Fault::OutOfRange { negative: false }),
        Value::Bytes(digits) => {
            let n = parse_128(digits, 0, lossy)?;
            T::try_from(n).map_err(|_| Fault::OutOfRange { negative: n < 0 })
        }
        _ => Err(Fault::Form),
    }
}

pub(super) fn double(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Double(v) => Ok(*v),
        Value::Float(v) => Ok(f64::from(*v)),
        Value::Int(n) => Ok(*n as f64),
        Value::UInt(n) => Ok(*n as f64),
        _ => Err(Fault::Form),
    }
}

#[inline]
pub(super) fn decimal_128(value: &Value, digits: Digits<i128>, lossy: bool) -> Result<i128, Fault> {
    let n = match value {
        Value::Bytes(text) => parse_128(text, digits.scale, lossy)?,
        _ => {
            let n: i128 = int(value, lossy)?;
            let unit = 10_i128.pow(digits.scale.into());
            n.checked_mul(unit).ok_or(Fault::OutOfRange { negative: n < 0 })?
        }
    };
    if n > -digits.limit && n < digits.limit { Ok(n) } else { Err(Fault::OutOfRange { negative: n < 0 }) }
}

pub(super) fn decimal_256(value: &Value, digits: Digits<i256>, lossy: bool) -> Result<i256, Fault> {
    let n = match value {
        Value::Bytes(text) => parse_256(text, digits.scale, lossy)?,
        _ => parse_256(int::<i128>(value, lossy)?.to_string().as_bytes(), digits.scale, lossy)?,
    };
    let negative = n < i256::ZERO;
    if n.wrapping_abs() < digits.limit { Ok(n) } else { Err(Fault::OutOfRange { negative }) }
}

pub(super) fn decimal_text(value: i256, scale: u8) -> String {
    let text = value.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let scale = usize::from(scale);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The 16 bytes of a uuid, or those that its text stands for: of a column of texts only of a text in the usual form.
pub(super) fn uuid(value: &Value, wire: &Wire) -> Result<[u8; 16], Fault> {
    let Value::Bytes(bytes) = value else { return Err(Fault::Form) };
    if *wire == Wire::CheckedUuid {
        let is_usual = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-');
        if !is_usual {
            return Err(Fault::NotUuid);
        }
    } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes.as_slice()) {
        return Ok(bytes);
    }
    let mut digits = bytes.iter().filter(|byte| **byte != b'-').map(|byte| char::from(*byte).to_digit(16));
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else { return Err(Fault::NotUuid) };
        *byte = u8::try_from(high << 4 | low).map_err(|_| Fault::NotUuid)?;
    }
    if digits.next().is_some() { Err(Fault::NotUuid) } else { Ok(uuid) }
}

pub(super) fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut text = crate::sql::hexadecimal(bytes);
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}
