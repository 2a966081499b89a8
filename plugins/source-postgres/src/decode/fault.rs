//! Why a field or a tuple cannot be decoded, and how that reads to the user.
//! It must not know the layout of any type.

use rivet_plugin_api::{ErrorKind, PluginError, Retry};

use crate::hint;

/// Why a field cannot be decoded. Small and free of text, so that the way of the good values stays short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The tuple ends inside a field, or the field has another length than its type.
    Length,
    /// The bytes of the field are not of its type.
    Malformed,
    /// NaN in a decimal column.
    NotANumber,
    /// An infinite numeric in a decimal column.
    InfiniteNumber,
    /// More digits before the point than the column has.
    TooManyDigits,
    /// More digits after the point than the column has.
    Inexact,
    /// A whole number beyond the column's range.
    OutOfRange,
    /// An infinite date or timestamp.
    InfiniteTime,
    /// A timestamp beyond the range of µs since 1970 in 64 bits, or a date beyond days in 32.
    TimeOverflow,
    /// `24:00:00`.
    EndOfDay,
    /// Text that is not UTF-8.
    NotUtf8,
    /// JSON that is not UTF-8.
    JsonNotUtf8,
    /// An array of another number of dimensions than the column has levels of lists.
    Dimensions,
    /// An array whose subscripts do not start at 1.
    LowerBound,
    /// A label that the enum did not have when it was described.
    UnknownLabel,
    /// A NULL in a column that was described as NOT NULL.
    Null,
    /// The values of one column and batch exceed 2 GiB.
    BatchTooLong,
}

impl Fault {
    /// The error for a value. `row` counts from 1 over the whole stream.
    #[cold]
    pub(super) fn into_error(self, column: &str, row: u64) -> PluginError {
        let at = |what: &str| format!("the value {what}");
        let value = |what: &str, policy: &str| {
            let way_out = hint::as_text(column);
            let hint = if policy.is_empty() { way_out } else { format!("set {policy}, or {way_out}") };
            PluginError::new(ErrorKind::Data, "postgres.value", at(what)).hint(hint)
        };
        const NAN: &str = "`policies: {nan: null}`";
        const RANGE: &str = "`policies: {out_of_range: null}` or `clamp`";
        let error = match self {
            Self::NotANumber => value("holds NaN, which has no place in a column of exact numbers", NAN),
            Self::InfiniteNumber => value("holds an infinite number, which has no place in a decimal column", NAN),
            Self::TooManyDigits => value("holds more digits than its type declares", RANGE),
            Self::Inexact => value("holds more digits after the point than the column has", ""),
            Self::OutOfRange => value("holds a number beyond the range of the column", RANGE),
            Self::InfiniteTime => value(
                "holds infinity, which has no place in a column of dates or times",
                "`policies: {infinity_timestamp: null}` or `clamp`",
            ),
            Self::TimeOverflow => value("holds a date or time beyond the range of its arrow type", RANGE),
            Self::EndOfDay => value("holds 24:00:00, which has no place in a time column", RANGE),
            Self::Dimensions => value("is an array of another number of dimensions than the column has", ""),
            Self::LowerBound => {
                let lossy = hint::column(column, "{lossy: true}");
                value("is an array whose subscripts do not start at 1", &lossy)
            }
            Self::UnknownLabel => PluginError::new(
                ErrorKind::Schema,
                "postgres.unknown_label",
                at("holds a label that the enum did not have when it was described"),
            )
            .hint("the enum changed since: run the export again"),
            // A server of another encoding converts or refuses: what comes here is of a database without an encoding, or
            // damaged text of one in UTF-8.
            Self::NotUtf8 | Self::JsonNotUtf8 => {
                // What is JSON is not read as anything but text.
                let or_bytes = if self == Self::NotUtf8 { " or `binary`" } else { "" };
                PluginError::new(ErrorKind::Data, "postgres.value", at("holds text that is not valid utf-8"))
                    .hint(format!("set `policies: {{invalid_text: replace}}`{or_bytes}"))
            }
            Self::Null => PluginError::new(
                ErrorKind::Schema,
                "postgres.unexpected_null",
                at("is NULL although the column was described as NOT NULL"),
            )
            .hint("the constraint changed since the table was described: run the export again"),
            Self::BatchTooLong => {
                PluginError::new(ErrorKind::Data, "postgres.value", at("does not fit into a batch of 2 GiB"))
                    .hint("lower the batch size, or leave the column out")
            }
            Self::Length => protocol(at("has another length than its type")),
            Self::Malformed => protocol(at("is not in the binary form of its type")),
        };
        error.detail("column", column).detail("row", row)
    }
}

/// The error for a tuple whose shape is not what was asked for. `row` counts from 1 over the whole stream.
#[cold]
pub(super) fn bad_tuple(what: &str, row: u64) -> PluginError {
    protocol(format!("the server's row {row} {what}")).detail("row", row)
}

/// What the server does not send was changed on the way.
fn protocol(message: String) -> PluginError {
    PluginError::new(ErrorKind::Connection, "postgres.protocol", message)
        .retry(Retry::NewSession)
        .hint("is there something between the server and rivet that changes the protocol?")
}
