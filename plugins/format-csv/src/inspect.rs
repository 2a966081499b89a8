//! What CSV can hold: as which text each type is written, or why it cannot be.
//! It must not know values.

use arrow_schema::{DataType, Field, IntervalUnit};
use rivet_plugin_api::{EXTENSION_KEY, FieldMapping, SchemaRef};

use crate::options::{BinaryForm, Dialect};

/// Per field: the form it is written in, or why it cannot be.
pub fn map(schema: &SchemaRef, dialect: &Dialect) -> Vec<FieldMapping> {
    let map = |field: &Field| match form(field, dialect) {
        Some(form) => FieldMapping::Keep(form),
        None => FieldMapping::Refuse(format!(
            "column '{}': csv cannot hold {}: cast it to text in the query, or write parquet or arrow",
            field.name(),
            field.data_type()
        )),
    };
    schema.fields().iter().map(|field| map(field)).collect()
}

/// How values of a field are written.
fn form(field: &Field, dialect: &Dialect) -> Option<String> {
    let binary = || if dialect.binary == BinaryForm::Hex { "hex" } else { "base64" };
    let form = match field.data_type() {
        DataType::Null => "null",
        DataType::Boolean => "true|false",
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => "integer",
        DataType::Float32 | DataType::Float64 => "float",
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            return Some(format!("decimal({precision},{scale})"));
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => match extension(field) {
            Some("arrow.json") => "json",
            _ => "text",
        },
        DataType::FixedSizeBinary(16) if extension(field) == Some("arrow.uuid") => "uuid",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => binary(),
        DataType::Date32 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "instant",
        DataType::Interval(IntervalUnit::MonthDayNano) => "iso 8601 interval",
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            form(element, dialect)?;
            "json list"
        }
        DataType::Dictionary(_, values) => {
            // The words of a dictionary are no field; its own metadata does not speak of them.
            return form(&Field::new(field.name(), (**values).clone(), true), dialect);
        }
        _ => return None,
    };
    Some(form.to_owned())
}

/// Name of the field's extension type.
pub fn extension(field: &Field) -> Option<&str> {
    field.metadata().get(EXTENSION_KEY).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{Fields, Schema, TimeUnit};

    use super::*;
    use crate::options::CsvOptions;

    fn mapped(types: &[DataType], options: &CsvOptions) -> Vec<FieldMapping> {
        let fields: Fields = types.iter().map(|t| Field::new("c", t.clone(), true)).collect();
        map(&Arc::new(Schema::new(fields)), &options.dialect().expect("the options are right"))
    }

    #[test]
    fn every_type_has_a_form_or_a_reason() {
        let list = |t: DataType| DataType::List(Arc::new(Field::new("element", t, true)));
        let kept = [
            (DataType::Boolean, "true|false"),
            (DataType::UInt64, "integer"),
            (DataType::Float32, "float"),
            (DataType::Decimal256(76, 3), "decimal(76,3)"),
            (DataType::Decimal128(5, -2), "decimal(5,-2)"),
            (DataType::Utf8View, "text"),
            (DataType::LargeBinary, "base64"),
            (DataType::FixedSizeBinary(16), "base64"),
            (DataType::Time64(TimeUnit::Nanosecond), "time"),
            (DataType::Timestamp(TimeUnit::Second, None), "timestamp"),
            (DataType::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into())), "instant"),
            (list(list(DataType::Utf8)), "json list"),
            (DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Date32)), "date"),
        ];
        let types: Vec<DataType> = kept.iter().map(|(t, _)| t.clone()).collect();
        let expected: Vec<_> = kept.iter().map(|(_, form)| FieldMapping::Keep((*form).to_owned())).collect();
        let options = CsvOptions { binary: BinaryForm::Base64, ..Default::default() };
        assert_eq!(mapped(&types, &options), expected);
        let structure = DataType::Struct(vec![Field::new("a", DataType::Int8, true)].into());
        let refused = [DataType::Interval(IntervalUnit::DayTime), list(structure.clone()), structure];
        for mapping in mapped(&refused, &options) {
            let FieldMapping::Refuse(why) = mapping else { panic!("{mapping:?}") };
            assert!(why.starts_with("column 'c': csv cannot hold ") && why.contains("cast it to text"), "{why}");
        }
    }
}
