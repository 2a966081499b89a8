//! Blocks that name a plugin by `type`: one variant a plugin, with its options.
//! It must not know any plugin.

use rivet_plugin_api::ConnectorInfo;
use serde_json::{Map, Value, json};

use super::pieces::reference;
use super::source;

/// What the plugin of a block does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads.
    Source,
    /// Encodes.
    Format,
    /// Keeps.
    Destination,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Format => "format",
            Self::Destination => "destination",
        }
    }
}

/// The variants of one block, in the order of their names.
pub struct Variants {
    role: Role,
    all: Vec<Variant>,
}

struct Variant {
    name: String,
    properties: Map<String, Value>,
    required: Vec<Value>,
    description: Option<Value>,
}

impl Variants {
    /// Those of one role. Definitions that a plugin's schema refers to are moved to `definitions`.
    pub fn of(role: Role, connectors: &[&ConnectorInfo], definitions: &mut Map<String, Value>) -> Self {
        let of_role = connectors.iter().filter(|c| c.kind.name() == role.word());
        let mut all: Vec<Variant> = of_role.map(|c| variant(role, c, definitions)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self { role, all }
    }

    /// Names of the plugins.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|v| v.name.as_str()).collect()
    }

    /// The block: exactly one of the plugins. `complete` blocks have all that their plugin requires; in others, keys
    /// may come from another level. A block of an export without `type` is laid over that of `defaults`.
    pub fn schema(&self, complete: bool, description: &str) -> Value {
        let mut variants: Vec<Value> = self.all.iter().map(|v| self.one(v, complete)).collect();
        if self.role != Role::Source {
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

    fn one(&self, variant: &Variant, complete: bool) -> Value {
        let mut properties = Map::from_iter([("type".to_owned(), json!({ "const": variant.name }))]);
        properties.extend(variant.properties.clone());
        let mut required = vec![Value::from("type")];
        if self.role == Role::Source {
            properties.extend(source::properties());
        }
        if complete {
            required.extend(variant.required.iter().cloned());
        }
        let mut schema = json!({
            "type": "object",
            "title": format!("{} {}", self.role.word(), variant.name),
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        if let Some(description) = &variant.description {
            schema["description"] = description.clone();
        }
        if self.role == Role::Source {
            schema["allOf"] = source::conditions().into();
        }
        schema
    }
}

fn variant(role: Role, info: &ConnectorInfo, definitions: &mut Map<String, Value>) -> Variant {
    let prefix = format!("{}.{}", role.word(), info.name);
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
        properties: properties.into_iter().map(|(key, schema)| (key, allow_variable(schema))).collect(),
        required: schema["required"].as_array().cloned().unwrap_or_default(),
        description: schema.get("description").cloned(),
    }
}

/// Text with a variable becomes what the option asks for.
fn allow_variable(mut schema: Value) -> Value {
    let takes_any_text = schema["type"] == "string" && schema.get("enum").is_none() && schema.get("pattern").is_none();
    if takes_any_text {
        return schema;
    }
    let mut outer = json!({});
    if let Value::Object(map) = &mut schema {
        for key in ["description", "default"] {
            if let Some(value) = map.remove(key) {
                outer[key] = value;
            }
        }
    }
    outer["anyOf"] = json!([schema, reference("variable")]);
    outer
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
