//! Which rows: a filter as SQL.
//! It must not know ranges of rowids, nor how a row is read.

use rivet_plugin_api::{Column, FILTER_PLACEHOLDER, Filter, Result};

use crate::bind::Values;
use crate::key::Key;
use crate::schema::{Described, Form, identifier};

/// Conditions to be joined by AND, and the values in them.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// Each in brackets where it needs them.
    pub sql: Vec<String>,
    /// Of all of them.
    pub values: Values,
}

impl Conditions {
    /// Those of a filter on rows with these columns.
    ///
    /// # Errors
    /// As [`Key::of`] and [`Key::range`].
    pub fn of(filter: &Filter, columns: &[Column]) -> Result<Self> {
        let mut values = Values::default();
        // The line break keeps a trailing comment from swallowing the bracket.
        let mut sql: Vec<String> = filter.condition.iter().map(|sql| format!("({sql}\n)")).collect();
        if let Some(range) = &filter.range {
            sql.push(Key::of(&range.key, columns)?.range(range, &mut values)?);
        }
        Ok(Self { sql, values })
    }

    /// A query with its place for a filter filled, if it has one; what is left goes around it.
    pub fn fill(self, query: &str) -> (String, Self) {
        if !query.contains(FILTER_PLACEHOLDER) {
            return (query.to_owned(), self);
        }
        let condition = if self.sql.is_empty() { "TRUE".to_owned() } else { self.sql.join(" AND ") };
        (query.replace(FILTER_PLACEHOLDER, &format!("({condition}\n)")), Self { sql: Vec::new(), ..self })
    }
}

/// `WHERE …`, or nothing.
pub fn where_clause(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

/// The rows of a relation that meet a filter.
pub struct Rows {
    /// What follows FROM.
    pub from: String,
    /// What follows WHERE.
    pub conditions: Conditions,
}

impl Rows {
    /// The rows of a relation that meet a filter.
    ///
    /// # Errors
    /// As [`Conditions::of`].
    pub fn of(described: &Described, filter: &Filter) -> Result<Self> {
        let conditions = Conditions::of(filter, &described.columns)?;
        Ok(match &described.form {
            Form::Query { sql } => {
                let (query, conditions) = conditions.fill(sql);
                Self { from: format!("({query}\n)"), conditions }
            }
            Form::Rowid { table, .. } | Form::Other { table } => {
                Self { from: format!("main.{}", identifier(table)), conditions }
            }
        })
    }

    /// `SELECT what FROM … WHERE …`
    pub fn select(&self, what: &str) -> String {
        format!("SELECT {what} FROM {}{}", self.from, where_clause(&self.conditions.sql))
    }
}
