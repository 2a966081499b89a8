//! The options of a plugin: JSON, with the place of each in the config and whether a variable gave it.
//! It must not know any plugin.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json};

use super::error::forget_misspelled;
use super::load::Locator;
use super::node::{Entry, Node, Value, join};
use super::schema::{self, Marks};
use super::section::{Cx, Section};
use super::{ConfigError, ConfigErrors};

/// Options of a plugin, as they stand in the config. `Debug` shows the keys of values alone: a value may be a secret,
/// and so may a key without a value, in a config with a slip in it.
#[derive(Clone, Default)]
pub struct Options {
    values: Map<String, Json>,
    /// By JSON pointer; the empty pointer is the block itself.
    marks: BTreeMap<String, Mark>,
    locator: Locator,
}

#[derive(Clone, Copy)]
struct Mark {
    id: u32,
    from_env: bool,
}

impl Options {
    /// The options for the plugin, checked against its JSON schema; texts that came from variables have become the
    /// numbers and booleans that the schema asks for. `owner` is the path of the block, such as `source` or
    /// `exports.orders.format`.
    ///
    /// # Errors
    /// Unknown keys, missing keys and wrong values, all of them.
    pub fn resolve(&self, owner: &str, schema: &Json) -> Result<Map<String, Json>, ConfigErrors> {
        let mut values = Json::Object(self.values.clone());
        schema::coerce(schema, &mut values, self);
        let Json::Object(values) = values else {
            return Ok(Map::new());
        };
        let mut errors = schema::check(owner, schema, &values, self);
        forget_misspelled(&mut errors);
        errors.sort_by_key(ConfigError::line);
        if errors.is_empty() { Ok(values) } else { Err(ConfigErrors(errors)) }
    }

    /// The options as they were written.
    pub fn as_map(&self) -> &Map<String, Json> {
        &self.values
    }

    /// Takes all keys of a block but those in `except`.
    pub(super) fn of(section: &Section, except: &[&str], cx: &mut Cx) -> Self {
        let mut options = Self { locator: cx.locator.clone(), ..Self::default() };
        options.marks.insert(String::new(), Mark { id: section.id, from_env: false });
        for entry in section.entries.iter().filter(|e| !except.contains(&e.key.as_str())) {
            options.set(&entry.key, entry, &section.path, cx);
        }
        options
    }

    /// Puts one key, which may have another name in the block that `entry` comes from.
    pub(super) fn set(&mut self, key: &str, entry: &Entry, path: &str, cx: &mut Cx) {
        self.forget(key);
        self.locator = cx.locator.clone();
        match entry.node.to_json() {
            Some(json) => {
                self.values.insert(key.to_owned(), json);
                self.mark(pointer("", key), entry.id, &entry.node);
            }
            None => {
                cx.bad(&join(path, &entry.key), entry.id, "has a number that is out of all bounds", None);
            }
        }
    }

    /// Lays the keys of `other` over these.
    pub(super) fn lay(&mut self, other: Self) {
        for (key, value) in other.values {
            self.forget(&key);
            self.values.insert(key, value);
        }
        self.marks.extend(other.marks);
        self.locator = other.locator;
    }

    /// Removes a key.
    pub(super) fn forget(&mut self, key: &str) {
        self.values.remove(key);
        let gone = pointer("", key);
        let inside = format!("{gone}/");
        self.marks.retain(|p, _| *p != gone && !p.starts_with(&inside));
    }

    fn mark(&mut self, at: String, id: u32, node: &Node) {
        match &node.value {
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.mark(format!("{at}/{i}"), item.id, item);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    self.mark(pointer(&at, &entry.key), entry.id, &entry.node);
                }
            }
            _ => {}
        }
        self.marks.insert(at, Mark { id, from_env: node.from_env });
    }
}

/// A JSON pointer to a key of the object at `parent`.
pub(super) fn pointer(parent: &str, key: &str) -> String {
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl Marks for Options {
    fn line(&self, pointer: &str) -> Option<u32> {
        self.marks.get(pointer).and_then(|m| self.locator.line(m.id))
    }
    fn is_from_env(&self, pointer: &str) -> bool {
        self.marks.get(pointer).is_some_and(|m| m.from_env)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.values.iter().filter(|(_, value)| !value.is_null());
        f.debug_set().entries(shown.map(|(key, _)| join("", key))).finish()
    }
}

/// Keys of the `source` block that belong to core: no source plugin may have an option of that name.
pub const RESERVED_SOURCE_KEYS: &[&str] = &[
    "type",
    "url",
    "url_env",
    "url_file",
    "host",
    "port",
    "user",
    "password",
    "password_env",
    "database",
    "tls",
    "tuning",
    "policies",
];

/// Refuses a source plugin whose options take a name of core's.
///
/// # Errors
/// `ReservedKey`, for the first one.
pub fn check_reserved(plugin: &str, schema: &Json) -> Result<(), ConfigError> {
    match RESERVED_SOURCE_KEYS.iter().find(|key| schema::has_property(schema, key)) {
        Some(key) => Err(ConfigError::ReservedKey { plugin: plugin.to_owned(), key: (*key).to_owned() }),
        None => Ok(()),
    }
}

/// Checks options against a plugin's JSON schema. `owner` is the path of the block that holds them. Prefer
/// [`Options::resolve`] for options from a config: it knows lines and variables.
pub fn validate_options(owner: &str, schema: &Json, options: &Map<String, Json>) -> Vec<ConfigError> {
    schema::check(owner, schema, options, &schema::NoMarks)
}
