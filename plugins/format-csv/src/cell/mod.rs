//! Columns as text, cell by cell: which writer a type has, and where NULL and quotes go.
//! It must not know lines, blocks or sinks.

mod number;
mod temporal;
pub mod text;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, LargeBinaryArray, LargeStringArray,
    StringArray, StringViewArray,
};
use arrow_buffer::{IntervalMonthDayNano, NullBuffer, i256};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use rivet_plugin_api::write_iso_8601;

use crate::inspect::extension;
use crate::options::{BinaryForm, Dialect};

/// Units of a second.
const MILLI: i64 = 1_000;
const MICRO: i64 = 1_000_000;
const NANO: i64 = 1_000_000_000;

/// The values of one column of one batch.
pub struct Column<'a> {
    nulls: Option<NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Nothing,
    Bool(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal128(&'a [i128], i8),
    Decimal256(&'a [i256], i8),
    Date(&'a [i32]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp(&'a [i64], TimeUnit, bool),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    LargeBytes(&'a LargeBinaryArray),
    BytesView(&'a BinaryViewArray),
    FixedBytes(&'a FixedSizeBinaryArray),
    Uuid(&'a FixedSizeBinaryArray),
    Interval(&'a [IntervalMonthDayNano]),
    List(Spans<'a>, Box<Column<'a>>),
    /// Which of the words each row has.
    Words(Vec<usize>, Box<Column<'a>>),
}

/// Where the elements of each list are.
enum Spans<'a> {
    Offsets(&'a [i32]),
    LargeOffsets(&'a [i64]),
    Fixed(usize),
}

impl<'a> Column<'a> {
    /// The column of an array; none when `map` refuses the field.
    pub fn new(field: &Field, array: &'a dyn Array) -> Option<Self> {
        let values = values(field, array)?;
        Some(Self { nulls: array.logical_nulls().filter(|nulls| nulls.null_count() > 0), values })
    }

    /// The first row that is NULL.
    pub fn first_null(&self) -> Option<usize> {
        self.nulls.as_ref().and_then(|nulls| nulls.iter().position(|valid| !valid))
    }

    /// Writes the value of a row. `scratch` is room for values that are made before they are quoted.
    #[inline]
    pub fn write(&self, row: usize, dialect: &Dialect, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(&dialect.null);
            return;
        }
        let text = |out: &mut Vec<u8>, value: &[u8]| {
            text::text(out, value, dialect.delimiter, &dialect.null, dialect.quote_all);
        };
        match &self.values {
            Values::Text(array) => text(out, array.value(row).as_bytes()),
            Values::LargeText(array) => text(out, array.value(row).as_bytes()),
            Values::TextView(array) => text(out, array.value(row).as_bytes()),
            Values::List(spans, elements) => {
                scratch.clear();
                list(spans, elements, row, dialect, scratch);
                text(out, scratch);
            }
            Values::Words(keys, words) => words.write(keys[row], dialect, out, scratch),
            values => {
                let start = out.len();
                values.plain(row, dialect, out);
                // No bytes at all look like NULL, whatever that is written as.
                if dialect.quote_all || out.len() == start || out[start..] == *dialect.null {
                    text::enclose(out, start);
                }
            }
        }
    }

    /// Writes the value of a row as JSON.
    fn json(&self, row: usize, dialect: &Dialect, out: &mut Vec<u8>) {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.values {
            Values::Text(array) => text::json(out, array.value(row).as_bytes()),
            Values::LargeText(array) => text::json(out, array.value(row).as_bytes()),
            Values::TextView(array) => text::json(out, array.value(row).as_bytes()),
            Values::List(spans, elements) => list(spans, elements, row, dialect, out),
            Values::Words(keys, words) => words.json(keys[row], dialect, out),
            values => {
                let start = out.len();
                values.plain(row, dialect, out);
                if !values.is_json(row) {
                    text::enclose(out, start);
                }
            }
        }
    }
}

fn list(spans: &Spans<'_>, elements: &Column<'_>, row: usize, dialect: &Dialect, out: &mut Vec<u8>) {
    let large = |offset: i64| usize::try_from(offset).unwrap_or_default();
    let span = match spans {
        Spans::Offsets(offsets) => large(offsets[row].into())..large(offsets[row + 1].into()),
        Spans::LargeOffsets(offsets) => large(offsets[row])..large(offsets[row + 1]),
        Spans::Fixed(length) => row * length..(row + 1) * length,
    };
    out.push(b'[');
    for (i, element) in span.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        elements.json(element, dialect, out);
    }
    out.push(b']');
}

impl Values<'_> {
    /// Writes a value in which neither delimiters nor quotes nor line ends can be.
    #[inline]
    fn plain(&self, row: usize, dialect: &Dialect, out: &mut Vec<u8>) {
        match self {
            Self::Bool(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Self::Int8(values) => number::integer(out, values[row]),
            Self::Int16(values) => number::integer(out, values[row]),
            Self::Int32(values) => number::integer(out, values[row]),
            Self::Int64(values) => number::integer(out, values[row]),
            Self::UInt8(values) => number::integer(out, values[row]),
            Self::UInt16(values) => number::integer(out, values[row]),
            Self::UInt32(values) => number::integer(out, values[row]),
            Self::UInt64(values) => number::integer(out, values[row]),
            Self::Interval(values) => {
                let mut text = String::new();
                write_iso_8601(values[row].months, values[row].days, values[row].nanoseconds, &mut text);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Float32(values) => number::float32(out, values[row]),
            Self::Float64(values) => number::float64(out, values[row]),
            Self::Decimal128(values, scale) => number::decimal128(out, values[row], *scale),
            Self::Decimal256(values, scale) => number::decimal256(out, values[row], *scale),
            Self::Date(values) => temporal::date(out, values[row].into()),
            Self::Time32(values, unit) => time(out, values[row].into(), *unit),
            Self::Time64(values, unit) => time(out, values[row], *unit),
            Self::Timestamp(values, unit, utc) => match unit {
                TimeUnit::Second => temporal::timestamp::<1, 0>(out, values[row], *utc),
                TimeUnit::Millisecond => temporal::timestamp::<MILLI, 3>(out, values[row], *utc),
                TimeUnit::Microsecond => temporal::timestamp::<MICRO, 6>(out, values[row], *utc),
                TimeUnit::Nanosecond => temporal::timestamp::<NANO, 9>(out, values[row], *utc),
            },
            Self::Bytes(array) => bytes(out, array.value(row), dialect),
            Self::LargeBytes(array) => bytes(out, array.value(row), dialect),
            Self::BytesView(array) => bytes(out, array.value(row), dialect),
            Self::FixedBytes(array) => bytes(out, array.value(row), dialect),
            Self::Uuid(array) => text::uuid(out, array.value(row)),
            // All NULL, or written by the column itself.
            Self::Nothing
            | Self::Text(_)
            | Self::LargeText(_)
            | Self::TextView(_)
            | Self::List(_, _)
            | Self::Words(_, _) => {}
        }
    }

    /// Whether the plain form of a value is JSON as it stands.
    fn is_json(&self, row: usize) -> bool {
        match self {
            Self::Float32(values) => values[row].is_finite(),
            Self::Float64(values) => values[row].is_finite(),
            Self::Bool(_)
            | Self::Int8(_)
            | Self::Int16(_)
            | Self::Int32(_)
            | Self::Int64(_)
            | Self::UInt8(_)
            | Self::UInt16(_)
            | Self::UInt32(_)
            | Self::UInt64(_)
            | Self::Decimal128(_, _)
            | Self::Decimal256(_, _) => true,
            _ => false,
        }
    }
}

fn time(out: &mut Vec<u8>, units: i64, unit: TimeUnit) {
    match unit {
        TimeUnit::Second => temporal::time::<1, 0>(out, units),
        TimeUnit::Millisecond => temporal::time::<MILLI, 3>(out, units),
        TimeUnit::Microsecond => temporal::time::<MICRO, 6>(out, units),
        TimeUnit::Nanosecond => temporal::time::<NANO, 9>(out, units),
    }
}

fn bytes(out: &mut Vec<u8>, value: &[u8], dialect: &Dialect) {
    match dialect.binary {
        BinaryForm::Hex => {
            out.extend_from_slice(dialect.hex_prefix);
            text::hex(out, value);
        }
        BinaryForm::Base64 => text::base64(out, value),
    }
}

fn values<'a>(field: &Field, array: &'a dyn Array) -> Option<Values<'a>> {
    Some(match array.data_type() {
        DataType::Null => Values::Nothing,
        DataType::Boolean => Values::Bool(array.as_boolean()),
        DataType::Int8 => Values::Int8(array.as_primitive::<Int8Type>().values()),
        DataType::Int16 => Values::Int16(array.as_primitive::<Int16Type>().values()),
        DataType::Int32 => Values::Int32(array.as_primitive::<Int32Type>().values()),
        DataType::Int64 => Values::Int64(array.as_primitive::<Int64Type>().values()),
        DataType::UInt8 => Values::UInt8(array.as_primitive::<UInt8Type>().values()),
        DataType::UInt16 => Values::UInt16(array.as_primitive::<UInt16Type>().values()),
        DataType::UInt32 => Values::UInt32(array.as_primitive::<UInt32Type>().values()),
        DataType::UInt64 => Values::UInt64(array.as_primitive::<UInt64Type>().values()),
        DataType::Float32 => Values::Float32(array.as_primitive::<Float32Type>().values()),
        DataType::Float64 => Values::Float64(array.as_primitive::<Float64Type>().values()),
        DataType::Decimal128(_, scale) => Values::Decimal128(array.as_primitive::<Decimal128Type>().values(), *scale),
        DataType::Decimal256(_, scale) => Values::Decimal256(array.as_primitive::<Decimal256Type>().values(), *scale),
        DataType::Utf8 => Values::Text(array.as_string()),
        DataType::LargeUtf8 => Values::LargeText(array.as_string()),
        DataType::Utf8View => Values::TextView(array.as_string_view()),
        DataType::Binary => Values::Bytes(array.as_binary()),
        DataType::LargeBinary => Values::LargeBytes(array.as_binary()),
        DataType::BinaryView => Values::BytesView(array.as_binary_view()),
        DataType::FixedSizeBinary(16) if extension(field) == Some("arrow.uuid") => {
            Values::Uuid(array.as_fixed_size_binary())
        }
        DataType::FixedSizeBinary(_) => Values::FixedBytes(array.as_fixed_size_binary()),
        DataType::List(element) => {
            let list = array.as_list::<i32>();
            Values::List(Spans::Offsets(list.value_offsets()), Box::new(Column::new(element, list.values())?))
        }
        DataType::LargeList(element) => {
            let list = array.as_list::<i64>();
            Values::List(Spans::LargeOffsets(list.value_offsets()), Box::new(Column::new(element, list.values())?))
        }
        DataType::FixedSizeList(element, length) => {
            let elements = Column::new(element, array.as_fixed_size_list().values())?;
            Values::List(Spans::Fixed(usize::try_from(*length).ok()?), Box::new(elements))
        }
        DataType::Dictionary(_, _) => words(field, array)?,
        _ => return moments(array),
    })
}

fn moments(array: &dyn Array) -> Option<Values<'_>> {
    Some(match array.data_type() {
        DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>().values()),
        DataType::Time32(unit @ TimeUnit::Second) => {
            Values::Time32(array.as_primitive::<Time32SecondType>().values(), *unit)
        }
        DataType::Time32(unit) => Values::Time32(array.as_primitive::<Time32MillisecondType>().values(), *unit),
        DataType::Time64(unit @ TimeUnit::Microsecond) => {
            Values::Time64(array.as_primitive::<Time64MicrosecondType>().values(), *unit)
        }
        DataType::Time64(unit) => Values::Time64(array.as_primitive::<Time64NanosecondType>().values(), *unit),
        DataType::Timestamp(unit, zone) => {
            let units: &[i64] = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
            };
            Values::Timestamp(units, *unit, zone.is_some())
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>().values())
        }
        _ => return None,
    })
}

fn words<'a>(field: &Field, array: &'a dyn Array) -> Option<Values<'a>> {
    let dictionary = array.as_any_dictionary();
    let words = dictionary.values();
    if words.is_empty() {
        return Some(Values::Nothing);
    }
    let field = Field::new(field.name(), words.data_type().clone(), true);
    Some(Values::Words(dictionary.normalized_keys(), Box::new(Column::new(&field, words)?)))
}

#[cfg(test)]
mod tests;
