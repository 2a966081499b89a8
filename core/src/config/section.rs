//! Typed reading of one block of keys; whatever is wrong goes to the list of errors.
//! It must not know which keys there are.

use std::ops::RangeInclusive;
use std::path::Path;

use super::load::{Locator, Variables};
use super::node::{Entry, Node, Value, join};
use super::suggest::{did_you_mean, unknown};
use super::units::Unit;
use super::{At, ConfigError};

/// Errors kept; a file that is wrong all over needs no longer list.
pub(super) const MAX_ERRORS: usize = 50;
/// Errors that get a line: each costs a pass over the text.
pub(super) const MAX_LINES: usize = 20;

/// What all readers share.
pub(super) struct Cx<'a> {
    pub(super) locator: Locator,
    pub(super) base_dir: &'a Path,
    pub(super) variables: Variables<'a>,
    pub(super) errors: Vec<ConfigError>,
}

impl Cx<'_> {
    /// Where a key or value is.
    pub(super) fn at(&self, path: impl Into<String>, id: u32) -> At {
        let line = if self.errors.len() < MAX_LINES { self.locator.line(id) } else { None };
        At { path: path.into(), line }
    }

    pub(super) fn push(&mut self, error: ConfigError) {
        if self.errors.len() < MAX_ERRORS {
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
}

/// A block of keys.
#[derive(Clone)]
pub(super) struct Section<'n> {
    pub(super) path: String,
    pub(super) id: u32,
    pub(super) entries: &'n [Entry],
}

/// A text with its place.
#[derive(Clone)]
pub(super) struct Text<'n> {
    pub(super) value: &'n str,
    pub(super) from_env: bool,
    /// As it stands in the file, where a variable took part.
    pub(super) written: Option<&'n str>,
    pub(super) path: String,
    pub(super) id: u32,
}

impl Text<'_> {
    /// The text for a message, unless a variable took part in it.
    pub(super) fn shown(&self) -> Option<String> {
        (!self.from_env).then(|| self.value.to_owned())
    }
}

impl<'n> Section<'n> {
    /// The block that a value is; `id` is the key's, or the value's own where it has no key.
    pub(super) fn of(path: String, id: u32, node: &'n Node, cx: &mut Cx) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => Some(Self { path, id, entries }),
            _ => {
                cx.wrong_type(&path, id, node, "a block of keys");
                None
            }
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Reports every key that is not known.
    pub(super) fn refuse_unknown(&self, known: &[&str], cx: &mut Cx) {
        for entry in self.entries.iter().filter(|e| !known.contains(&e.key.as_str())) {
            let at = cx.at(self.path_of(&entry.key), entry.id);
            let is_null = matches!(entry.node.value, Value::Null);
            cx.push(if entry.key == "<<" {
                let hint = "merge keys are not supported: put what exports share under `defaults`";
                ConfigError::UnknownKey { at, hint: Some(hint.to_owned()) }
            } else {
                unknown(at, &entry.key, is_null, &self.path, known.iter().copied())
            });
        }
    }

    /// Reports a missing key, or one of a block below: `key` or `block.key`.
    pub(super) fn missing(&self, key: &str, hint: &str, cx: &mut Cx) {
        let at = cx.at(key.split('.').fold(self.path.clone(), |path, key| join(&path, key)), self.id);
        cx.push(ConfigError::MissingKey { at, hint: Some(hint.to_owned()) });
    }

    /// Reports two keys that exclude each other.
    pub(super) fn exclusive(&self, one: &str, other: &str, cx: &mut Cx) {
        if let (Some(_), Some(second)) = (self.get(one), self.get(other)) {
            let at = cx.at(self.path.clone(), second.id);
            cx.push(ConfigError::Conflict { at, keys: (one.to_owned(), other.to_owned()) });
        }
    }

    pub(super) fn section(&self, key: &str, cx: &mut Cx) -> Option<Section<'n>> {
        let entry = self.get(key)?;
        Section::of(self.path_of(key), entry.id, &entry.node, cx)
    }

