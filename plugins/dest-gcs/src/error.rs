//! What is wrong with the options of the `gcs` destination, as the plugin's errors.
//! It must not know what a store answers.

use rivet_plugin_api::{ErrorKind, PluginError};

/// An option that is wrong; `code` comes after the plugin's name.
pub fn wrong(code: &str, text: impl std::fmt::Display, hint: &str) -> PluginError {
    PluginError::new(ErrorKind::Config, &format!("gcs.{code}"), text).hint(hint)
}
