//! Which rows: a filter as SQL.
//! It must not know ranges of rowids, nor how a row is read.

use std::fmt;

use rivet_plugin_api::{Column, Filter, Result};
use rivet_shared_sql::{Conditions, identifier};

use crate::bind::Values;
use crate::key::Key;
use crate::schema::{Described, Form};

/// The conditions of a filter on rows with these columns; the values in them are added to `values`.
///
/// # Errors
/// As [`Key::of`] and [`Key::range`].
pub fn conditions(filter: &Filter, columns: &[Column], values: &mut Values) -> Result<Conditions> {
    Conditions::of(filter, |range| Key::of(&range.key, columns)?.range(range, values))
}

/// The rows of a relation that meet a filter.
pub struct Rows {
    /// What follows FROM.
    from: String,
    pub conditions: Conditions,
    /// Of all conditions.
    pub values: Values,
}

impl Rows {
    /// The rows of a relation that meet a filter.
    ///
    /// # Errors
    /// As [`conditions`].
    pub fn of(described: &Described, filter: &Filter) -> Result<Self> {
        Self::and(described, filter, Conditions::default(), Values::default())
    }

    /// Those of them that meet further conditions too, with the values of these.
    ///
    /// # Errors
    /// As [`conditions`].
    pub fn and(described: &Described, filter: &Filter, further: Conditions, mut values: Values) -> Result<Self> {
        let conditions = conditions(filter, &described.columns, &mut values)?.and(further);
        let (from, conditions) = match &described.form {
            Form::Query { sql } => {
                let (query, around) = conditions.fill(sql);
                (format!("({query}\n)"), around)
            }
            Form::Rowid { table, .. } | Form::Other { table } => (format!("main.{}", identifier(table)), conditions),
        };
        Ok(Self { from, conditions, values })
    }

    /// `SELECT what FROM … WHERE …`
    pub fn select(&self, what: &str) -> String {
        format!("SELECT {what} FROM {self}")
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.from, self.conditions)
    }
}
