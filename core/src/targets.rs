//! What readers of the files make of a column: its type there, and which Arrow forms surprise which of them. Pure.
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

impl Target {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spark => "Spark",
            Self::DuckDb => "DuckDB",
            Self::BigQuery => "BigQuery",
            Self::Snowflake => "Snowflake",
        }
    }
}

/// How a reader takes a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it is.
    Ok,
    /// As something else.
    Changed,
    /// Not at all.
    Refused,
}

impl Status {
    /// The word that machines and people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Refused => "refused",
        }
    }
}

/// A column as a reader has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Its type there; none when it is refused.
    pub type_name: Option<String>,
    /// How it is taken.
    pub status: Status,
    /// What is surprising, as the end of a sentence that begins with the reader.
    pub surprise: Option<&'static str>,
}

/// What a reader makes of a column.
pub fn reading(field: &Field, target: Target) -> Reading {
    let (status, surprise) = match surprise(field, target) {
        None => (Status::Ok, None),
        Some((status, what)) => (status, Some(what)),
    };
    let type_name = (status != Status::Refused).then(|| type_name(field, target));
    Reading { type_name, status, surprise }
}

fn surprise(field: &Field, target: Target) -> Option<(Status, &'static str)> {
    use Status::{Changed, Refused};
    use Target::{BigQuery, DuckDb, Snowflake, Spark};
    Some(match (field.data_type(), target) {
        (DataType::FixedSizeBinary(16), Spark) if is_uuid(field) => (Refused, "refuses a file with a UUID column"),
        (DataType::FixedSizeBinary(16), BigQuery | Snowflake) if is_uuid(field) => (Changed, "reads a UUID as bytes"),
        (DataType::Timestamp(TimeUnit::Nanosecond, _), Spark) => (Refused, "refuses timestamps in nanoseconds"),
        (DataType::Time64(_) | DataType::Time32(_), Spark) => (Refused, "refuses a file with a TIME column"),
        (DataType::Decimal256(..), Spark) => (Refused, "refuses decimals beyond 38 digits"),
        (DataType::Decimal256(..), DuckDb) => (Changed, "reads decimals beyond 38 digits as DOUBLE, which rounds them"),
        (DataType::Decimal256(..), Snowflake) => (Refused, "has no decimals beyond 38 digits"),
        (DataType::UInt64, Spark) => (Changed, "reads unsigned 64-bit numbers as decimals"),
        (DataType::UInt64, BigQuery) => (Refused, "has no unsigned 64-bit numbers"),
        (DataType::List(inner), _) => return self::surprise(inner, target),
        _ => return None,
    })
}

fn is_uuid(field: &Field) -> bool {
    field.metadata().get(rivet_plugin_api::EXTENSION_KEY).is_some_and(|name| name == "arrow.uuid")
}

