//! Values that are bound to a statement, never written into its text.
//! It must not know what they are compared with.

use rivet_plugin_api::{ErrorKind, FILTER_PLACEHOLDER, KeyValue, PluginError, Result};
use rivet_shared_sql::{Dialect, identifier};
use rusqlite::Statement;
use rusqlite::types::{Value, ValueRef};

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

/// Keys as they are stored: SQLite's own order counts, over all storage classes.
pub struct Bound<'v> {
    /// What stands before the name of a column, which must be one: SQLite reads a quoted name that is none as text.
    pub qualifier: &'static str,
    pub values: &'v mut Values,
}

impl Dialect for Bound<'_> {
    fn column(&self, name: &str) -> String {
        format!("{}{}", self.qualifier, identifier(name))
    }

    fn value(&mut self, value: &KeyValue) -> Result<String> {
        let hex = |text: &str| -> Option<Vec<u8>> {
            (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
        };
        let stored = match value.native_type.as_str() {
            "integer" => value.text.parse().ok().map(Value::Integer),
            "real" => value.text.parse().ok().map(Value::Real),
            "text" => Some(Value::Text(value.text.clone())),
            "blob" => hex(&value.text).map(Value::Blob),
            _ => None,
        };
        let stored = stored.ok_or_else(|| {
            PluginError::new(ErrorKind::Internal, "sqlite.split", "the split has a key that is none of SQLite's")
        })?;
        Ok(self.values.add(stored))
    }
}

/// A stored value as a key; none for NULL, and for text that is not UTF-8.
pub fn stored(value: ValueRef<'_>) -> Option<KeyValue> {
    let (native_type, text) = match value {
        ValueRef::Null => return None,
        ValueRef::Integer(n) => ("integer", n.to_string()),
        ValueRef::Real(n) => ("real", format!("{n:?}")),
        ValueRef::Text(bytes) => ("text", std::str::from_utf8(bytes).ok()?.to_owned()),
        ValueRef::Blob(bytes) => ("blob", bytes.iter().map(|b| format!("{b:02x}")).collect()),
    };
    Some(KeyValue::new(native_type, text))
}
