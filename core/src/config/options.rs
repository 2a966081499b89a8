//! A plugin with its options, each with its place in the config.
//! It must not know any plugin.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use super::check::{Checker, Place};
use super::error::{At, ConfigErrors};
use super::node::{Node, Value, join};
use super::report::Report;
use super::yaml::Locator;

/// A plugin with its own options: the `format` or `destination` of an export.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["type"]))]
pub struct PluginConfig {
    /// Name of the plugin.
    #[serde(rename = "type", default)]
    #[schemars(extend("reads" = "plugin-name", "missing" = "name the destination plugin, such as `type: local`"))]
    pub plugin: String,
    /// The plugin's own options, not yet checked against its schema.
    #[serde(flatten)]
    pub options: Options,
}

/// Options of a plugin, as they stand in the config. `Debug` shows the keys of values alone: a value may be a secret,
/// and so may a key without a value, in a config with a slip in it.
#[derive(Clone)]
pub struct Options {
    block: Node,
    locator: Locator,
    /// Keys of core's that stand in the same block.
    beside: Vec<String>,
}

impl Options {
    /// What is left of a block without core's keys.
    pub(super) fn of(block: &Node, beside: &[&str], locator: &Locator) -> Self {
        let mut block = block.clone();
        beside.iter().for_each(|key| block.remove(key));
        Self { block, locator: locator.clone(), beside: beside.iter().map(|key| (*key).to_owned()).collect() }
    }

    /// The options for the plugin, checked against its JSON schema; texts that came from variables have become the
    /// numbers and booleans that the schema asks for. `owner` is the path of the block, such as `source` or
    /// `exports.orders.format`.
    ///
    /// # Errors
    /// Unknown keys, missing keys and wrong values, all of them.
    pub fn resolve(&self, owner: &str, schema: &Json) -> Result<Map<String, Json>, ConfigErrors> {
        let mut report = Report::new(self.locator.clone());
        let mut block = self.block.clone();
        let mut checker = Checker { root: schema, report: &mut report, partial: false, beside: &self.beside };
        let resolved = super::schema::resolve(schema, schema);
        let place = Place::new(owner, self.block.id);
        let all = super::schema::alternatives(resolved);
        if !all.is_some_and(|all| checker.chosen(all, &mut block, &place)) {
            checker.block(resolved, &mut block, &place);
        }
        match block.to_json() {
            Some(Json::Object(values)) if report.errors.is_empty() => Ok(values),
            _ => Err(report.finish()),
        }
    }

    /// Where an option stands.
    pub fn at(&self, owner: &str, key: &str) -> At {
        let line = self.block.get(key).and_then(|entry| self.locator.line(entry.id));
        At { path: join(owner, key), line }
    }

    /// The options as they were written.
    pub fn to_map(&self) -> Map<String, Json> {
        let json = self.block.to_json();
        json.and_then(|json| json.as_object().cloned()).unwrap_or_default()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { block: Value::Map(Vec::new()).into(), locator: Locator::default(), beside: vec!["type".to_owned()] }
    }
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Map::deserialize(deserializer)?;
        Ok(Self { block: Node::from_json(&Json::Object(values)), ..Self::default() })
    }
}

impl JsonSchema for Options {
    fn schema_name() -> Cow<'static, str> {
        "Options".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.block.entries().iter().filter(|e| !matches!(e.node.value, Value::Null));
        let mut keys: Vec<String> = shown.map(|e| join("", &e.key)).collect();
        keys.sort_unstable();
        f.debug_set().entries(keys).finish()
    }
}
