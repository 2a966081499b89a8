//! One column of a batch: storage classes into an Arrow builder, exactly or as an error that says what to do.
//! It must not know statements or batches.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use rivet_plugin_api::{Column, ErrorKind, Fidelity, LogicalType, PluginError, Result};
use rusqlite::types::ValueRef;

use crate::value;

/// Builds one column.
pub struct ColumnBuilder {
    column: Column,
    values: Values,
    max_value_bytes: usize,
}

enum Values {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Real(Float64Builder),
    Decimal(Decimal128Builder, u8, u8),
    /// Text alone.
    Text(StringBuilder),
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
    /// `Internal` for a type this plugin does not describe.
    pub fn new(column: &Column, max_value_bytes: u64) -> Result<Self> {
        let values = match column.logical {
            LogicalType::Bool => Values::Bool(BooleanBuilder::new()),
            LogicalType::Int { .. } => Values::Int(Int64Builder::new()),
            LogicalType::Float { .. } => Values::Real(Float64Builder::new()),
            LogicalType::Decimal { precision, scale } => Values::Decimal(
                Decimal128Builder::new().with_precision_and_scale(precision, i8::try_from(scale).unwrap_or(0))?,
                precision,
                scale,
            ),
            LogicalType::Text if column.fidelity == Fidelity::Text => Values::Any(StringBuilder::new()),
            LogicalType::Text | LogicalType::Json => Values::Text(StringBuilder::new()),
            LogicalType::Binary => Values::Blob(BinaryBuilder::new()),
            LogicalType::Date => Values::Date(Date32Builder::new()),
            LogicalType::Time { .. } => Values::Time(Time64MicrosecondBuilder::new()),
            LogicalType::Timestamp { .. } => Values::Timestamp(TimestampMicrosecondBuilder::new()),
            _ => return Err(PluginError::new(ErrorKind::Internal, "sqlite.type", "a type sqlite does not have")),
        };
        let max_value_bytes = if max_value_bytes == 0 { u64::MAX } else { max_value_bytes };
        Ok(Self {
            column: column.clone(),
            values,
            max_value_bytes: usize::try_from(max_value_bytes).unwrap_or(usize::MAX),
        })
    }

    /// Takes one value; returns its Arrow bytes, roughly.
    ///
    /// # Errors
    /// `Data` naming the column where the value has no exact place.
    #[inline]
    pub fn push(&mut self, value: ValueRef<'_>) -> Result<usize> {
        if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value
            && bytes.len() > self.max_value_bytes
        {
            return Err(self.too_large(bytes.len()));
        }
        if matches!(value, ValueRef::Null) {
            if !self.column.nullable {
                return Err(self.refuse(value, "NULL in a column that is NOT NULL"));
            }
            self.push_null();
            return Ok(9);
        }
        self.push_value(value).ok_or_else(|| self.refuse(value, "the value has no exact place in the column's type"))
    }

    fn push_null(&mut self) {
        match &mut self.values {
            Values::Bool(b) => b.append_null(),
            Values::Int(b) => b.append_null(),
            Values::Real(b) => b.append_null(),
            Values::Decimal(b, ..) => b.append_null(),
            Values::Text(b) | Values::Any(b) => b.append_null(),
            Values::Blob(b) => b.append_null(),
            Values::Date(b) => b.append_null(),
            Values::Time(b) => b.append_null(),
            Values::Timestamp(b) => b.append_null(),
        }
    }

    fn push_value(&mut self, value: ValueRef<'_>) -> Option<usize> {
        match (&mut self.values, value) {
            (Values::Int(b), ValueRef::Integer(i)) => b.append_value(i),
            (Values::Text(b) | Values::Any(b), ValueRef::Text(bytes)) => {
                b.append_value(std::str::from_utf8(bytes).ok()?);
                return Some(bytes.len() + 5);
            }
            (Values::Real(b), ValueRef::Real(r)) => b.append_value(r),
            (Values::Real(b), ValueRef::Integer(i)) => b.append_value(exact_f64(i)?),
            (Values::Bool(b), ValueRef::Integer(i @ 0..=1)) => b.append_value(i == 1),
            (Values::Blob(b), ValueRef::Blob(bytes)) => {
                b.append_value(bytes);
                return Some(bytes.len() + 5);
            }
            (Values::Date(b), ValueRef::Text(text)) => b.append_value(value::date(text)?),
            (Values::Time(b), ValueRef::Text(text)) => b.append_value(value::time(text)?),
            (Values::Timestamp(b), ValueRef::Text(text)) => b.append_value(value::timestamp(text)?),
            (Values::Decimal(b, p, s), ValueRef::Text(text)) => {
                b.append_value(value::decimal(std::str::from_utf8(text).ok()?, *p, *s)?);
            }
            // `{}` of a number is its shortest text that reads back as the same number.
            (Values::Decimal(b, p, s), ValueRef::Integer(i)) => b.append_value(value::decimal(&i.to_string(), *p, *s)?),
            (Values::Decimal(b, p, s), ValueRef::Real(r)) => b.append_value(value::decimal(&r.to_string(), *p, *s)?),
            (Values::Any(b), ValueRef::Integer(i)) => b.append_value(i.to_string()),
            (Values::Any(b), ValueRef::Real(r)) => b.append_value(format!("{r:?}")),
            _ => return None,
        }
        Some(17)
    }

    /// The column so far; the builder starts anew.
    pub fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Bool(b) => Arc::new(b.finish()),
            Values::Int(b) => Arc::new(b.finish()),
            Values::Real(b) => Arc::new(b.finish()),
            Values::Decimal(b, ..) => Arc::new(b.finish()),
            Values::Text(b) | Values::Any(b) => Arc::new(b.finish()),
            Values::Blob(b) => Arc::new(b.finish()),
            Values::Date(b) => Arc::new(b.finish()),
            Values::Time(b) => Arc::new(b.finish()),
            Values::Timestamp(b) => Arc::new(b.finish()),
        }
    }

    fn refuse(&self, value: ValueRef<'_>, what: &str) -> PluginError {
        let invalid_text = matches!(value, ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_err());
        let stored = if invalid_text { "TEXT that is not UTF-8".to_owned() } else { format!("{} ", value.data_type()) };
        let name = self.column.name.replace('"', "\"\"");
        PluginError::new(ErrorKind::Data, "sqlite.value", what)
            .cause(format!("{} is stored in a column declared {}", stored.trim(), self.column.native_type))
            .detail("column", &self.column.name)
            .hint(format!(
                "export it by a query that says what is meant, such as `CAST(\"{name}\" AS TEXT)`, or `AS BLOB`"
            ))
    }

    fn too_large(&self, bytes: usize) -> PluginError {
        let text = format!("a value has {bytes} bytes, max_value_mb allows {}", self.max_value_bytes);
        PluginError::new(ErrorKind::Data, "sqlite.value_too_large", text)
            .detail("column", &self.column.name)
            .hint("raise `tuning: {max_value_mb: …}`, or leave the column out with a query")
    }
}

/// The number as a float that is the same number.
#[allow(clippy::cast_precision_loss, reason = "checked on the way back")]
fn exact_f64(i: i64) -> Option<f64> {
    let r = i as f64;
    (r as i128 == i128::from(i)).then_some(r)
}
