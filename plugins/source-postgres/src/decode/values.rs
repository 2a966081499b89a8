//! The values of one column, in the memory layout of Arrow, and their way into an array.
//! It must not know wire forms beyond which Arrow types each can become.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{ArrayRef, BooleanArray, FixedSizeBinaryArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer, IntervalMonthDayNano, NullBuffer, ScalarBuffer, i256};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use rivet_plugin_api::Policies;

use super::decimal::{Decimal128, Decimal256};
use super::fault::Fault;
use super::interval::Interval;
use super::labels::Labels;
use super::list::Lists;
use super::temporal::LAST_US_OF_DAY;
use super::varlen::{VarLen, fitted};
use super::whole::{self, Range};
use crate::types::Wire;

/// Whether the ends of an interval's range are infinite: since version 17.
type HasInfinity = bool;

/// Values of a column, one variant for each pair of wire form and Arrow type. What the rare ones need is boxed, so that
/// the columns of a row stay close together.
#[derive(Debug)]
pub(super) enum Values {
    Bool(Vec<bool>),
    Int2(Vec<i16>),
    Int4(Vec<i32>),
    Int8(Vec<i64>),
    Oid(Vec<i64>),
    Float4(Vec<f32>),
    Float8(Vec<f64>),
    Decimal128(Vec<i128>, Decimal128),
    Decimal256(Vec<i256>, Decimal256),
    NumericText(VarLen),
    DecimalText(VarLen, Box<Decimal256>),
    Text(VarLen),
    Jsonb(VarLen),
    Binary(VarLen),
    UuidText(VarLen),
    Uuid(Vec<[u8; 16]>),
    Date(Vec<i32>),
    Time(Vec<i64>),
    Timestamp(Vec<i64>),
    Interval(Vec<IntervalMonthDayNano>, HasInfinity),
    IntervalText(VarLen, HasInfinity),
    InetText(VarLen),
    Whole(Vec<i128>, Box<Range>),
    Enum(Vec<i32>, Box<Labels>),
    List(Box<Lists>),
}

/// What all variants can do.
pub(super) trait Store: Sized {
    /// Values so far.
    fn len(&self) -> usize;
    /// Appends what stands in the place of a NULL.
    fn push_default(&mut self) -> Result<(), Fault>;
    /// Keeps the first `n_rows` values.
    fn truncate(&mut self, n_rows: usize);
    /// Makes room for `n_rows` values.
    fn make_room(&mut self, n_rows: usize);
}

/// What those with one run of values can do as well.
pub(super) trait Renew: Store {
    /// Hands the values out and starts anew with room for `n_rows` like them.
    fn renew(&mut self, n_rows: usize) -> Self;
}

impl<T: Default> Store for Vec<T> {
    fn len(&self) -> usize {
        self.len()
    }
    fn push_default(&mut self) -> Result<(), Fault> {
        self.push(T::default());
        Ok(())
    }
    fn truncate(&mut self, n_rows: usize) {
        self.truncate(n_rows);
    }
    fn make_room(&mut self, n_rows: usize) {
        self.reserve(n_rows);
    }
}

impl<T: Default> Renew for Vec<T> {
    fn renew(&mut self, n_rows: usize) -> Self {
        fitted(std::mem::replace(self, Self::with_capacity(n_rows)))
    }
}

/// Evaluates an expression with `$v` as the store of any variant.
macro_rules! with_store {
    ($values:expr, $v:ident => $body:expr) => {
        match $values {
            Values::Bool($v) => $body,
            Values::Int2($v) => $body,
            Values::Int4($v) | Values::Date($v) | Values::Enum($v, _) => $body,
            Values::Int8($v) | Values::Oid($v) | Values::Time($v) | Values::Timestamp($v) => $body,
            Values::Float4($v) => $body,
            Values::Float8($v) => $body,
            Values::Decimal128($v, _) | Values::Whole($v, _) => $body,
            Values::Decimal256($v, _) => $body,
            Values::Uuid($v) => $body,
            Values::Interval($v, _) => $body,
            Values::List($v) => $body,
            Values::NumericText($v)
            | Values::Text($v)
            | Values::Jsonb($v)
            | Values::Binary($v)
            | Values::IntervalText($v, _)
            | Values::InetText($v)
            | Values::DecimalText($v, _)
            | Values::UuidText($v) => $body,
        }
    };
}

