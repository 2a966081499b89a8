//! Why a value cannot be decoded, how that reads to the user, and which policy may let something stand for it.
//! It must not know the layout of any type.

use rivet_plugin_api::{ErrorKind, OutOfRange, PluginError, Policies, ZeroDate};
use rivet_shared_sql::hint;

use crate::error::protocol;

/// Why a value cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The value arrives in a form that its type does not have.
    Form,
    /// A date that is none: 0000-00-00, 2024-00-10, 2024-02-31.
    ZeroDate,
    /// A time before 00:00:00 or from 24:00:00 on.
    TimeRange {
        negative: bool,
    },
    /// A number beyond the range of the column.
    OutOfRange {
        negative: bool,
    },
    /// Digits after the point that the column does not have.
    Inexact,
    NotUtf8,
    NotJson,
    NotUuid,
    /// A label that the enum did not have when it was described.
    UnknownLabel,
    /// A NULL in a column that was described as NOT NULL.
    Null,
}

/// What stands for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Substitute {
    Null,
    /// The nearest value that the column holds.
    Nearest,
}

impl Fault {
    /// What stands for the value by these policies, and which of them says so; none when the run stops.
    pub(super) fn substitute(self, policies: &Policies) -> Option<(Substitute, &'static str)> {
        match (self, policies.out_of_range, policies.zero_date) {
            (Self::TimeRange { .. } | Self::OutOfRange { .. }, Some(OutOfRange::Null), _) => {
                Some((Substitute::Null, "out_of_range"))
            }
            (Self::TimeRange { .. } | Self::OutOfRange { .. }, Some(OutOfRange::Clamp), _) => {
                Some((Substitute::Nearest, "out_of_range"))
            }
            (Self::ZeroDate, _, Some(ZeroDate::Null)) => Some((Substitute::Null, "zero_date")),
            _ => None,
        }
    }

    /// The error for a value. `row` counts from 1 over the whole stream.
    pub(super) fn into_error(self, column: &str, row: u64) -> PluginError {
        let value = |what: &str, policy: &str| {
            let way_out = hint::as_text(column);
            let hint = if policy.is_empty() { way_out } else { format!("set {policy}, or {way_out}") };
            PluginError::new(ErrorKind::Data, "mysql.value", format!("the value {what}")).hint(hint)
        };
        const RANGE: &str = "`policies: {out_of_range: null}` or `clamp`";
        let error = match self {
            Self::ZeroDate => {
                value("is no date of the calendar, such as 0000-00-00", "`policies: {zero_date: null}` or `text`")
            }
            Self::TimeRange { .. } => value("is no time of day: it is negative, or 24 hours and more", RANGE),
            Self::OutOfRange { .. } => value("holds a number beyond the range of the column", RANGE),
            Self::Inexact => value("holds digits after the point that the column does not have", ""),
            Self::NotUtf8 => {
                PluginError::new(ErrorKind::Data, "mysql.value", "the value holds text that is not valid utf-8")
                    .hint("set `policies: {invalid_text: replace}` or `binary`")
            }
            Self::NotJson => value("is no JSON", ""),
            Self::NotUuid => value("is no uuid", ""),
            Self::UnknownLabel => {
                let text = "the value holds a label that the enum did not have when it was described";
                PluginError::new(ErrorKind::Schema, "mysql.unknown_label", text)
                    .hint(format!("run the export again, or {}", hint::as_text(column)))
            }
            Self::Null => {
                let text = "the value is NULL although the column was described as NOT NULL";
                PluginError::new(ErrorKind::Schema, "mysql.unexpected_null", text)
                    .hint("the table was altered since it was described: run the export again")
            }
            Self::Form => protocol("a value in a form that its type does not have"),
        };
        error.detail("column", column).detail("row", row)
    }
}
