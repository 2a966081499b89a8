//! Which rows of a relation are read, and what can be asked about them without reading them.
//! It must not know SQL: a source renders these in its own dialect.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Relation;

/// The word in a query that stands for the condition of a [`Filter`].
pub const FILTER_PLACEHOLDER: &str = "${rivet.filter}";

/// Rows to read: those that meet every part. A query with [`FILTER_PLACEHOLDER`] takes the condition there, else the
/// query is a derived table and the condition goes around it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// A condition in the source's own language, from the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// A range of a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<KeyRange>,
}

impl Filter {
    /// Whether all rows meet it.
    pub fn is_empty(&self) -> bool {
        self.condition.is_none() && self.range.is_none()
    }

    /// The same with `…` for the values of keys, which are data: for statements in logs.
    #[must_use]
    pub fn without_values(&self) -> Self {
        let hidden = |value: &KeyValue| KeyValue { text: "…".to_owned(), ..value.clone() };
        let mut filter = self.clone();
        if let Some(range) = &mut filter.range {
            range.lower.iter_mut().for_each(|lower| lower.value = hidden(&lower.value));
            range.upper.iter_mut().for_each(|upper| *upper = hidden(upper));
        }
        filter
    }
}

/// Rows whose key lies in a range. Both ends are part of it, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyRange {
    /// The key: the first of these columns that is not NULL. At least one.
    pub key: Vec<String>,
    /// Smallest key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<Lower>,
    /// Largest key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<KeyValue>,
    /// Whether rows whose key is NULL are part of it.
    pub nulls: bool,
    /// The largest key is where the range ends, and no part of it. Needs
    /// [`SourceCapabilities::moment`](crate::SourceCapabilities::moment).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub upper_open: bool,
}

/// The lower end of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lower {
    /// The value.
    pub value: KeyValue,
    /// How far below the value the range starts; the source computes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus: Option<Distance>,
}

impl From<KeyValue> for Lower {
    fn from(value: KeyValue) -> Self {
        Self { value, minus: None }
    }
}

/// A distance between keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// Time, ms: for dates and timestamps.
    Ms(u64),
    /// A number: for numbers.
    Units(u64),
}

/// A value of a key as the source itself wrote it, under settings that it pins: all digits, no local time zone.
/// Opaque to core, except for being equal or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeyValue {
    /// The source's own name of the type, by which it reads the text back.
    pub native_type: String,
    /// The value.
    pub text: String,
}

impl KeyValue {
    /// A value and the type to read it by.
    pub fn new(native_type: impl Into<String>, text: impl Into<String>) -> Self {
        Self { native_type: native_type.into(), text: text.into() }
    }
}

/// Rows to ask the planner about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explain {
    /// Of what.
    pub relation: Relation,
    /// Which rows.
    #[serde(default)]
    pub filter: Filter,
    /// How this question about the rows would be answered, in place of how they are found. A plugin that does not know
    /// of it explains the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
}

impl Explain {
    /// About all rows.
    pub fn new(relation: Relation) -> Self {
        Self { relation, filter: Filter::default(), measure: None }
    }
}

/// How the server would find rows, by its planner and its statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explained {
    /// Rows expected.
    pub rows: Option<u64>,
    /// How they are found, in the engine's own words, such as `Seq Scan` or `Index Scan using t_at on t`.
    pub scan: Option<String>,
    /// Whether an index finds them; none when the engine does not say. Of a question: whether the answer costs next to
    /// nothing, however large the relation is.
    pub by_index: Option<bool>,
    /// The index covers only some of the rows.
    pub partial_index: bool,
    /// Rows of everything that is scanned without an index, whether they meet the filter or not; none when the engine
    /// does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanned_rows: Option<u64>,
    /// What makes an index that would find the rows of a range: statements of the engine's own language, as they can be
    /// run. Empty where one is used, or none can be made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub index_statements: Vec<String>,
    /// The answer to the question about a key as the statistics have it, old as they may be; none where they do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<KeyValue>,
    /// The statement that reads the rows, in the engine's own language, for people; none where there is none to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

/// Questions about the rows of a relation that the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Of what.
    pub relation: Relation,
    /// Of which rows.
    #[serde(default)]
    pub filter: Filter,
    /// The questions, answered in this order from one state of the database. At least one.
    pub measures: Vec<Measure>,
}

impl Aggregate {
    /// Of all rows.
    pub fn new(relation: Relation, measures: Vec<Measure>) -> Self {
        Self { relation, filter: Filter::default(), measures }
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// Number of rows.
    Count,
    /// Number of rows whose key is NULL.
    CountNull {
        /// The key, as in [`KeyRange::key`].
        key: Vec<String>,
    },
    /// Smallest key in the server's own order; none where no row has one.
    Min {
        /// The key.
        key: Vec<String>,
    },
    /// Largest key in the server's own order; none where no row has one. Where keys are given before they are committed, the
    /// largest below which nothing can come any more.
    Max {
        /// The key.
        key: Vec<String>,
    },
    /// A moment by the server's clock, as a value that a column is compared with; all moments of one call are of one
    /// reading of the clock. None for a moment before all that the column can hold.
    Moment(Moment),
    /// How many sessions of others wait now for a lock, the disk or the log of changes, whatever the relation. Those that wait
    /// for a session of Rivet do not count: a reader that is slower would only keep them longer.
    Waiting,
    /// How far the replica that is furthest behind is behind, ms; of a replica how far it is itself. None where that is not known.
    ReplicaLag,
    /// Who keeps sessions of the same [`Purpose`](crate::Purpose) waiting for a lock now: a list of [`Blocker`] in JSON. None where
    /// nobody does.
    Blockers,
}

/// A session of others that keeps one of ours waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Blocker {
    /// What the server calls it, such as the number of its process.
    pub session: String,
    /// What its client calls itself; empty where it does not.
    pub application: String,
    /// What it does, in the server's words, such as `idle in transaction`; empty where that is not shown. Never its statement,
    /// which may hold secrets.
    pub state: String,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.session)?;
        match [&self.application, &self.state].map(String::as_str) {
            ["", ""] => Ok(()),
            [one, ""] | ["", one] => write!(f, " ({one})"),
            [application, state] => write!(f, " ({application}, {state})"),
        }
    }
}

/// A moment by the server's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The column.
    pub column: String,
    /// How the column tells the time.
    pub told: Told,
    /// So many days before now.
    pub days_ago: u32,
    /// The day's beginning.
    #[serde(default)]
    pub at_midnight: bool,
    /// The zone of days, and of columns without one: a name as the server knows it, or a distance such as `+02:00`.
    pub time_zone: String,
}

/// How a column tells the time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A date, or a timestamp with or without a zone.
    #[default]
    Timestamp,
    /// A number of seconds since 1970 UTC.
    Unix,
    /// A number of milliseconds since 1970 UTC.
    UnixMs,
}
