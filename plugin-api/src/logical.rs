//! The type system between engines and files: one logical type per column, and its Arrow form.
//! It must not know any engine's type names beyond carrying them as text.

use std::collections::HashMap;
use std::fmt;

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use serde::{Deserialize, Serialize};

/// What a column holds, independent of engine and file format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogicalType {
    /// True or false.
    Bool,
    /// Whole number of 8, 16, 32 or 64 bits.
    Int {
        /// Width.
        bits: u8,
        /// Whether negative values exist.
        signed: bool,
    },
    /// IEEE 754 number of 32 or 64 bits.
    Float {
        /// Width.
        bits: u8,
    },
    /// Exact decimal; 1 ≤ precision ≤ 76, 0 ≤ scale ≤ precision.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
    /// Calendar day.
    Date,
    /// Time of day in µs (or ns), without a zone.
    Time {
        /// Whether the source has nanoseconds.
        nanos: bool,
    },
    /// Point in time in µs (or ns): an instant (`utc`) or a naive wall-clock reading.
    Timestamp {
        /// An instant rather than a wall-clock reading.
        utc: bool,
        /// Whether the source has nanoseconds.
        nanos: bool,
    },
    /// 128-bit identifier.
    Uuid,
    /// JSON text, bytes preserved.
    Json,
    /// Months, days and a part of a day, none normalised into another.
    Interval,
    /// One of a fixed list of labels.
    Enum,
    /// Values in order; lists of lists where there are more dimensions. An element can be missing.
    List {
        /// What each element is.
        element: Box<LogicalType>,
    },
    /// Values with names, always the same ones in the same order.
    Struct {
        /// What is in it; at least one.
        fields: Vec<StructField>,
    },
    /// Keys with a value each; no key is there twice, and none is missing. A value can be missing.
    Map {
        /// What each key is.
        key: Box<LogicalType>,
        /// What each value is.
        value: Box<LogicalType>,
    },
    /// What a newer plugin calls it. It has no Arrow form here: such a column can be left out, not read.
    #[serde(untagged)]
    #[schemars(skip)]
    Unknown(serde_json::Value),
}

/// A value within a [`LogicalType::Struct`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StructField {
    /// Name.
    pub name: String,
    /// What it holds.
    pub logical: LogicalType,
    /// Whether it can be missing.
    pub nullable: bool,
}

impl StructField {
    /// A field that can be missing.
    pub fn new(name: impl Into<String>, logical: LogicalType) -> Self {
        Self { name: name.into(), logical, nullable: true }
    }
}

/// How exactly the file holds what the source held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fidelity {
    /// Same values, same meaning.
    Exact,
    /// Same values as the server's own text form; the type's meaning is in the metadata only.
    Text,
    /// In a way that only a newer plugin knows.
    #[serde(other)]
    Other,
}

/// Which Arrow form is written where readers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TypesMode {
    /// What Spark, DuckDB, BigQuery, pandas and Polars all read without surprise.
    #[default]
    Portable,
    /// The richest form.
    Native,
}

/// Metadata key of a field: the engine's own name of the type.
pub const NATIVE_TYPE_KEY: &str = "rivet.native_type";
/// Metadata key of a field: `exact` or `text`.
pub const FIDELITY_KEY: &str = "rivet.fidelity";
/// Name of the field below a list, which Parquet's specification asks for.
pub const LIST_ELEMENT: &str = "element";
/// Metadata key that Arrow reserves for extension types.
pub const EXTENSION_KEY: &str = "ARROW:extension:name";

impl LogicalType {
    /// The Arrow type that a scan delivers for this logical type.
    ///
    /// Portable: UUID, enum and interval (ISO 8601) → Utf8, unsigned 64 bits → Decimal128(20, 0), decimals beyond 38
    /// digits → Utf8, nanoseconds stay with the source's policy and arrive as µs.
    pub fn arrow_type(&self, types: TypesMode) -> DataType {
        let portable = types == TypesMode::Portable;
        match *self {
            Self::Bool => DataType::Boolean,
            Self::Int { bits: 64, signed: false } if portable => DataType::Decimal128(20, 0),
            Self::Int { bits, signed } => int_type(bits, signed),
            Self::Float { bits: 32 } => DataType::Float32,
            Self::Float { .. } => DataType::Float64,
            Self::Decimal { precision, scale } if precision <= 38 => {
                DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
            }
            Self::Decimal { .. } if portable => DataType::Utf8,
            Self::Decimal { precision, scale } => {
                DataType::Decimal256(precision, i8::try_from(scale).unwrap_or(i8::MAX))
            }
            Self::Text | Self::Json => DataType::Utf8,
            Self::Uuid | Self::Enum | Self::Interval if portable => DataType::Utf8,
            Self::Enum => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time { nanos } => DataType::Time64(unit(nanos && !portable)),
            Self::Timestamp { utc, nanos } => DataType::Timestamp(unit(nanos && !portable), utc.then(|| "UTC".into())),
            Self::List { ref element } => DataType::List(element.below(LIST_ELEMENT, true, types).into()),
            Self::Struct { ref fields } => {
                DataType::Struct(fields.iter().map(|f| f.logical.below(&f.name, f.nullable, types)).collect())
            }
            Self::Map { ref key, ref value } => {
                let pair = [key.below("key", false, types), value.below("value", true, types)];
                let pairs = Field::new("entries", DataType::Struct(pair.into_iter().collect()), false);
                DataType::Map(pairs.into(), false)
            }
            Self::Unknown(_) => DataType::Null,
        }
    }

