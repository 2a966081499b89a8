//! One column of a batch: storage classes into an Arrow builder, exactly or as a fault.
//! It must not know statements, rows or batches.

mod decimal;
mod fault;
pub mod temporal;

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use rivet_plugin_api::{Column, ErrorKind, Fidelity, LogicalType, PluginError, Result};
use rusqlite::types::{Type, ValueRef};

use decimal::Decimals;
pub use fault::{Fault, Place};

/// Builds one column.
pub struct ColumnBuilder {
    values: Values,
    nullable: bool,
    max_value_bytes: usize,
    /// Rows and bytes of text of the batch before: what the next one will need.
    rows_before: usize,
    bytes_before: usize,
    /// Bytes of text in this batch.
    bytes: usize,
}

enum Values {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Real(Float64Builder),
    Decimal(Decimal128Builder, Decimals),
    /// Text, and integers, whose text is one.
    Text(StringBuilder),
    /// JSON text, and numbers, which are JSON.
    Json(StringBuilder),
    /// Text, and numbers as text.
    Any(StringBuilder),
    Blob(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    /// An empty column. `max_value_bytes` 0 = no limit.
    ///
    /// # Errors
    /// `Internal` for a type that this plugin does not describe.
    pub fn new(column: &Column, max_value_bytes: u64) -> Result<Self> {
        let values = match column.logical {
            LogicalType::Bool => Values::Bool(BooleanBuilder::new()),
            LogicalType::Int { .. } => Values::Int(Int64Builder::new()),
            LogicalType::Float { .. } => Values::Real(Float64Builder::new()),
            LogicalType::Decimal { precision, scale } => {
                let decimals = Decimals::new(precision, scale);
                Values::Decimal(decimals.builder(0)?, decimals)
            }
            LogicalType::Text if column.fidelity == Fidelity::Text => Values::Any(StringBuilder::new()),
            LogicalType::Text => Values::Text(StringBuilder::new()),
            LogicalType::Json => Values::Json(StringBuilder::new()),
            LogicalType::Binary => Values::Blob(BinaryBuilder::new()),
            LogicalType::Date => Values::Date(Date32Builder::new()),
            LogicalType::Time { .. } => Values::Time(Time64MicrosecondBuilder::new()),
            LogicalType::Timestamp { .. } => Values::Timestamp(TimestampMicrosecondBuilder::new()),
            _ => return Err(PluginError::new(ErrorKind::Internal, "sqlite.type", "sqlite has no column of this type")),
        };
        let max_value_bytes = match max_value_bytes {
            0 => usize::MAX,
            max => usize::try_from(max).unwrap_or(usize::MAX),
        };
        Ok(Self { values, nullable: column.nullable, max_value_bytes, rows_before: 0, bytes_before: 0, bytes: 0 })
    }

    /// Takes one value; returns its bytes in Arrow.
    ///
    /// # Errors
    /// Why the value has no exact place in the column.
    #[inline]
    pub fn push(&mut self, value: ValueRef<'_>) -> Result<usize, Fault> {
        match value {
            ValueRef::Null if self.nullable => {
                self.push_null();
                Ok(self.fixed_bytes())
            }
            ValueRef::Null => Err(Fault::Null),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) if bytes.len() > self.max_value_bytes => {
                Err(Fault::TooLarge { bytes: bytes.len(), max: self.max_value_bytes })
            }
            value => {
                let text_bytes = self.push_value(value)?;
                self.bytes += text_bytes;
                Ok(self.fixed_bytes() + text_bytes)
            }
        }
    }

    fn push_null(&mut self) {
        match &mut self.values {
            Values::Bool(b) => b.append_null(),
            Values::Int(b) => b.append_null(),
            Values::Real(b) => b.append_null(),
            Values::Decimal(b, _) => b.append_null(),
            Values::Text(b) | Values::Json(b) | Values::Any(b) => b.append_null(),
            Values::Blob(b) => b.append_null(),
            Values::Date(b) => b.append_null(),
            Values::Time(b) => b.append_null(),
            Values::Timestamp(b) => b.append_null(),
        }
    }

