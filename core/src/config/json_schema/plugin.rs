//! Blocks that name a plugin by `type`: one variant a plugin, with its options.
//! It must not know any plugin.

use rivet_plugin_api::ConnectorInfo;
use serde_json::{Map, Value, json};

use super::editor::or_variable;

/// The variants of one block, in the order of their names.
pub struct Variants {
    kind: &'static str,
    all: Vec<Variant>,
}

struct Variant {
    name: String,
    properties: Map<String, Value>,
    required: Vec<Value>,
    description: Option<Value>,
}

impl Variants {
    /// Those of one kind. Definitions that a plugin's schema refers to are moved to `definitions`.
    pub fn of(kind: &'static str, connectors: &[&ConnectorInfo], definitions: &mut Map<String, Value>) -> Self {
        let of_kind = connectors.iter().filter(|c| c.kind.name() == kind);
        let mut all: Vec<Variant> = of_kind.map(|c| variant(kind, c, definitions)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self { kind, all }
    }

    /// Names of the plugins.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|v| v.name.as_str()).collect()
    }

    /// The block: exactly one of the plugins, with core's own keys in it. `complete` blocks have all that their plugin
    /// requires; in others, keys may come from another level. A block of an export without `type` is laid over that of
    /// `defaults`.
    pub fn schema(&self, core: Option<&Value>, complete: bool, description: &str) -> Value {
        let mut variants: Vec<Value> = self.all.iter().map(|v| self.one(v, core, complete)).collect();
        if core.is_none() {
            let known = self.all.iter().flat_map(|v| v.properties.keys());
            let any: Map<String, Value> = known.map(|key| (key.clone(), Value::Bool(true))).collect();
            variants.push(json!({
                "type": "object",
                "description": "Keys that are laid over the block of `defaults`.",
                "properties": any,
                "additionalProperties": false,
            }));
        }
        json!({ "description": description, "oneOf": variants })
    }

    fn one(&self, variant: &Variant, core: Option<&Value>, complete: bool) -> Value {
        let core = core.cloned().unwrap_or_else(|| json!({ "properties": {} }));
        let mut properties = core["properties"].as_object().cloned().unwrap_or_default();
        properties.extend(variant.properties.clone());
        properties.insert("type".to_owned(), json!({ "const": variant.name }));
        let mut required = vec![Value::from("type")];
        if complete {
            required.extend(variant.required.iter().cloned());
        }
        let mut schema = json!({
            "type": "object",
            "title": format!("{} {}", self.kind, variant.name),
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        for (key, value) in [("description", variant.description.as_ref()), ("allOf", core.get("allOf"))] {
            if let Some(value) = value {
                schema[key] = value.clone();
            }
        }
        schema
    }
}

fn variant(kind: &str, info: &ConnectorInfo, definitions: &mut Map<String, Value>) -> Variant {
    let prefix = format!("{kind}.{}", info.name);
    let mut schema = info.options_schema.clone();
    redirect(&mut schema, &prefix);
    for key in ["$defs", "definitions"] {
        if let Some(Value::Object(own)) = schema.get_mut(key).map(Value::take) {
            definitions.extend(own.into_iter().map(|(name, schema)| (format!("{prefix}.{name}"), schema)));
        }
    }
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    Variant {
        name: info.name.clone(),
        properties: properties.into_iter().map(|(key, schema)| (key, or_variable(schema))).collect(),
        required: schema["required"].as_array().cloned().unwrap_or_default(),
        description: schema.get("description").cloned(),
    }
}

/// Leads references within a plugin's schema to where its definitions are moved.
fn redirect(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref") {
                let own = ["#/$defs/", "#/definitions/"].into_iter().find_map(|start| target.strip_prefix(start));
                if let Some(name) = own {
                    *target = format!("#/$defs/{prefix}.{name}");
                }
            }
            map.values_mut().for_each(|inner| redirect(inner, prefix));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| redirect(inner, prefix)),
        _ => {}
    }
}