impl Values {
    /// An empty column; none when the wire form cannot become this Arrow type. `policies` and `lossy` are for elements
    /// of arrays.
    pub(super) fn new(wire: &Wire, data_type: &DataType, policies: Policies, lossy: bool) -> Option<Self> {
        Some(match (wire, data_type) {
            (Wire::Bool, DataType::Boolean) => Self::Bool(Vec::new()),
            (Wire::Int2, DataType::Int16) => Self::Int2(Vec::new()),
            (Wire::Int4, DataType::Int32) => Self::Int4(Vec::new()),
            (Wire::Int8, DataType::Int64) => Self::Int8(Vec::new()),
            (Wire::Oid, DataType::Int64) => Self::Oid(Vec::new()),
            (Wire::Float4, DataType::Float32) => Self::Float4(Vec::new()),
            (Wire::Float8, DataType::Float64) => Self::Float8(Vec::new()),
            (Wire::Numeric, DataType::Decimal128(p, s)) => Self::Decimal128(Vec::new(), Decimal128::new(*p, *s)?),
            (Wire::Decimal { precision, scale }, DataType::Utf8) => {
                let decimal = Decimal256::new(*precision, i8::try_from(*scale).ok()?)?;
                Self::DecimalText(VarLen::new(), Box::new(decimal))
            }
            (Wire::Numeric | Wire::Decimal { .. }, DataType::Decimal256(p, s)) => {
                Self::Decimal256(Vec::new(), Decimal256::new(*p, *s)?)
            }
            (Wire::Numeric, DataType::Utf8) => Self::NumericText(VarLen::new()),
            (Wire::Text | Wire::Enum(_), DataType::Utf8) => Self::Text(VarLen::new()),
            (Wire::Jsonb, DataType::Utf8) => Self::Jsonb(VarLen::new()),
            (Wire::Bytea | Wire::Text, DataType::Binary) => Self::Binary(VarLen::new()),
            (Wire::Uuid, DataType::Utf8) => Self::UuidText(VarLen::new()),
            (Wire::Uuid, DataType::FixedSizeBinary(16)) => Self::Uuid(Vec::new()),
            (Wire::Date, DataType::Date32) => Self::Date(Vec::new()),
            (Wire::Time, DataType::Time64(TimeUnit::Microsecond)) => Self::Time(Vec::new()),
            (Wire::Timestamp, DataType::Timestamp(TimeUnit::Microsecond, _)) => Self::Timestamp(Vec::new()),
            (Wire::Interval { has_infinity }, DataType::Interval(IntervalUnit::MonthDayNano)) => {
                Self::Interval(Vec::new(), *has_infinity)
            }
            (Wire::Interval { has_infinity }, DataType::Utf8) => Self::IntervalText(VarLen::new(), *has_infinity),
            (Wire::Inet, DataType::Utf8) => Self::InetText(VarLen::new()),
            (Wire::Ranged { from, bits, signed }, t) => {
                let range = Range::new(*bits, *signed, **from == Wire::Numeric, t)?;
                Self::Whole(Vec::new(), Box::new(range))
            }
            (Wire::Enum(labels), DataType::Dictionary(_, _)) => Self::Enum(Vec::new(), Box::new(Labels::new(labels)?)),
            (Wire::Array { n_dims, element }, t) => {
                Self::List(Box::new(Lists::new(*n_dims, element, t, policies, lossy)?))
            }
            _ => return None,
        })
    }

    /// Appends the nearest value to one that the column cannot hold; `field` is its binary form.
    ///
    /// # Errors
    /// `fault` when there is none.
    #[cold]
    pub(super) fn push_nearest(&mut self, field: &[u8], fault: Fault) -> Result<(), Fault> {
        // Big-endian: the sign is the first bit, except in a numeric, whose header has it in its fifth byte.
        let is_negative = field.first().is_some_and(|byte| byte & 0x80 != 0);
        let is_numeric_negative = field.get(4).is_some_and(|byte| byte & 0x40 != 0);
        let signed = |end: i64| if is_negative { -end } else { end };
        match self {
            // Both ends are what DuckDB reads as infinity.
            Self::Date(v) => v.push(if is_negative { -i32::MAX } else { i32::MAX }),
            Self::Timestamp(v) => v.push(signed(i64::MAX)),
            Self::Time(v) => v.push(LAST_US_OF_DAY),
            Self::Interval(v, has_infinity) => {
                v.push(Interval::parse(field.first_chunk().ok_or(Fault::Length)?, *has_infinity).clamped());
            }
            Self::Enum(v, labels) => v.push(labels.replaced(field)?),
            Self::Decimal128(v, decimal) => v.push(decimal.end(is_numeric_negative)),
            Self::Decimal256(v, decimal) => v.push(decimal.end(is_numeric_negative)),
            Self::DecimalText(v, decimal) => {
                decimal.write_text(decimal.end(is_numeric_negative), &mut v.bytes);
                v.end_value()?;
            }
            Self::Whole(v, range) => {
                let negative = if range.is_numeric() { is_numeric_negative } else { is_negative };
                v.push(range.end(negative));
            }
            _ => return Err(fault),
        }
        Ok(())
    }