/// The type that a reader gives a column of a Parquet file, in the reader's own words.
fn type_name(field: &Field, target: Target) -> String {
    use DataType as D;
    // Spark, DuckDB, BigQuery, Snowflake.
    let words = match field.data_type() {
        D::Boolean => ["boolean", "BOOLEAN", "BOOL", "BOOLEAN"],
        D::Int8 => ["tinyint", "TINYINT", "INT64", "NUMBER(38,0)"],
        D::Int16 => ["smallint", "SMALLINT", "INT64", "NUMBER(38,0)"],
        D::Int32 => ["int", "INTEGER", "INT64", "NUMBER(38,0)"],
        D::Int64 => ["bigint", "BIGINT", "INT64", "NUMBER(38,0)"],
        D::UInt8 => ["smallint", "UTINYINT", "INT64", "NUMBER(38,0)"],
        D::UInt16 => ["int", "USMALLINT", "INT64", "NUMBER(38,0)"],
        D::UInt32 => ["bigint", "UINTEGER", "INT64", "NUMBER(38,0)"],
        D::UInt64 => ["decimal(20,0)", "UBIGINT", "", "NUMBER(38,0)"],
        D::Float32 => ["float", "FLOAT", "FLOAT64", "FLOAT"],
        D::Float64 => ["double", "DOUBLE", "FLOAT64", "FLOAT"],
        D::Binary | D::LargeBinary => ["binary", "BLOB", "BYTES", "BINARY"],
        D::FixedSizeBinary(_) if is_uuid(field) => ["", "UUID", "BYTES", "BINARY"],
        D::FixedSizeBinary(_) => ["binary", "BLOB", "BYTES", "BINARY"],
        D::Date32 | D::Date64 => ["date", "DATE", "DATE", "DATE"],
        D::Time32(_) | D::Time64(_) => ["", "TIME", "TIME", "TIME"],
        D::Timestamp(_, Some(_)) => ["timestamp", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP"],
        D::Timestamp(TimeUnit::Nanosecond, None) => ["", "TIMESTAMP_NS", "DATETIME", "TIMESTAMP_NTZ"],
        D::Timestamp(_, None) => ["timestamp_ntz", "TIMESTAMP", "DATETIME", "TIMESTAMP_NTZ"],
        D::Decimal128(precision, scale) => return decimal(*precision, *scale, target),
        D::Decimal256(precision, scale) if target != Target::DuckDb => return decimal(*precision, *scale, target),
        D::Decimal256(..) => return "DOUBLE".to_owned(),
        D::Dictionary(_, value) => {
            return type_name(&Field::new(field.name(), (**value).clone(), true), target);
        }
        D::List(inner) => {
            let inner = type_name(inner, target);
            return match target {
                Target::Spark => format!("array<{inner}>"),
                Target::DuckDb => format!("{inner}[]"),
                Target::BigQuery => format!("ARRAY<{inner}>"),
                Target::Snowflake => "ARRAY".to_owned(),
            };
        }
        _ => ["string", "VARCHAR", "STRING", "VARCHAR"],
    };
    words[target as usize].to_owned()
}

fn decimal(precision: u8, scale: i8, target: Target) -> String {
    match target {
        Target::Spark => format!("decimal({precision},{scale})"),
        Target::DuckDb => format!("DECIMAL({precision},{scale})"),
        Target::Snowflake => format!("NUMBER({precision},{scale})"),
        Target::BigQuery => {
            let whole = i32::from(precision) - i32::from(scale);
            if whole <= 29 && scale <= 9 { "NUMERIC" } else { "BIGNUMERIC" }.to_owned()
        }
    }
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
            for target in all {
                let reading = reading(&field(data_type.clone()), target);
                assert_eq!((reading.status, reading.surprise), (Status::Ok, None), "{data_type}");
                assert!(reading.type_name.is_some_and(|name| !name.is_empty()), "{data_type}");
            }
        }
        let read = |data_type: DataType, target| reading(&field(data_type), target);
        assert_eq!(read(DataType::Time64(TimeUnit::Microsecond), Target::Spark).status, Status::Refused);
        assert_eq!(read(DataType::Decimal256(60, 5), Target::DuckDb).status, Status::Changed);
        let list = DataType::new_list(DataType::Decimal256(60, 5), true);
        assert_eq!(read(list, Target::Spark).status, Status::Refused);
    }

    #[test]
    fn types_have_the_readers_names() {
        let name = |data_type: DataType, target| {
            let reading = reading(&Field::new("c", data_type, true), target);
            reading.type_name.unwrap_or_default()
        };
        assert_eq!(name(DataType::Decimal128(12, 2), Target::BigQuery), "NUMERIC");
        assert_eq!(name(DataType::Decimal128(38, 20), Target::BigQuery), "BIGNUMERIC");
        assert_eq!(name(DataType::Decimal128(12, 2), Target::Snowflake), "NUMBER(12,2)");
        assert_eq!(name(DataType::new_list(DataType::Int32, true), Target::DuckDb), "INTEGER[]");
        assert_eq!(name(DataType::UInt64, Target::Spark), "decimal(20,0)");
        assert_eq!(name(DataType::UInt64, Target::BigQuery), "");
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert_eq!(name(dictionary, Target::Spark), "string");
    }
}
