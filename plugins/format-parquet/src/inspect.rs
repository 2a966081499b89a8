//! What Parquet can hold: the physical type of each field, or why there is none.
//! It must not know files.

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use rivet_plugin_api::{EXTENSION_KEY, FieldMapping, SchemaRef};

/// Per field: the physical and logical type it is written as, or why it cannot be.
pub fn map(schema: &SchemaRef) -> Vec<FieldMapping> {
    schema.fields().iter().map(|field| physical(field)).collect()
}

fn physical(field: &Field) -> FieldMapping {
    match type_name(field) {
        Ok(name) => FieldMapping::Keep(name),
        Err(cannot) => FieldMapping::Refuse(format!(
            "column '{}': parquet cannot hold {cannot}; read the column as text: `columns: {{{0}: text}}`",
            field.name()
        )),
    }
}

/// The physical and logical type of a field, or the type that cannot be held.
fn type_name(field: &Field) -> Result<String, DataType> {
    let extension = field.metadata().get(EXTENSION_KEY).map(String::as_str);
    Ok(match (field.data_type(), extension) {
        (DataType::Boolean, _) => "BOOLEAN".to_owned(),
        (DataType::Int32, _) => "INT32".to_owned(),
        (DataType::Int64, _) => "INT64".to_owned(),
        (DataType::Int8, _) => "INT32 (INT_8)".to_owned(),
        (DataType::Int16, _) => "INT32 (INT_16)".to_owned(),
        (DataType::UInt8, _) => "INT32 (UINT_8)".to_owned(),
        (DataType::UInt16, _) => "INT32 (UINT_16)".to_owned(),
        (DataType::UInt32, _) => "INT32 (UINT_32)".to_owned(),
        (DataType::UInt64, _) => "INT64 (UINT_64)".to_owned(),
        (DataType::Float32, _) => "FLOAT".to_owned(),
        (DataType::Float64, _) => "DOUBLE".to_owned(),
        (DataType::Decimal128(p, s) | DataType::Decimal256(p, s), _) if *s >= 0 => format!("DECIMAL({p},{s})"),
        (DataType::Utf8, Some("arrow.json")) => "BYTE_ARRAY (JSON)".to_owned(),
        (DataType::Utf8, _) => "BYTE_ARRAY (STRING)".to_owned(),
        (DataType::Dictionary(_, of), _) if **of == DataType::Utf8 => "BYTE_ARRAY (STRING)".to_owned(),
        (DataType::Binary, _) => "BYTE_ARRAY".to_owned(),
        (DataType::FixedSizeBinary(16), Some("arrow.uuid")) => "FIXED_LEN_BYTE_ARRAY(16) (UUID)".to_owned(),
        (DataType::FixedSizeBinary(n), _) => format!("FIXED_LEN_BYTE_ARRAY({n})"),
        (DataType::Date32, _) => "INT32 (DATE)".to_owned(),
        (DataType::Time64(unit), _) => format!("INT64 (TIME_{})", unit_name(*unit)),
        (DataType::Timestamp(unit, zone), _) => {
            format!("INT64 (TIMESTAMP_{}{})", unit_name(*unit), if zone.is_some() { ", UTC" } else { "" })
        }
        (DataType::Interval(IntervalUnit::MonthDayNano), _) => "BYTE_ARRAY (STRING), ISO 8601".to_owned(),
        (DataType::List(element), _) => format!("LIST of {}", type_name(element)?),
        // A group of nothing is none.
        (DataType::Struct(fields), _) if !fields.is_empty() => {
            let named = fields.iter().map(|f| Ok(format!("{} {}", f.name(), type_name(f)?)));
            format!("GROUP of {}", named.collect::<Result<Vec<_>, DataType>>()?.join(", "))
        }
        (DataType::Map(pair, _), _) => match pair.data_type() {
            DataType::Struct(both) if both.len() == 2 => {
                format!("MAP of {} to {}", type_name(&both[0])?, type_name(&both[1])?)
            }
            other => return Err(other.clone()),
        },
        (other, _) => return Err(other.clone()),
    })
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second | TimeUnit::Millisecond => "MILLIS",
        TimeUnit::Microsecond => "MICROS",
        TimeUnit::Nanosecond => "NANOS",
    }
}