    /// Values so far.
    pub(super) fn len(&self) -> usize {
        with_store!(self, v => Store::len(v))
    }

    /// Appends what stands in the place of a NULL.
    pub(super) fn push_default(&mut self) -> Result<(), Fault> {
        with_store!(self, v => v.push_default())
    }

    /// Keeps the first `n_rows` values.
    pub(super) fn truncate(&mut self, n_rows: usize) {
        with_store!(self, v => Store::truncate(v, n_rows));
    }

    /// Makes room for `n_rows` values from the start.
    pub(super) fn make_room(&mut self, n_rows: usize) {
        with_store!(self, v => v.make_room(n_rows));
    }

    /// Bits that a value takes, without those of varying length.
    pub(super) fn fixed_bits(&self) -> usize {
        match self {
            Self::Bool(_) => 1,
            Self::Int2(_) => 16,
            Self::Int4(_) | Self::Float4(_) | Self::Date(_) | Self::Enum(..) => 32,
            Self::Int8(_) | Self::Oid(_) | Self::Float8(_) | Self::Time(_) | Self::Timestamp(_) => 64,
            Self::Decimal128(..) | Self::Uuid(_) | Self::Interval(..) | Self::Whole(..) => 128,
            Self::Decimal256(..) => 256,
            // The offset.
            Self::NumericText(_) | Self::Text(_) | Self::Jsonb(_) | Self::Binary(_) | Self::UuidText(_) => 32,
            Self::DecimalText(..) | Self::IntervalText(..) | Self::InetText(_) | Self::List(_) => 32,
        }
    }

    /// The array of all values; starts anew with room for `n_rows`. With `replaced`, U+FFFD stands for what is not
    /// UTF-8, and the values are counted there.
    ///
    /// # Errors
    /// The row, 0-based, of the first text that is not UTF-8.
    pub(super) fn take(
        &mut self,
        t: &DataType,
        nulls: Option<NullBuffer>,
        n_rows: usize,
        replaced: Option<&mut u64>,
    ) -> Result<ArrayRef, usize> {
        Ok(match self {
            Self::Bool(v) => {
                let values = v.renew(n_rows);
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Self::Int2(v) => primitive::<Int16Type>(v.renew(n_rows), t, nulls),
            Self::Int4(v) => primitive::<Int32Type>(v.renew(n_rows), t, nulls),
            Self::Int8(v) | Self::Oid(v) => primitive::<Int64Type>(v.renew(n_rows), t, nulls),
            Self::Float4(v) => primitive::<Float32Type>(v.renew(n_rows), t, nulls),
            Self::Float8(v) => primitive::<Float64Type>(v.renew(n_rows), t, nulls),
            Self::Decimal128(v, _) => primitive::<Decimal128Type>(v.renew(n_rows), t, nulls),
            Self::Decimal256(v, _) => primitive::<Decimal256Type>(v.renew(n_rows), t, nulls),
            Self::Date(v) => primitive::<Date32Type>(v.renew(n_rows), t, nulls),
            Self::Time(v) => primitive::<Time64MicrosecondType>(v.renew(n_rows), t, nulls),
            Self::Timestamp(v) => primitive::<TimestampMicrosecondType>(v.renew(n_rows), t, nulls),
            Self::Uuid(v) => {
                let bytes = Buffer::from_vec(v.renew(n_rows).into_flattened());
                Arc::new(FixedSizeBinaryArray::new(16, bytes, nulls))
            }
            Self::Binary(v) => v.renew(n_rows).into_binary(nulls),
            Self::NumericText(v)
            | Self::Text(v)
            | Self::Jsonb(v)
            | Self::UuidText(v)
            | Self::DecimalText(v, _)
            | Self::IntervalText(v, _)
            | Self::InetText(v) => return v.renew(n_rows).into_text(nulls, replaced),
            Self::Interval(v, _) => primitive::<IntervalMonthDayNanoType>(v.renew(n_rows), t, nulls),
            Self::Whole(v, _) => whole::array(v.renew(n_rows), t, nulls),
            Self::Enum(v, labels) => labels.array(v.renew(n_rows), nulls),
            Self::List(lists) => return lists.take(nulls, n_rows),
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, t: &DataType, nulls: Option<NullBuffer>) -> ArrayRef {
    let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls);
    // Sets what the values do not carry: time zone, precision and scale.
    Arc::new(array.with_data_type(t.clone()))
}
