//! What schemas of keys are made of.
//! It must not know any key.

use serde_json::{Map, Value, json};

/// Text with a variable in it, where no text is expected.
pub fn variable_definition() -> Value {
    json!({ "type": "string", "pattern": "\\$\\{[A-Za-z_]", "description": "Text with a variable: ${NAME}." })
}

/// `schema`, or a variable that stands for it.
pub fn or_variable(description: &str, schema: Value) -> Value {
    json!({ "description": description, "anyOf": [schema, { "$ref": "#/$defs/variable" }] })
}

/// Text.
pub fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// Text that is not empty.
pub fn word(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

/// True or false.
pub fn flag(description: &str, default: bool) -> Value {
    by_default(or_variable(description, json!({ "type": "boolean" })), default)
}

/// The same, with what holds where the key is absent.
pub fn by_default(mut schema: Value, default: impl Into<Value>) -> Value {
    schema["default"] = default.into();
    schema
}

/// A whole number.
pub fn whole(description: &str, least: u64, most: u64) -> Value {
    or_variable(description, json!({ "type": "integer", "minimum": least, "maximum": most }))
}

/// A size: a number, or a number with a unit of bytes.
pub fn size(description: &str) -> Value {
    measure(description, "size", "^\\s*[0-9]+\\s*([kKmMgGtT]?[iI]?[bB])?\\s*$")
}

/// A time: a number, or a number with a unit.
pub fn time(description: &str) -> Value {
    measure(description, "duration", "^\\s*[0-9]+\\s*([mM]?[sS]|[mMhHdD])?\\s*$")
}

fn measure(description: &str, title: &str, pattern: &str) -> Value {
    let number = json!({ "type": "integer", "minimum": 0 });
    let mut schema = or_variable(description, number);
    if let Some(all) = schema["anyOf"].as_array_mut() {
        all.insert(1, json!({ "type": "string", "title": title, "pattern": pattern }));
    }
    schema
}

/// One of several words.
pub fn choice(description: &str, words: &[&str]) -> Value {
    or_variable(description, json!({ "enum": words }))
}

/// A list of `items`.
pub fn list(description: &str, items: Value) -> Value {
    json!({ "type": "array", "description": description, "items": items })
}

/// A block of these keys and no others.
pub fn block(description: &str, properties: Map<String, Value>) -> Value {
    json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// Keys by name.
pub fn keys<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    all.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect()
}

/// A reference to a definition.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// Says that no two of `keys` may stand together.
pub fn exclusive(keys: &[&str]) -> Vec<Value> {
    let pairs = keys.iter().enumerate().flat_map(|(i, one)| keys[i + 1..].iter().map(move |other| (one, other)));
    pairs.map(|(one, other)| json!({ "not": { "required": [one, other] } })).collect()
}
