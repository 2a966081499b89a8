//! How a column is read where there is more than one honest way: overrides and value policies.
//! It must not know any engine, nor what core does with the counts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LogicalType;

/// The choices of one export, handed over when its sessions are opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choices {
    /// For every column that says nothing itself.
    pub policies: Policies,
    /// By column name, exactly.
    pub columns: BTreeMap<String, ColumnChoice>,
    /// Columns that scans will ask for. Others are described too, but that they may not be read is no error.
    pub wanted: Wanted,
}

/// Some of the columns of a relation, by their exact names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wanted {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl Wanted {
    /// Whether the column is one of them.
    pub fn has(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == column),
            Self::Except(names) => !names.iter().any(|name| name == column),
        }
    }
}

impl Choices {
    /// The policies of one column: its own, over those of all.
    pub fn policies_of(&self, column: &str) -> Policies {
        self.columns.get(column).map_or(self.policies, |own| own.policies.over(self.policies))
    }
}

/// The choices of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnChoice {
    /// Delivered as this instead of what its type says. The source answers with exactly this type, or refuses.
    pub logical: Option<LogicalType>,
    /// The type may change values (round, cut off); otherwise a value that does not fit is an error.
    pub lossy: bool,
    /// Its own policies.
    pub policies: Policies,
}

/// What happens to a value that has no exact place. Absent = the default, which is an error (or exact text) for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "policies")]
pub struct Policies {
    /// A number that does not say how many digits it has: its digits as `text`, a `decimal(p,s)` in which each value
    /// has to fit, or `error` to refuse the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "Option<String>",
        extend("reads" = "numeric-unbounded", "pattern" = "^(text|error|decimal\\(.*\\))$", "default" = "text")
    )]
    pub numeric_unbounded: Option<NumericUnbounded>,
    /// Fractions of a second beyond µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "error"))]
    pub sub_microsecond: Option<SubMicrosecond>,
    /// Text that is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "error"))]
    pub invalid_text: Option<InvalidText>,
    /// A number, date or time beyond what the column holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "error"))]
    pub out_of_range: Option<OutOfRange>,
    /// NaN in a decimal column.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "error"))]
    pub nan: Option<Nan>,
    /// `infinity` and `-infinity` in a date or timestamp column.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "error"))]
    pub infinity_timestamp: Option<OutOfRange>,
    /// Dates such as 0000-00-00.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "error"))]
    pub zero_date: Option<ZeroDate>,
    /// `tinyint(1)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "int"))]
    pub tinyint1: Option<TinyInt1>,
}

impl Policies {
    /// Names of those that say something.
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            ("numeric_unbounded", self.numeric_unbounded.is_some()),
            ("sub_microsecond", self.sub_microsecond.is_some()),
            ("invalid_text", self.invalid_text.is_some()),
            ("out_of_range", self.out_of_range.is_some()),
            ("nan", self.nan.is_some()),
            ("infinity_timestamp", self.infinity_timestamp.is_some()),
            ("zero_date", self.zero_date.is_some()),
            ("tinyint1", self.tinyint1.is_some()),
        ];
        all.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect()
    }

    /// These, and `base` where they say nothing.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            numeric_unbounded: self.numeric_unbounded.or(base.numeric_unbounded),
            sub_microsecond: self.sub_microsecond.or(base.sub_microsecond),
            invalid_text: self.invalid_text.or(base.invalid_text),
            out_of_range: self.out_of_range.or(base.out_of_range),
            nan: self.nan.or(base.nan),
            infinity_timestamp: self.infinity_timestamp.or(base.infinity_timestamp),
            zero_date: self.zero_date.or(base.zero_date),
            tinyint1: self.tinyint1.or(base.tinyint1),
        }
    }
}

/// How a `numeric` without precision is delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumericUnbounded {
    /// Its digits.
    #[default]
    Text,
    /// A decimal of this size; a value that does not fit is an error.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Not at all.
    Error,
}

macro_rules! policy {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }
    };
}

policy!(
    /// What happens to nanoseconds.
    SubMicrosecond {
        /// The run stops.
        Error,
        /// They are cut off.
        Truncate,
        /// The column holds nanoseconds.
        Ns,
        /// The column holds text.
        Text,
    }
);
policy!(
    /// What happens to text that is no UTF-8.
    InvalidText {
        /// The run stops.
        Error,
        /// U+FFFD stands for what cannot be read.
        Replace,
        /// The column holds the bytes.
        Binary,
    }
);
policy!(
    /// What happens to a value beyond the column's range.
    OutOfRange {
        /// The run stops.
        Error,
        /// NULL stands for it.
        Null,
        /// The nearest value stands for it.
        Clamp,
    }
);
policy!(
    /// What happens to NaN where the column has none.
    Nan {
        /// The run stops.
        Error,
        /// NULL stands for it.
        Null,
    }
);
policy!(
    /// What happens to a date that is none.
    ZeroDate {
        /// The run stops.
        Error,
        /// NULL stands for it.
        Null,
        /// The column holds text.
        Text,
    }
);
policy!(
    /// What `tinyint(1)` holds.
    TinyInt1 {
        /// A number.
        Int,
        /// True or false; another value is an error.
        Bool,
    }
);