    /// A field within another type. Arrow files refuse dictionaries there, and few readers expect them.
    fn below(&self, name: &str, nullable: bool, types: TypesMode) -> Field {
        let held = if *self == Self::Enum { &Self::Text } else { self };
        held.field(name, nullable, HashMap::new(), types)
    }

    /// Whether it has an Arrow form: it and all below it are words that this version knows.
    pub fn is_known(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::List { element } => element.is_known(),
            Self::Struct { fields } => fields.iter().all(|f| f.logical.is_known()),
            Self::Map { key, value } => key.is_known() && value.is_known(),
            _ => true,
        }
    }

    /// A field of this type, with its extension added to `metadata`.
    fn field(&self, name: &str, nullable: bool, mut metadata: HashMap<String, String>, types: TypesMode) -> Field {
        if let Some(extension) = self.extension(types) {
            metadata.insert(EXTENSION_KEY.to_owned(), extension.to_owned());
        }
        Field::new(name, self.arrow_type(types), nullable).with_metadata(metadata)
    }

    /// The Arrow extension name that belongs to the Arrow form, if any.
    pub fn extension(&self, types: TypesMode) -> Option<&'static str> {
        match self {
            Self::Json => Some("arrow.json"),
            Self::Uuid if types == TypesMode::Native => Some("arrow.uuid"),
            _ => None,
        }
    }
}

/// As messages write it, in the words of SQL where it has some.
impl fmt::Display for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nano_suffix = |nanos: bool| if nanos { "(9)" } else { "" };
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int { bits, signed } => write!(f, "{}int{bits}", if *signed { "" } else { "u" }),
            Self::Float { bits } => write!(f, "float{bits}"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Text => f.write_str("text"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Time { nanos } => write!(f, "time{}", nano_suffix(*nanos)),
            Self::Timestamp { utc, nanos } => {
                write!(f, "timestamp{}{}", if *utc { "tz" } else { "" }, nano_suffix(*nanos))
            }
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Interval => f.write_str("interval"),
            Self::Enum => f.write_str("enum"),
            Self::List { element } => write!(f, "{element}[]"),
            Self::Struct { fields } => {
                let named: Vec<String> = fields.iter().map(|f| format!("{} {}", f.name, f.logical)).collect();
                write!(f, "struct({})", named.join(", "))
            }
            Self::Map { key, value } => write!(f, "map({key}, {value})"),
            Self::Unknown(serde_json::Value::Object(word)) => {
                f.write_str(word.keys().next().map_or("?", String::as_str))
            }
            Self::Unknown(word) => write!(f, "{}", word.as_str().unwrap_or("?")),
        }
    }
}

fn int_type(bits: u8, signed: bool) -> DataType {
    match (bits, signed) {
        (8, true) => DataType::Int8,
        (8, false) => DataType::UInt8,
        (16, true) => DataType::Int16,
        (16, false) => DataType::UInt16,
        (32, true) => DataType::Int32,
        (32, false) => DataType::UInt32,
        (_, true) => DataType::Int64,
        (_, false) => DataType::UInt64,
    }
}

fn unit(nanos: bool) -> TimeUnit {
    if nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond }
}

/// One column as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Column {
    /// Name, exactly as in the source.
    pub name: String,
    /// The engine's own name of the type, such as `numeric(12,2)`.
    pub native_type: String,
    /// What it holds.
    pub logical: LogicalType,
    /// Whether NULL can occur; false only where a validated constraint says so.
    pub nullable: bool,
    /// How exactly the file holds it.
    pub fidelity: Fidelity,
}

impl Column {
    /// A column that may have NULL and is held exactly.
    pub fn new(name: impl Into<String>, native_type: impl Into<String>, logical: LogicalType) -> Self {
        Self { name: name.into(), native_type: native_type.into(), logical, nullable: true, fidelity: Fidelity::Exact }
    }

