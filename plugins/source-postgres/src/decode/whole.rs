//! Whole numbers of a range narrower than their source: each is checked, and they become an Arrow type of that range.
//! It must not know batches, nor what happens to a number that does not fit.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::decimal::Decimal128;
use super::fault::Fault;

/// Digits of the largest number of 128 bits.
const MOST_DIGITS: u8 = 38;

/// Which numbers fit, and how they arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    min: i128,
    max: i128,
    /// The reader of a numeric; none when a number arrives in 64 bits.
    numeric: Option<Decimal128>,
}

impl Range {
    /// All numbers of `bits`, up to 64; none when a column of this Arrow type cannot hold them.
    pub(super) fn new(bits: u8, signed: bool, from_numeric: bool, data_type: &DataType) -> Option<Self> {
        let fits = match data_type {
            DataType::Decimal128(20, 0) => (bits, signed) == (64, false),
            _ => data_type.is_integer() && data_type.primitive_width() == Some(usize::from(bits) / 8),
        };
        let count = 1_i128.checked_shl(bits.into()).filter(|_| bits <= 64 && fits)?;
        let (min, max) = if signed { (-(count / 2), count / 2 - 1) } else { (0, count - 1) };
        let numeric = if from_numeric { Some(Decimal128::new(MOST_DIGITS, 0)?) } else { None };
        Some(Self { min, max, numeric })
    }

    /// The number in a field.
    pub(super) fn decode(&self, field: &[u8]) -> Result<i128, Fault> {
        let n = match &self.numeric {
            Some(numeric) => numeric.decode(field, field.len()).map_err(|fault| match fault {
                Fault::TooManyDigits => Fault::OutOfRange,
                other => other,
            })?,
            None => i64::from_be_bytes(field.try_into().map_err(|_| Fault::Length)?).into(),
        };
        if (self.min..=self.max).contains(&n) { Ok(n) } else { Err(Fault::OutOfRange) }
    }

    /// Whether a number arrives as numeric.
    pub(super) fn is_numeric(&self) -> bool {
        self.numeric.is_some()
    }

    /// The end of the range.
    pub(super) fn end(&self, negative: bool) -> i128 {
        if negative { self.min } else { self.max }
    }
}

/// The numbers, each of which is in the range of the type, as an array of it.
pub(super) fn array(values: Vec<i128>, t: &DataType, nulls: Option<NullBuffer>) -> ArrayRef {
    match t {
        DataType::Int8 => cast::<Int8Type>(&values, nulls, |n| n as i8),
        DataType::Int16 => cast::<Int16Type>(&values, nulls, |n| n as i16),
        DataType::Int32 => cast::<Int32Type>(&values, nulls, |n| n as i32),
        DataType::UInt8 => cast::<UInt8Type>(&values, nulls, |n| n as u8),
        DataType::UInt16 => cast::<UInt16Type>(&values, nulls, |n| n as u16),
        DataType::UInt32 => cast::<UInt32Type>(&values, nulls, |n| n as u32),
        DataType::UInt64 => cast::<UInt64Type>(&values, nulls, |n| n as u64),
        DataType::Int64 => cast::<Int64Type>(&values, nulls, |n| n as i64),
        _ => {
            let decimals = PrimitiveArray::<Decimal128Type>::new(ScalarBuffer::from(values), nulls);
            Arc::new(decimals.with_data_type(t.clone()))
        }
    }
}

fn cast<T: ArrowPrimitiveType>(values: &[i128], nulls: Option<NullBuffer>, to: fn(i128) -> T::Native) -> ArrayRef {
    let values: Vec<T::Native> = values.iter().map(|n| to(*n)).collect();
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_its_type_does() {
        let cases = [
            (8, true, DataType::Int8, -128, 127),
            (32, false, DataType::UInt32, 0, 4_294_967_295),
            (64, true, DataType::Int64, i128::from(i64::MIN), i128::from(i64::MAX)),
            (64, false, DataType::UInt64, 0, i128::from(u64::MAX)),
            (64, false, DataType::Decimal128(20, 0), 0, i128::from(u64::MAX)),
        ];
        for (bits, signed, t, min, max) in cases {
            let range = Range::new(bits, signed, false, &t).expect("the type holds the range");
            assert_eq!((range.end(true), range.end(false)), (min, max));
            assert_eq!(array(vec![min, max], &t, None).data_type(), &t);
        }
        assert!(Range::new(64, true, false, &DataType::Int32).is_none());
        let small = Range::new(8, true, false, &DataType::Int8).expect("the type holds the range");
        assert_eq!(small.decode(&128_i64.to_be_bytes()), Err(Fault::OutOfRange));
        assert_eq!(small.decode(&(-128_i64).to_be_bytes()), Ok(-128));
        assert_eq!(small.decode(&[1]), Err(Fault::Length));
    }
}
