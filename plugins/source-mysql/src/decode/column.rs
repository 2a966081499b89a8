//! One column under construction: takes values of the driver, and becomes an Arrow array.
//! It must not know when a batch is full.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringBuilder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{ArrayRef, DictionaryArray, StringArray};
use arrow_buffer::i256;
use arrow_schema::{DataType, FieldRef};
use mysql_async::Value;
use rivet_plugin_api::{ErrorKind, InvalidText, LogicalType, PluginError, Policies, Result};

use super::fault::{Fault, Substitute};
use super::geometry;
use super::scalar::{Digits, decimal_128, decimal_256, decimal_text, double, end_256, int, uuid, uuid_text};
use super::temporal::{DAY_US, clock_us, days};
use crate::types::{ColumnPlan, Wire};

/// The values of a column, as Arrow holds them.
enum Values {
    Bool(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt8(PrimitiveBuilder<UInt8Type>),
    UInt16(PrimitiveBuilder<UInt16Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    UInt64(PrimitiveBuilder<UInt64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal128(PrimitiveBuilder<Decimal128Type>, Digits<i128>),
    Decimal256(PrimitiveBuilder<Decimal256Type>, Digits<i256>),
    /// A decimal that is text there, with all its digits after the point.
    DecimalText(StringBuilder, Digits<i256>),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Uuid(FixedSizeBinaryBuilder),
    UuidText(StringBuilder),
    /// Numbers of labels.
    Enum(PrimitiveBuilder<Int32Type>, Arc<[String]>, ArrayRef),
}

/// Evaluates an expression with `$v` as the builder of any variant.
macro_rules! with_builder {
    ($values:expr, $v:ident => $body:expr) => {
        match $values {
            Values::Bool($v) => $body,
            Values::Int8($v) => $body,
            Values::Int16($v) => $body,
            Values::Int32($v) => $body,
            Values::Int64($v) => $body,
            Values::UInt8($v) => $body,
            Values::UInt16($v) => $body,
            Values::UInt32($v) => $body,
            Values::UInt64($v) => $body,
            Values::Float32($v) => $body,
            Values::Float64($v) => $body,
            Values::Decimal128($v, _) => $body,
            Values::Decimal256($v, _) => $body,
            Values::Date($v) => $body,
            Values::Time($v) => $body,
            Values::Timestamp($v) => $body,
            Values::Text($v) | Values::DecimalText($v, _) | Values::UuidText($v) => $body,
            Values::Binary($v) => $body,
            Values::Uuid($v) => $body,
            Values::Enum($v, ..) => $body,
        }
    };
}

/// A column, with what happens to values without a place.
pub(super) struct ColumnBuilder {
    values: Values,
    wire: Wire,
    nullable: bool,
    lossy: bool,
    /// Bytes that a value takes in Arrow, without those of varying length.
    fixed_bytes: usize,
    policies: Policies,
    hits: Vec<(&'static str, u64)>,
}

impl std::fmt::Debug for ColumnBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ColumnBuilder").field("wire", &self.wire).finish_non_exhaustive()
    }
}

impl ColumnBuilder {
    /// An empty column.
    ///
    /// # Errors
    /// `Internal` when the plan cannot become this field.
    pub(super) fn new(plan: &ColumnPlan, field: &FieldRef) -> Result<Self> {
        let values = Values::new(plan, field.data_type()).ok_or_else(|| {
            let text = format!("{} cannot become {}", plan.column.native_type, field.data_type());
            PluginError::new(ErrorKind::Internal, "mysql.plan", text).detail("column", field.name())
        })?;
        let fixed_bytes = field.data_type().primitive_width().unwrap_or(4) + usize::from(field.is_nullable());
        let (wire, policies) = (plan.wire.clone(), plan.policies);
        let (nullable, lossy) = (field.is_nullable(), plan.lossy);
        Ok(Self { values, wire, nullable, lossy, fixed_bytes, policies, hits: Vec::new() })
    }

    /// Takes the next value, or what the policies put in its place; returns the bytes that it takes.
    #[inline]
    pub(super) fn push(&mut self, value: &Value) -> Result<usize, Fault> {
        if matches!(value, Value::NULL) {
            return self.push_null();
        }
        match self.values.push(value, &self.wire, self.lossy) {
            Ok(n_bytes) => Ok(self.fixed_bytes + n_bytes),
            Err(fault) => self.substitute(fault, value),
        }
    }

    fn push_null(&mut self) -> Result<usize, Fault> {
        if !self.nullable {
            return Err(Fault::Null);
        }
        with_builder!(&mut self.values, v => v.append_null());
        Ok(self.fixed_bytes)
    }

    #[cold]
    fn substitute(&mut self, fault: Fault, value: &Value) -> Result<usize, Fault> {
        if let (Fault::NotUtf8, Some(InvalidText::Replace), Values::Text(v), Value::Bytes(bytes)) =
            (fault, self.policies.invalid_text, &mut self.values, value)
        {
            let text = String::from_utf8_lossy(bytes);
            v.append_value(&text);
            self.count("invalid_text");
            return Ok(self.fixed_bytes + text.len());
        }
        let (substitute, policy) = fault.substitute(&self.policies).ok_or(fault)?;
        match substitute {
            Substitute::Null => {
                self.push_null()?;
            }
            Substitute::Nearest => self.values.push_nearest(fault)?,
        }
        self.count(policy);
        Ok(self.fixed_bytes)
    }

    fn count(&mut self, policy: &'static str) {
        match self.hits.iter_mut().find(|(name, _)| *name == policy) {
            Some((_, n)) => *n += 1,
            None => self.hits.push((policy, 1)),
        }
    }

    /// How often each policy changed a value.
    pub(super) fn hits(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.hits.iter().copied()
    }

    /// The array of all values; starts anew.
    ///
    /// # Errors
    /// `Internal`.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        if let Values::Enum(numbers, _, labels) = &mut self.values {
            return Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(numbers.finish(), labels.clone())?));
        }
        Ok(with_builder!(&mut self.values, v => ArrayBuilder::finish(v)))
    }
}