    /// The same without NULL: a validated constraint says so.
    #[must_use]
    pub fn required(self) -> Self {
        Self { nullable: false, ..self }
    }

    /// The Arrow field that a scan delivers for this column, with native type and fidelity as metadata.
    pub fn arrow_field(&self, types: TypesMode) -> Field {
        let fidelity = match self.fidelity {
            Fidelity::Exact => "exact",
            Fidelity::Text => "text",
            Fidelity::Other => "other",
        };
        let metadata = HashMap::from([
            (NATIVE_TYPE_KEY.to_owned(), self.native_type.clone()),
            (FIDELITY_KEY.to_owned(), fidelity.to_owned()),
        ]);
        self.logical.field(&self.name, self.nullable, metadata, types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_and_native_differ_only_where_readers_do() {
        let cases = [
            (LogicalType::Uuid, DataType::Utf8, DataType::FixedSizeBinary(16)),
            (LogicalType::Int { bits: 64, signed: false }, DataType::Decimal128(20, 0), DataType::UInt64),
            (LogicalType::Decimal { precision: 60, scale: 5 }, DataType::Utf8, DataType::Decimal256(60, 5)),
            (
                LogicalType::Decimal { precision: 38, scale: 5 },
                DataType::Decimal128(38, 5),
                DataType::Decimal128(38, 5),
            ),
            (LogicalType::Int { bits: 16, signed: true }, DataType::Int16, DataType::Int16),
            (LogicalType::Interval, DataType::Utf8, DataType::Interval(IntervalUnit::MonthDayNano)),
            (
                LogicalType::Enum,
                DataType::Utf8,
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            ),
        ];
        for (logical, portable, native) in cases {
            assert_eq!(logical.arrow_type(TypesMode::Portable), portable);
            assert_eq!(logical.arrow_type(TypesMode::Native), native);
        }
    }

    #[test]
    fn a_struct_and_a_map_have_their_arrow_forms() {
        let text = |name| StructField::new(name, LogicalType::Enum);
        let place = LogicalType::Struct { fields: vec![text("city"), StructField { nullable: false, ..text("land") }] };
        let map = LogicalType::Map { key: Box::new(LogicalType::Text), value: Box::new(place) };
        let DataType::Map(pairs, false) = map.arrow_type(TypesMode::Native) else { panic!("{map}") };
        let DataType::Struct(pair) = pairs.data_type() else { panic!("{pairs}") };
        assert_eq!((pair[0].name().as_str(), pair[0].is_nullable()), ("key", false));
        assert_eq!((pair[1].name().as_str(), pair[1].is_nullable()), ("value", true));
        let DataType::Struct(place) = pair[1].data_type() else { panic!("{}", pair[1]) };
        assert_eq!((place[0].data_type(), place[0].is_nullable()), (&DataType::Utf8, true));
        assert_eq!((place[1].name().as_str(), place[1].is_nullable()), ("land", false));
        assert_eq!(map.to_string(), "map(text, struct(city enum, land enum))");
        let json = serde_json::to_string(&map).expect("it is JSON");
        assert_eq!(serde_json::from_str::<LogicalType>(&json).expect("it comes back"), map);
    }

    #[test]
    fn words_of_a_newer_plugin_are_kept_as_they_are() {
        for json in [r#""geometry""#, r#"{"geometry":{"srid":4326}}"#] {
            let read: LogicalType = serde_json::from_str(json).expect(json);
            assert_eq!((read.to_string().as_str(), read.is_known()), ("geometry", false), "{json}");
            assert_eq!(serde_json::to_string(&read).expect("it is JSON"), json);
            assert!(!LogicalType::List { element: Box::new(read) }.is_known());
        }
        assert_eq!(serde_json::from_str::<Fidelity>(r#""rounded""#).expect("a word"), Fidelity::Other);
        assert_eq!(serde_json::from_str::<LogicalType>(r#""text""#).expect("a word"), LogicalType::Text);
    }

    #[test]
    fn a_list_of_lists_names_its_elements_and_their_extension() {
        let list = |element| LogicalType::List { element: Box::new(element) };
        let field = list(list(LogicalType::Uuid)).field("u", false, HashMap::new(), TypesMode::Native);
        let DataType::List(outer) = field.data_type() else { panic!("{field}") };
        let DataType::List(inner) = outer.data_type() else { panic!("{outer}") };
        assert_eq!((outer.name().as_str(), outer.is_nullable()), (LIST_ELEMENT, true));
        assert_eq!((inner.name().as_str(), inner.is_nullable()), (LIST_ELEMENT, true));
        assert_eq!(inner.metadata().get(EXTENSION_KEY).map(String::as_str), Some("arrow.uuid"));
    }
}