    pub(super) fn list(&self, key: &str, cx: &mut Cx) -> Option<&'n [Node]> {
        let entry = self.get(key)?;
        match &entry.node.value {
            Value::List(items) => Some(items),
            _ => {
                cx.wrong_type(&self.path_of(key), entry.id, &entry.node, "a list");
                None
            }
        }
    }

    pub(super) fn text(&self, key: &str, cx: &mut Cx) -> Option<Text<'n>> {
        let entry = self.get(key)?;
        let path = self.path_of(key);
        match &entry.node.value {
            Value::Text(value) => {
                let written = entry.node.written.as_deref();
                Some(Text { value, from_env: entry.node.from_env, written, path, id: entry.id })
            }
            _ => {
                cx.wrong_type(&path, entry.id, &entry.node, "text");
                None
            }
        }
    }

    /// A text that is not empty.
    pub(super) fn word(&self, key: &str, cx: &mut Cx) -> Option<Text<'n>> {
        let text = self.text(key, cx)?;
        if text.value.trim().is_empty() {
            cx.bad(&text.path, text.id, "is empty", Some("give it a value, or remove the key"));
            return None;
        }
        Some(text)
    }

    /// A whole number.
    pub(super) fn whole(&self, key: &str, range: RangeInclusive<u64>, cx: &mut Cx) -> Option<u64> {
        let entry = self.get(key)?;
        let n = match &entry.node.value {
            Value::Whole(n) => Some(*n),
            Value::Text(text) if entry.node.from_env => text.trim().parse().ok(),
            _ => None,
        };
        let Some(n) = n else {
            cx.wrong_type(&self.path_of(key), entry.id, &entry.node, "a whole number");
            return None;
        };
        match u64::try_from(n).ok().filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None => {
                let problem = format!("must be between {} and {}", range.start(), range.end());
                cx.bad(&self.path_of(key), entry.id, problem, None);
                None
            }
        }
    }

    /// A size in bytes or a time in ms.
    pub(super) fn measure(&self, key: &str, unit: Unit, range: RangeInclusive<u64>, cx: &mut Cx) -> Option<u64> {
        let entry = self.get(key)?;
        let n = match &entry.node.value {
            // What is out of all bounds is out of the range too.
            Value::Whole(n) => Some(u64::try_from(*n).ok().and_then(|n| unit.plain(n)).unwrap_or(u64::MAX)),
            Value::Text(text) => unit.parse(text),
            _ => None,
        };
        let Some(n) = n else {
            cx.wrong_type(&self.path_of(key), entry.id, &entry.node, unit.expected());
            return None;
        };
        if range.contains(&n) {
            return Some(n);
        }
        let (Unit::Bytes(each) | Unit::Ms(each)) = unit;
        let problem =
            format!("must be between {} and {} {}", range.start() / each, range.end() / each, unit.plain_name());
        cx.bad(&self.path_of(key), entry.id, problem, None);
        None
    }

    pub(super) fn flag(&self, key: &str, cx: &mut Cx) -> Option<bool> {
        let entry = self.get(key)?;
        match &entry.node.value {
            Value::Bool(b) => Some(*b),
            Value::Text(text) if entry.node.from_env && text.trim() == "true" => Some(true),
            Value::Text(text) if entry.node.from_env && text.trim() == "false" => Some(false),
            _ => {
                cx.wrong_type(&self.path_of(key), entry.id, &entry.node, "true or false");
                None
            }
        }
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)], cx: &mut Cx) -> Option<T> {
        let text = self.text(key, cx)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = if text.from_env { None } else { did_you_mean(text.value, known.iter().copied()) };
        cx.bad(&text.path, text.id, format!("must be {}", one_of(&known)), hint.as_deref());
        None
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "absent".to_owned(),
        [only] => format!("'{only}'"),
        [firsts @ .., last] => {
            let firsts: Vec<String> = firsts.iter().map(|w| format!("'{w}'")).collect();
            format!("{} or '{last}'", firsts.join(", "))
        }
    }
}
