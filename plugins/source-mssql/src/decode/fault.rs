//! Why a value has no exact place in its column, and how that reads to the user.
//! It must not know how a value is stored in Arrow. No value is in a message: it may be nobody's business.

use rivet_plugin_api::{Column, ErrorKind, PluginError};
use rivet_shared_sql::hint;

/// Why a value cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A NULL in a column that was described as NOT NULL.
    Null,
    /// The server sent another type than it described.
    Type,
    /// More than six digits of a second.
    SubMicrosecond,
    /// A moment that nanoseconds since 1970 cannot count.
    OutOfRange,
    /// A date or time that is none.
    NotTime,
    /// A number with more digits than the column's type has.
    Digits,
    NotJson,
    /// A value longer than the limit, bytes.
    TooLarge {
        /// The limit.
        max: usize,
    },
}

impl Fault {
    /// The error for a value of a column in a row, from 1.
    #[cold]
    pub fn into_error(self, column: &Column, row: u64) -> PluginError {
        let name = &column.name;
        let (kind, code, text, hint) = match self {
            Self::Null => (
                ErrorKind::Schema,
                "mssql.unexpected_null",
                "the value is NULL although the column is declared NOT NULL".to_owned(),
                "the schema changed while it was exported: run the export again".to_owned(),
            ),
            Self::Type => (
                ErrorKind::Schema,
                "mssql.type",
                format!("the value is not of the type {} that was described", column.native_type),
                "the schema changed while it was exported: run the export again".to_owned(),
            ),
            Self::SubMicrosecond => (
                ErrorKind::Data,
                "mssql.value",
                "the value has a seventh digit of a second, which µs cannot hold".to_owned(),
                format!(
                    "set `policies: {{sub_microsecond: truncate}}` or `text`, for this column alone {}; with `types: native` there is \
                     `sub_microsecond: ns` too",
                    hint::column(name, "{sub_microsecond: truncate}")
                ),
            ),
            Self::OutOfRange => (
                ErrorKind::Data,
                "mssql.value",
                "the value is a moment that nanoseconds cannot count (1677 to 2262)".to_owned(),
                format!("set {} or `clamp`, or read no nanoseconds", hint::column(name, "{out_of_range: null}")),
            ),
            Self::NotTime => (
                ErrorKind::Connection,
                "mssql.protocol",
                "the value is no date or time".to_owned(),
                "is this a SQL Server, with nothing in between that changes the protocol?".to_owned(),
            ),
            Self::Digits => (
                ErrorKind::Data,
                "mssql.value",
                format!("the value has more digits than {}", column.logical),
                hint::as_text(name),
            ),
            Self::NotJson => (ErrorKind::Data, "mssql.value", "the value is no JSON".to_owned(), hint::as_text(name)),
            Self::TooLarge { max } => (
                ErrorKind::Data,
                "mssql.value_too_large",
                format!("the value holds more than the {max} bytes that are allowed"),
                format!("raise `tuning: {{max_value_mb: …}}`, or leave the column out: {}", hint::exclude(name)),
            ),
        };
        PluginError::new(kind, code, text).detail("column", name).detail("row", row).hint(hint)
    }
}
