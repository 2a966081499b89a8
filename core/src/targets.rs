//! What readers of the files make of a column: which Arrow forms surprise which of them. Pure.
//! It must not know a source or a format.

use arrow_schema::{DataType, Field, TimeUnit};

/// A program or service that reads the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Apache Spark.
    Spark,
    /// DuckDB.
    DuckDb,
    /// Google BigQuery.
    BigQuery,
    /// Snowflake.
    Snowflake,
}

/// What a reader makes of a column that it does not read as it is; none when it does.
pub fn surprise(field: &Field, target: Target) -> Option<&'static str> {
    use Target::{BigQuery, DuckDb, Snowflake, Spark};
    match (field.data_type(), target) {
        (DataType::FixedSizeBinary(16), Spark) if is_uuid(field) => Some("refuses a file with a UUID column"),
        (DataType::FixedSizeBinary(16), BigQuery | Snowflake) if is_uuid(field) => Some("reads a UUID as bytes"),
        (DataType::Timestamp(TimeUnit::Nanosecond, _), Spark) => Some("refuses timestamps in nanoseconds"),
        (DataType::Time64(_) | DataType::Time32(_), Spark) => Some("refuses a file with a TIME column"),
        (DataType::Decimal256(..), Spark) => Some("refuses decimals beyond 38 digits"),
        (DataType::Decimal256(..), DuckDb) => Some("reads decimals beyond 38 digits as DOUBLE, which rounds them"),
        (DataType::Decimal256(..), Snowflake) => Some("has no decimals beyond 38 digits"),
        (DataType::UInt64, Spark) => Some("reads unsigned 64-bit numbers as decimals"),
        (DataType::UInt64, BigQuery) => Some("has no unsigned 64-bit numbers"),
        (DataType::List(inner), _) => surprise(inner, target),
        _ => None,
    }
}

fn is_uuid(field: &Field) -> bool {
    field.metadata().get(rivet_plugin_api::EXTENSION_KEY).is_some_and(|name| name == "arrow.uuid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_forms_surprise_only_where_a_time_of_day_does() {
        let all = [Target::Spark, Target::DuckDb, Target::BigQuery, Target::Snowflake];
        let field = |data_type: DataType| Field::new("c", data_type, true);
        for data_type in [
            DataType::Boolean,
            DataType::Int64,
            DataType::Float64,
            DataType::Decimal128(38, 10),
            DataType::Utf8,
            DataType::Binary,
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ] {
            assert!(all.iter().all(|t| surprise(&field(data_type.clone()), *t).is_none()), "{data_type}");
        }
        assert!(surprise(&field(DataType::Time64(TimeUnit::Microsecond)), Target::Spark).is_some());
        assert!(surprise(&field(DataType::Decimal256(60, 5)), Target::DuckDb).is_some());
        let list = field(DataType::new_list(DataType::Decimal256(60, 5), true));
        assert!(surprise(&list, Target::Spark).is_some());
    }
}
