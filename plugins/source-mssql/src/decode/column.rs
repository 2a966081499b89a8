//! One column of a batch: values of the driver into an Arrow builder, at once.
//! It must not know rows, nor how a value travelled.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder, Float32Builder,
    Float64Builder, Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder,
    Time64NanosecondBuilder, TimestampMicrosecondBuilder, TimestampNanosecondBuilder, UInt8Builder,
};
use rivet_plugin_api::arrow_schema::{DataType, TimeUnit};
use rivet_plugin_api::{ErrorKind, OutOfRange, PluginError, Result, SubMicrosecond};
use rivet_shared_sql::ewkb;
use tiberius::ColumnData;

use super::fault::Fault;
use super::moment;
use crate::types::{ColumnPlan, Form};

const NANOS_PER_MICRO: i128 = 1_000;

/// Builds one column.
pub struct Column {
    pub plan: ColumnPlan,
    values: Values,
    max_value_bytes: usize,
    /// Values that a policy changed: fractions of µs, moments out of range.
    pub truncated: u64,
    pub out_of_range: u64,
}

enum Values {
    Bool(BooleanBuilder),
    U8(UInt8Builder),
    I16(Int16Builder),
    I32(Int32Builder),
    I64(Int64Builder),
    F32(Float32Builder),
    F64(Float64Builder),
    Decimal { builder: Decimal128Builder, scale: u8, limit: i128 },
    Text(StringBuilder),
    Uuid(FixedSizeBinaryBuilder),
    UuidText(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    TimeMicros(Time64MicrosecondBuilder),
    TimeNanos(Time64NanosecondBuilder),
    Micros(TimestampMicrosecondBuilder),
    Nanos(TimestampNanosecondBuilder),
}

/// Runs the same for the builder of each kind.
macro_rules! each {
    ($values:expr, $b:ident => $work:expr) => {
        match $values {
            Values::Bool($b) => $work,
            Values::U8($b) => $work,
            Values::I16($b) => $work,
            Values::I32($b) => $work,
            Values::I64($b) => $work,
            Values::F32($b) => $work,
            Values::F64($b) => $work,
            Values::Decimal { builder: $b, .. } => $work,
            Values::Text($b) | Values::UuidText($b) => $work,
            Values::Uuid($b) => $work,
            Values::Binary($b) => $work,
            Values::Date($b) => $work,
            Values::TimeMicros($b) => $work,
            Values::TimeNanos($b) => $work,
            Values::Micros($b) => $work,
            Values::Nanos($b) => $work,
        }
    };
}

impl Column {
    /// An empty column of this Arrow type. `max_value_bytes` 0 = no limit.
    ///
    /// # Errors
    /// `Internal` for a type that this plugin does not describe.
    pub fn new(plan: ColumnPlan, arrow: &DataType, max_value_bytes: u64) -> Result<Self> {
        let is_uuid = plan.column.logical == rivet_plugin_api::LogicalType::Uuid;
        let values = match arrow {
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::UInt8 => Values::U8(UInt8Builder::new()),
            DataType::Int16 => Values::I16(Int16Builder::new()),
            DataType::Int32 => Values::I32(Int32Builder::new()),
            DataType::Int64 => Values::I64(Int64Builder::new()),
            DataType::Float32 => Values::F32(Float32Builder::new()),
            DataType::Float64 => Values::F64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => Values::Decimal {
                builder: Decimal128Builder::new().with_data_type(arrow.clone()),
                scale: u8::try_from(*scale).unwrap_or_default(),
                limit: 10_i128.pow(u32::from(*precision).min(38)),
            },
            DataType::Utf8 if is_uuid => Values::UuidText(StringBuilder::new()),
            DataType::Utf8 => Values::Text(StringBuilder::new()),
            DataType::FixedSizeBinary(16) => Values::Uuid(FixedSizeBinaryBuilder::new(16)),
            DataType::Binary => Values::Binary(BinaryBuilder::new()),
            DataType::Date32 => Values::Date(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => Values::TimeMicros(Time64MicrosecondBuilder::new()),
            DataType::Time64(TimeUnit::Nanosecond) => Values::TimeNanos(Time64NanosecondBuilder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Values::Micros(TimestampMicrosecondBuilder::new().with_data_type(arrow.clone()))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Values::Nanos(TimestampNanosecondBuilder::new().with_data_type(arrow.clone()))
            }
            other => {
                return Err(PluginError::new(ErrorKind::Internal, "mssql.type", format!("no column of type {other}")));
            }
        };
        let max_value_bytes = match max_value_bytes {
            0 => usize::MAX,
            max => usize::try_from(max).unwrap_or(usize::MAX),
        };
        Ok(Self { plan, values, max_value_bytes, truncated: 0, out_of_range: 0 })
    }

    /// Takes one value; returns its bytes in Arrow.
    ///
    /// # Errors
    /// Why the value has no exact place in the column.
    pub fn push(&mut self, value: ColumnData<'static>) -> Result<usize, Fault> {
        let moment = match &value {
            ColumnData::Time(Some(v)) => Some(moment::time(*v)?),
            ColumnData::DateTime2(Some(v)) => Some(moment::datetime2(v.date(), v.time())?),
            // What travels is the moment by UTC; the distance is beside it.
            ColumnData::DateTimeOffset(Some(v)) => Some(moment::datetime2(v.datetime2().date(), v.datetime2().time())?),
            ColumnData::DateTime(Some(v)) => Some(moment::datetime(*v)?),
            ColumnData::SmallDateTime(Some(v)) => Some(moment::smalldatetime(*v)?),
            _ => None,
        };
        if let Some(nanos) = moment {
            return self.push_moment(nanos);
        }
        if is_null(&value) {
            return self.push_null();
        }
        match (&mut self.values, value) {
            (Values::Bool(b), ColumnData::Bit(Some(v))) => b.append_value(v),
            (Values::U8(b), ColumnData::U8(Some(v))) => b.append_value(v),
            (Values::I16(b), ColumnData::I16(Some(v))) => b.append_value(v),
            (Values::I32(b), ColumnData::I32(Some(v))) => b.append_value(v),
            (Values::I64(b), ColumnData::I64(Some(v))) => b.append_value(v),
            (Values::F32(b), ColumnData::F32(Some(v))) => b.append_value(v),
            (Values::F64(b), ColumnData::F64(Some(v))) => b.append_value(v),
            (Values::Decimal { builder, scale, limit }, ColumnData::Numeric(Some(v))) => {
                if v.scale() != *scale {
                    return Err(Fault::Type);
                }
                if v.value().unsigned_abs() >= limit.unsigned_abs() {
                    return Err(Fault::Digits);
                }
                builder.append_value(v.value());
            }
            (Values::Text(b), ColumnData::String(Some(v))) => {
                if self.plan.form == Form::CheckedJson && serde_json::from_str::<serde::de::IgnoredAny>(&v).is_err() {
                    return Err(Fault::NotJson);
                }
                return text(b, &v, self.max_value_bytes);
            }
            (Values::Text(_), ColumnData::Xml(Some(_))) if self.plan.form == Form::CheckedJson => {
                return Err(Fault::NotJson);
            }
            (Values::Text(b), ColumnData::Xml(Some(v))) => return text(b, (*v).as_ref(), self.max_value_bytes),
            (Values::Binary(b), ColumnData::Binary(Some(v))) => {
                if v.len() > self.max_value_bytes {
                    return Err(Fault::TooLarge { max: self.max_value_bytes });
                }
                if self.plan.form == Form::Geometry {
                    let (srid, wkb) = v.split_first_chunk::<4>().ok_or(Fault::Type)?;
                    ewkb::write(b, u32::from_be_bytes(*srid), wkb).map_err(|_| Fault::Type)?;
                    // Ends what was written.
                    b.append_value([]);
                } else {
                    b.append_value(&v);
                }
                return Ok(v.len() + 4);
            }
            (Values::Uuid(b), ColumnData::Guid(Some(v))) => b.append_value(v.as_bytes()).map_err(|_| Fault::Type)?,
            (Values::UuidText(b), ColumnData::Guid(Some(v))) => {
                // Writing to a builder cannot fail.
                let _ = write!(b, "{v}");
                b.append_value("");
                return Ok(40);
            }
            (Values::Date(b), ColumnData::Date(Some(v))) => b.append_value(moment::day(v)?),
            _ => return Err(Fault::Type),
        }
        Ok(16)
    }

    fn push_null(&mut self) -> Result<usize, Fault> {
        if !self.plan.column.nullable {
            return Err(Fault::Null);
        }
        each!(&mut self.values, b => b.append_null());
        Ok(8)
    }

    /// A time of day or a moment, in nanoseconds.
    fn push_moment(&mut self, nanos: i128) -> Result<usize, Fault> {
        let micros = nanos.div_euclid(NANOS_PER_MICRO);
        if matches!(self.values, Values::TimeMicros(_) | Values::Micros(_)) && micros * NANOS_PER_MICRO != nanos {
            if self.plan.policies.sub_microsecond != Some(SubMicrosecond::Truncate) {
                return Err(Fault::SubMicrosecond);
            }
            self.truncated += 1;
        }
        let narrow = |n: i128| i64::try_from(n).map_err(|_| Fault::OutOfRange);
        match &mut self.values {
            Values::TimeMicros(b) => b.append_value(narrow(micros)?),
            Values::Micros(b) => b.append_value(narrow(micros)?),
            Values::TimeNanos(b) => b.append_value(narrow(nanos)?),
            Values::Nanos(b) => match (i64::try_from(nanos), self.plan.policies.out_of_range) {
                (Ok(nanos), _) => b.append_value(nanos),
                (Err(_), Some(OutOfRange::Null)) => {
                    self.out_of_range += 1;
                    b.append_null();
                }
                (Err(_), Some(OutOfRange::Clamp)) => {
                    self.out_of_range += 1;
                    b.append_value(if nanos < 0 { i64::MIN } else { i64::MAX });
                }
                (Err(_), _) => return Err(Fault::OutOfRange),
            },
            _ => return Err(Fault::Type),
        }
        Ok(8)
    }

    /// The column so far; the builder starts anew.
    pub fn finish(&mut self) -> ArrayRef {
        each!(&mut self.values, b => Arc::new(b.finish()) as ArrayRef)
    }
}

fn text(builder: &mut StringBuilder, text: &str, max: usize) -> Result<usize, Fault> {
    if text.len() > max {
        return Err(Fault::TooLarge { max });
    }
    builder.append_value(text);
    Ok(text.len() + 4)
}

fn is_null(value: &ColumnData<'_>) -> bool {
    match value {
        ColumnData::U8(v) => v.is_none(),
        ColumnData::I16(v) => v.is_none(),
        ColumnData::I32(v) => v.is_none(),
        ColumnData::I64(v) => v.is_none(),
        ColumnData::F32(v) => v.is_none(),
        ColumnData::F64(v) => v.is_none(),
        ColumnData::Bit(v) => v.is_none(),
        ColumnData::String(v) => v.is_none(),
        ColumnData::Guid(v) => v.is_none(),
        ColumnData::Binary(v) => v.is_none(),
        ColumnData::Numeric(v) => v.is_none(),
        ColumnData::Xml(v) => v.is_none(),
        ColumnData::DateTime(v) => v.is_none(),
        ColumnData::SmallDateTime(v) => v.is_none(),
        ColumnData::Time(v) => v.is_none(),
        ColumnData::Date(v) => v.is_none(),
        ColumnData::DateTime2(v) => v.is_none(),
        ColumnData::DateTimeOffset(v) => v.is_none(),
    }
}
