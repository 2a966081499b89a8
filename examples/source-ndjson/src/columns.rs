//! JSON values into Arrow: one builder a column, exact or refused.
//! It must not know files or lines.

use std::sync::Arc;

use rivet_plugin_api::arrow_array::ArrayRef;
use rivet_plugin_api::arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use rivet_plugin_api::{Column, ErrorKind, LogicalType, PluginError, Result};
use serde_json::Value;

use crate::error::data;

/// The values of a column that wait for their batch.
pub enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
}

impl ColumnBuilder {
    /// An empty one.
    pub fn new(column: &Column) -> Result<Self> {
        Ok(match column.logical {
            LogicalType::Bool => Self::Bool(BooleanBuilder::new()),
            LogicalType::Int { bits: 64, signed: true } => Self::Int(Int64Builder::new()),
            LogicalType::Float { bits: 64 } => Self::Float(Float64Builder::new()),
            LogicalType::Text => Self::Text(StringBuilder::new()),
            _ => {
                let text = format!("column '{}' is not as it was when the export was planned", column.name);
                return Err(PluginError::new(ErrorKind::Schema, "ndjson.schema_changed", text));
            }
        })
    }

    /// Adds the value of one line; returns the Arrow bytes it takes.
    pub fn push(&mut self, column: &Column, value: Option<&Value>) -> Result<usize> {
        let value = value.filter(|v| !v.is_null());
        if value.is_none() && !column.nullable {
            return Err(wrong(column, "a required value is missing"));
        }
        match self {
            Self::Bool(b) => b.append_option(exact(column, value, Value::as_bool)?),
            Self::Int(b) => b.append_option(exact(column, value, Value::as_i64)?),
            Self::Float(b) => b.append_option(exact(column, value, exact_float)?),
            Self::Text(b) => {
                let text = exact(column, value, |v| v.as_str().map(str::len))?;
                b.append_option(value.and_then(Value::as_str));
                return Ok(4 + text.unwrap_or(0));
            }
        }
        Ok(8)
    }

    /// The column of the batch; the builder is empty again.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Int(b) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
        }
    }
}

/// NULL stays NULL; a value that `read` does not take is an error, never another value.
fn exact<T>(column: &Column, value: Option<&Value>, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
    match value.map(read) {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value)),
        Some(None) => Err(wrong(column, &format!("the value is no {}", column.native_type))),
    }
}

/// Whole numbers are JSON numbers too, but a float holds only some of those beyond 2^53.
fn exact_float(value: &Value) -> Option<f64> {
    let float = value.as_f64()?;
    let whole = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    whole.is_none_or(|whole| float as i128 == whole).then_some(float)
}

fn wrong(column: &Column, what: &str) -> PluginError {
    data(what).detail("column", &column.name)
}