impl Values {
    fn new(plan: &ColumnPlan, t: &DataType) -> Option<Self> {
        fn builder<T: ArrowPrimitiveType>(t: &DataType) -> PrimitiveBuilder<T> {
            PrimitiveBuilder::new().with_data_type(t.clone())
        }
        let digits_256 = |precision: u8, scale: u8| {
            Some(Digits { scale, limit: i256::from_i128(10).checked_pow(precision.into())? })
        };
        Some(match (t, &plan.column.logical) {
            (DataType::Boolean, _) => Self::Bool(BooleanBuilder::new()),
            (DataType::Int8, _) => Self::Int8(builder(t)),
            (DataType::Int16, _) => Self::Int16(builder(t)),
            (DataType::Int32, _) => Self::Int32(builder(t)),
            (DataType::Int64, _) => Self::Int64(builder(t)),
            (DataType::UInt8, _) => Self::UInt8(builder(t)),
            (DataType::UInt16, _) => Self::UInt16(builder(t)),
            (DataType::UInt32, _) => Self::UInt32(builder(t)),
            (DataType::UInt64, _) => Self::UInt64(builder(t)),
            (DataType::Float32, _) => Self::Float32(builder(t)),
            (DataType::Float64, _) => Self::Float64(builder(t)),
            // A whole number of 64 bits without a sign, as readers without such a type have it.
            (DataType::Decimal128(20, 0), LogicalType::Int { .. }) => {
                Self::Decimal128(builder(t), Digits { scale: 0, limit: 1 << 64 })
            }
            (DataType::Decimal128(p, s), _) => {
                let limit = 10_i128.checked_pow((*p).into())?;
                Self::Decimal128(builder(t), Digits { scale: u8::try_from(*s).ok()?, limit })
            }
            (DataType::Decimal256(p, s), _) => Self::Decimal256(builder(t), digits_256(*p, u8::try_from(*s).ok()?)?),
            (DataType::Utf8, LogicalType::Decimal { precision, scale }) => {
                Self::DecimalText(StringBuilder::new(), digits_256(*precision, *scale)?)
            }
            (DataType::Utf8, LogicalType::Uuid) => Self::UuidText(StringBuilder::new()),
            (DataType::Utf8, _) => Self::Text(StringBuilder::new()),
            (DataType::Binary, _) => Self::Binary(BinaryBuilder::new()),
            (DataType::FixedSizeBinary(16), _) => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            (DataType::Date32, _) => Self::Date(builder(t)),
            (DataType::Time64(_), _) => Self::Time(builder(t)),
            (DataType::Timestamp(..), _) => Self::Timestamp(builder(t)),
            (DataType::Dictionary(..), _) => {
                let Wire::Enum(labels) = &plan.wire else { return None };
                let array: ArrayRef = Arc::new(StringArray::from_iter_values(labels.iter()));
                Self::Enum(builder(&DataType::Int32), labels.clone(), array)
            }
            _ => return None,
        })
    }

    /// Appends a value that is not NULL; returns its bytes of varying length.
    #[inline]
    fn push(&mut self, value: &Value, wire: &Wire, lossy: bool) -> Result<usize, Fault> {
        match self {
            Self::Int32(v) => v.append_value(int(value, lossy)?),
            Self::Int64(v) => v.append_value(int(value, lossy)?),
            Self::Decimal128(v, digits) => v.append_value(decimal_128(value, *digits, lossy)?),
            Self::Text(v) => return push_text(v, value, wire),
            Self::Date(v) => match value {
                Value::Date(year, month, day, ..) => v.append_value(days(*year, *month, *day)?),
                _ => return Err(Fault::Form),
            },
            Self::Timestamp(v) => match value {
                Value::Date(year, month, day, hour, minute, second, us) => {
                    let day = i64::from(days(*year, *month, *day)?);
                    v.append_value(day * DAY_US + clock_us(*hour, *minute, *second, *us));
                }
                _ => return Err(Fault::Form),
            },
            Self::Float64(v) => v.append_value(double(value)?),
            Self::Binary(v) => {
                let bytes = match (value, wire) {
                    (Value::Bytes(bytes), Wire::Geometry) => return geometry::push(v, bytes),
                    (Value::Bytes(bytes), _) => bytes,
                    _ => return Err(Fault::Form),
                };
                v.append_value(bytes);
                return Ok(bytes.len());
            }
            _ => return self.push_rare(value, wire, lossy),
        }
        Ok(0)
    }

