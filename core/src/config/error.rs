//! What can be wrong with a config: fields, not sentences, and no value that could be a secret.
//! It must not know YAML, terminals or exit codes.

use std::fmt;

/// Where in the config: the path of a key, and its line where it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct At {
    /// Dotted path, such as `exports.orders.format`; empty for the file as a whole.
    pub path: String,
    /// 1-based.
    pub line: Option<u32>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() { "the config" } else { &self.path })?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// One thing that is wrong. `Display` is one sentence without the hint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("failed to read the config {file}: {cause}")]
    File {
        /// Its path.
        file: String,
        /// The system's reason.
        cause: String,
    },
}

impl ConfigError {
    /// Stable dotted code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "config.file",
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => None,
        }
    }
}

/// Everything that is wrong with a config, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
