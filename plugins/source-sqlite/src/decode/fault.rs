//! Why a value has no exact place in its column, and how that reads to the user.
//! It must not know how a value is stored in Arrow. No value is in a message: it may be nobody's business.

use rivet_plugin_api::{Column, ErrorKind, PluginError};
use rivet_shared_sql::identifier;

use crate::types;

/// Why a value cannot be taken. Small and free of text, so that the way of the good values stays short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A NULL in a column that was described as NOT NULL.
    Null,
    /// A storage class that the column's type has no place for.
    Class(&'static str),
    /// Text that is not UTF-8, which SQLite takes unseen.
    NotUtf8,
    /// An integer other than 0 and 1 in a column of truth values.
    NotBool,
    /// A number that the column's type cannot hold with all its digits.
    Inexact,
    /// Text that is not a decimal number.
    NotDecimal,
    /// A number where a date or time is meant: its unit is anybody's guess.
    NumberForTime,
    /// Text that is not a day or time of the calendar as ISO 8601 writes it.
    NotTime,
    /// A time with a zone in a column that has none.
    Zone,
    /// More than six digits of a second.
    SubMicrosecond,
    /// A value longer than the limit, bytes.
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its column.
    pub column: &'a Column,
    /// Row of the stream, from 1.
    pub row: u64,
    /// The row's rowid, where it has one.
    pub rowid: Option<i64>,
}

impl Fault {
    /// The error for a value.
    #[cold]
    pub fn into_error(self, place: Place<'_>) -> PluginError {
        let Place { column, row, rowid } = place;
        let at = rowid.map(|id| format!(" (rowid {id})")).unwrap_or_default();
        let text = format!("the value{at} {}", self.words(column));
        let (kind, code) = match self {
            Self::Null => (ErrorKind::Schema, "sqlite.unexpected_null"),
            Self::TooLarge { .. } => (ErrorKind::Data, "sqlite.value_too_large"),
            _ => (ErrorKind::Data, "sqlite.value"),
        };
        let error = PluginError::new(kind, code, text).detail("column", &column.name).detail("row", row);
        let error = match rowid {
            Some(rowid) => error.detail("rowid", rowid),
            None => error,
        };
        error.hint(self.remedy(column))
    }

    /// What is wrong, of `the value`.
    pub fn words(self, column: &Column) -> String {
        let (meant, as_meant) = if types::is_chosen(column) {
            (column.logical.to_string(), format!("delivered as {}", column.logical))
        } else {
            (column.native_type.clone(), format!("declared {}", column.native_type))
        };
        match self {
            Self::Null => "is NULL although the column is declared NOT NULL".to_owned(),
            Self::Class(class) => format!("holds {class}, which has no exact place in a column {as_meant}"),
            Self::NotUtf8 => "holds text that is not valid utf-8".to_owned(),
            Self::NotBool => format!("holds a number other than 0 and 1 in a column {as_meant}"),
            Self::Inexact => format!("holds a number that {meant} cannot hold with all its digits"),
            Self::NotDecimal => format!("holds text that is no number in a column {as_meant}"),
            Self::NumberForTime => format!("holds a number in a column {as_meant}"),
            Self::NotTime => format!("holds text that is not the ISO 8601 form of a {meant}"),
            Self::Zone => format!("holds a time zone, which a column {as_meant} has no place for"),
            Self::SubMicrosecond => "holds a time with more than six digits of a second".to_owned(),
            Self::TooLarge { bytes, max } => format!("holds {bytes} bytes, more than the {max} that are allowed"),
        }
    }

    /// What to do about it.
    pub fn remedy(self, column: &Column) -> String {
        let name = identifier(&column.name);
        let cast = |to: &str| format!("use `query:` with CAST({name} AS {to}) AS {name}");
        match self {
            Self::Null => "the file was changed behind the constraint: run `PRAGMA integrity_check`".to_owned(),
            Self::TooLarge { .. } => {
                "raise `tuning: {max_value_mb: …}`, or leave the column out with `query:`".to_owned()
            }
            _ if types::is_chosen(column) => {
                let all = if self == Self::Class("a BLOB") { "binary" } else { "text" };
                format!("take another type in `columns`, such as `{}: {all}`, or cast in the `query`", column.name)
            }
            Self::Class("a BLOB") | Self::NotUtf8 => format!("export it as bytes: {}", cast("BLOB")),
            Self::NumberForTime => format!(
                "{}, or with strftime('%Y-%m-%d %H:%M:%f', {name}, 'unixepoch') if it counts seconds",
                cast("INTEGER")
            ),
            _ => format!("export it as text: {}", cast("TEXT")),
        }
    }
}