    #[inline(never)]
    fn push_rare(&mut self, value: &Value, wire: &Wire, lossy: bool) -> Result<usize, Fault> {
        match self {
            Self::Bool(v) => match (value, wire) {
                (Value::Bytes(bytes), Wire::Bits) => v.append_value(bytes.iter().any(|byte| *byte != 0)),
                _ => match int::<i128>(value, lossy)? {
                    bit @ 0..=1 => v.append_value(bit == 1),
                    n => return Err(Fault::OutOfRange { negative: n < 0 }),
                },
            },
            Self::Int8(v) => v.append_value(int(value, lossy)?),
            Self::Int16(v) => v.append_value(int(value, lossy)?),
            Self::UInt8(v) => v.append_value(int(value, lossy)?),
            Self::UInt16(v) => v.append_value(int(value, lossy)?),
            Self::UInt32(v) => v.append_value(int(value, lossy)?),
            Self::UInt64(v) => v.append_value(int(value, lossy)?),
            // Lossy where the server sends more: it was asked for then.
            Self::Float32(v) => v.append_value(double(value)? as f32),
            Self::Decimal256(v, digits) => v.append_value(decimal_256(value, *digits, lossy)?),
            Self::DecimalText(v, digits) => {
                let text = decimal_text(decimal_256(value, *digits, lossy)?, digits.scale);
                v.append_value(&text);
                return Ok(text.len());
            }
            Self::Time(v) => match value {
                Value::Time(negative, n_days, hour, minute, second, us) => {
                    let us = clock_us(*hour, *minute, *second, *us);
                    if *n_days > 0 || (*negative && us > 0) || us >= DAY_US {
                        return Err(Fault::TimeRange { negative: *negative });
                    }
                    v.append_value(us);
                }
                _ => return Err(Fault::Form),
            },
            Self::Uuid(v) => v.append_value(uuid(value, wire)?).map_err(|_| Fault::Form)?,
            Self::UuidText(v) => {
                let text = uuid_text(&uuid(value, wire)?);
                v.append_value(&text);
                return Ok(text.len());
            }
            Self::Enum(v, labels, _) => {
                let Value::Bytes(bytes) = value else { return Err(Fault::Form) };
                let at = labels.iter().position(|label| label.as_bytes() == bytes.as_slice());
                v.append_value(at.and_then(|at| i32::try_from(at).ok()).ok_or(Fault::UnknownLabel)?);
            }
            _ => return Err(Fault::Form),
        }
        Ok(0)
    }

    /// Appends the nearest value to one that the column cannot hold.
    fn push_nearest(&mut self, fault: Fault) -> Result<(), Fault> {
        let (Fault::TimeRange { negative } | Fault::OutOfRange { negative }) = fault else { return Err(fault) };
        macro_rules! end {
            ($v:expr, $t:ty) => {
                $v.append_value(if negative { <$t>::MIN } else { <$t>::MAX })
            };
        }
        match self {
            Self::Bool(v) => v.append_value(!negative),
            Self::Int8(v) => end!(v, i8),
            Self::Int16(v) => end!(v, i16),
            Self::Int32(v) => end!(v, i32),
            Self::Int64(v) => end!(v, i64),
            Self::UInt8(v) => end!(v, u8),
            Self::UInt16(v) => end!(v, u16),
            Self::UInt32(v) => end!(v, u32),
            Self::UInt64(v) => end!(v, u64),
            Self::Decimal128(v, digits) => v.append_value(if negative { 1 - digits.limit } else { digits.limit - 1 }),
            Self::Decimal256(v, digits) => v.append_value(end_256(*digits, negative)),
            Self::DecimalText(v, digits) => v.append_value(decimal_text(end_256(*digits, negative), digits.scale)),
            Self::Time(v) => v.append_value(if negative { 0 } else { DAY_US - 1 }),
            _ => return Err(fault),
        }
        Ok(())
    }
}

#[inline]
fn push_text(v: &mut StringBuilder, value: &Value, wire: &Wire) -> Result<usize, Fault> {
    let bytes = match (value, wire) {
        (Value::Bytes(bytes), _) => bytes,
        (Value::Float(n), Wire::FloatText) => return Ok(push_shortest(v, format!("{n:?}"))),
        (Value::Double(n), Wire::FloatText) => return Ok(push_shortest(v, format!("{n:?}"))),
        _ => return Err(Fault::Form),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
    if *wire == Wire::CheckedJson && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Err(Fault::NotJson);
    }
    v.append_value(text);
    Ok(text.len())
}

fn push_shortest(v: &mut StringBuilder, text: String) -> usize {
    v.append_value(&text);
    text.len()
}