    /// Takes a value that is not NULL; returns the bytes beyond the fixed ones.
    fn push_value(&mut self, value: ValueRef<'_>) -> Result<usize, Fault> {
        match (&mut self.values, value) {
            (Values::Int(b), ValueRef::Integer(i)) => b.append_value(i),
            (Values::Real(b), ValueRef::Real(r)) => b.append_value(r),
            (Values::Real(b), ValueRef::Integer(i)) => b.append_value(exact_f64(i).ok_or(Fault::Inexact)?),
            (Values::Text(b) | Values::Json(b) | Values::Any(b), ValueRef::Text(bytes)) => {
                b.append_value(std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?);
                return Ok(bytes.len());
            }
            (Values::Text(b) | Values::Json(b) | Values::Any(b), ValueRef::Integer(i)) => {
                return Ok(append_text(b, format_args!("{i}")));
            }
            (Values::Any(b), ValueRef::Real(r)) if r.is_infinite() => {
                return Ok(append_text(b, format_args!("{}", if r > 0.0 { "Inf" } else { "-Inf" })));
            }
            // Shortest text that reads back as the same number, and as a number with a fraction.
            (Values::Json(b) | Values::Any(b), ValueRef::Real(r)) if r.is_finite() => {
                return Ok(append_text(b, format_args!("{r:?}")));
            }
            (Values::Bool(b), ValueRef::Integer(i @ 0..=1)) => b.append_value(i == 1),
            (Values::Bool(_), ValueRef::Integer(_)) => return Err(Fault::NotBool),
            (Values::Blob(b), ValueRef::Blob(bytes)) => {
                b.append_value(bytes);
                return Ok(bytes.len());
            }
            (Values::Decimal(b, decimals), ValueRef::Integer(i)) => b.append_value(decimals.integer(i)?),
            (Values::Decimal(b, decimals), ValueRef::Real(r)) => b.append_value(decimals.real(r)?),
            (Values::Decimal(b, decimals), ValueRef::Text(text)) => b.append_value(decimals.text(text)?),
            (Values::Date(b), ValueRef::Text(text)) => b.append_value(temporal::date(text)?),
            (Values::Time(b), ValueRef::Text(text)) => b.append_value(temporal::time(text)?),
            (Values::Timestamp(b), ValueRef::Text(text)) => b.append_value(temporal::timestamp(text)?),
            (values, value) => {
                let temporal = matches!(values, Values::Date(_) | Values::Time(_) | Values::Timestamp(_));
                return Err(match value.data_type() {
                    Type::Integer | Type::Real if temporal => Fault::NumberForTime,
                    class => Fault::Class(class_name(class)),
                });
            }
        }
        Ok(0)
    }

    /// Bytes that every value takes, its validity bit not counted.
    fn fixed_bytes(&self) -> usize {
        match self.values {
            Values::Bool(_) => 1,
            Values::Int(_) | Values::Real(_) | Values::Time(_) | Values::Timestamp(_) => 8,
            Values::Decimal(..) => 16,
            Values::Text(_) | Values::Json(_) | Values::Any(_) | Values::Blob(_) | Values::Date(_) => 4,
        }
    }

    /// The column so far, of `n_rows`; the builder starts anew with room for as much again.
    ///
    /// # Errors
    /// `Internal`.
    pub fn finish(&mut self, n_rows: usize) -> Result<ArrayRef> {
        let (rows, bytes) = (n_rows.min(self.rows_before), self.bytes.min(self.bytes_before));
        (self.rows_before, self.bytes_before, self.bytes) = (n_rows, self.bytes, 0);
        Ok(match &mut self.values {
            Values::Bool(b) => Arc::new(std::mem::replace(b, BooleanBuilder::with_capacity(rows)).finish()),
            Values::Int(b) => Arc::new(std::mem::replace(b, Int64Builder::with_capacity(rows)).finish()),
            Values::Real(b) => Arc::new(std::mem::replace(b, Float64Builder::with_capacity(rows)).finish()),
            Values::Decimal(b, decimals) => Arc::new(std::mem::replace(b, decimals.builder(rows)?).finish()),
            Values::Text(b) | Values::Json(b) | Values::Any(b) => {
                Arc::new(std::mem::replace(b, StringBuilder::with_capacity(rows, bytes)).finish())
            }
            Values::Blob(b) => Arc::new(std::mem::replace(b, BinaryBuilder::with_capacity(rows, bytes)).finish()),
            Values::Date(b) => Arc::new(std::mem::replace(b, Date32Builder::with_capacity(rows)).finish()),
            Values::Time(b) => Arc::new(std::mem::replace(b, Time64MicrosecondBuilder::with_capacity(rows)).finish()),
            Values::Timestamp(b) => {
                Arc::new(std::mem::replace(b, TimestampMicrosecondBuilder::with_capacity(rows)).finish())
            }
        })
    }
}

/// Appends text without an allocation of its own; returns its bytes.
fn append_text(builder: &mut StringBuilder, text: std::fmt::Arguments<'_>) -> usize {
    let before = builder.values_slice().len();
    // Writing to a builder cannot fail.
    let _ = builder.write_fmt(text);
    builder.append_value("");
    builder.values_slice().len() - before
}

/// The number as a float that is the same number.
#[allow(clippy::cast_precision_loss, reason = "checked on the way back")]
fn exact_f64(i: i64) -> Option<f64> {
    let r = i as f64;
    (r as i128 == i128::from(i)).then_some(r)
}

/// A storage class, as messages call a value of it.
pub fn class_name(class: Type) -> &'static str {
    match class {
        Type::Null => "NULL",
        Type::Integer => "an INTEGER",
        Type::Real => "a REAL",
        Type::Text => "TEXT",
        Type::Blob => "a BLOB",
    }
}
