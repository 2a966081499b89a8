//! The list of what is wrong, each error with its line.
//! It must not know which keys there are.

use super::error::{At, ConfigError, ConfigErrors, forget_misspelled};
use super::node::{Node, Value};
use super::yaml::Locator;

/// Errors kept; a file that is wrong all over needs no longer list.
const MAX_ERRORS: usize = 50;
/// Errors that get a line: each costs a pass over the text.
const MAX_LINES: usize = 20;

/// What is wrong so far.
pub(super) struct Report {
    pub(super) locator: Locator,
    pub(super) errors: Vec<ConfigError>,
}

impl Report {
    /// Nothing yet.
    pub(super) fn new(locator: Locator) -> Self {
        Self { locator, errors: Vec::new() }
    }

    /// Where a key or value is.
    pub(super) fn at(&self, path: impl Into<String>, id: u32) -> At {
        let line = if self.errors.len() < MAX_LINES { self.locator.line(id) } else { None };
        At { path: path.into(), line }
    }

    /// Adds one, unless it is there: what is wrong in `defaults` is wrong in each export.
    pub(super) fn push(&mut self, error: ConfigError) {
        if self.errors.len() < MAX_ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    pub(super) fn wrong_type(&mut self, path: &str, id: u32, node: &Node, expected: impl Into<String>) {
        // A failed value was reported when it failed.
        if !matches!(node.value, Value::Failed) {
            let at = self.at(path, id);
            self.push(ConfigError::WrongType { at, expected: expected.into(), found: node.kind() });
        }
    }

    pub(super) fn bad(&mut self, path: &str, id: u32, problem: impl Into<String>, hint: Option<&str>) {
        let at = self.at(path, id);
        self.push(ConfigError::BadValue { at, problem: problem.into(), hint: hint.map(str::to_owned) });
    }

    /// All of it, in the order of the text.
    pub(super) fn finish(self) -> ConfigErrors {
        let mut errors = self.errors;
        forget_misspelled(&mut errors);
        errors.sort_by_key(ConfigError::line);
        ConfigErrors(errors)
    }
}
