//! Values that are bound to a statement, never written into its text.
//! It must not know what they are compared with.

use rivet_plugin_api::{ErrorKind, FILTER_PLACEHOLDER, PluginError, Result};
use rusqlite::Statement;
use rusqlite::types::Value;

use crate::error::sqlite;

/// What the names of our parameters start with: a `?` of the user's own is told from them.
const PREFIX: &str = ":rivet_";

/// The values of a statement's parameters.
#[derive(Debug, Clone, Default)]
pub struct Values(Vec<Value>);

impl Values {
    /// Takes a value; returns the parameter that stands for it in the SQL.
    pub fn add(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("{PREFIX}{}", self.0.len() - 1)
    }

    /// Gives the statement its values.
    ///
    /// # Errors
    /// `Config` when the statement has a parameter of somebody else, or when a value has no place in it.
    pub fn bind(&self, statement: &mut Statement<'_>) -> Result<()> {
        let failed = sqlite("bind a value");
        for (i, value) in self.0.iter().enumerate() {
            let place = statement.parameter_index(&format!("{PREFIX}{i}")).map_err(&failed)?;
            let place = place.ok_or_else(|| {
                let text =
                    format!("{FILTER_PLACEHOLDER} is in a comment or in a text of the query, so nothing is filtered");
                PluginError::new(ErrorKind::Config, "sqlite.query", text).hint("put it into the WHERE of the query")
            })?;
            statement.raw_bind_parameter(place, value).map_err(&failed)?;
        }
        let ours = |name: &str| {
            let number = name.strip_prefix(PREFIX).and_then(|n| n.parse::<usize>().ok());
            number.is_some_and(|n| n < self.0.len())
        };
        match (1..=statement.parameter_count()).all(|i| statement.parameter_name(i).is_some_and(ours)) {
            true => Ok(()),
            false => {
                let text = "the condition has a parameter without a value";
                let hint = "write the value into `where`, or use `${key}`";
                Err(PluginError::new(ErrorKind::Config, "sqlite.query", text).hint(hint))
            }
        }
    }
}
