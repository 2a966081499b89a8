//! The schema of core's keys as editors read it: our own words become what they mean, and any value may be a variable.
//! It must not know any key.

use serde_json::{Map, Value, json};

use crate::config::schema::{self, EXCLUSIVE, EXPECTED, LATER, MISSING, ONLY_IN, READS, SHORTHAND};

/// A reference to a definition.
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// Text with a variable in it, where no text is expected.
pub fn variable() -> Value {
    json!({ "type": "string", "pattern": "\\$\\{[A-Za-z_]", "description": "Text with a variable: ${NAME}." })
}

/// The schema, or a variable that stands for it; what it says of itself stays outside.
pub fn or_variable(schema: Value) -> Value {
    let takes_any_text = schema["type"] == "string" && schema.get("enum").is_none() && schema.get("pattern").is_none();
    if takes_any_text {
        return schema;
    }
    any_of(schema, vec![reference("variable")])
}

/// The schema, or one of others.
fn any_of(mut schema: Value, others: Vec<Value>) -> Value {
    let mut outer = Map::new();
    for key in ["description", "default"] {
        outer.extend(schema.as_object_mut().and_then(|map| map.remove_entry(key)));
    }
    outer.insert("anyOf".to_owned(), [vec![schema], others].concat().into());
    Value::Object(outer)
}

/// Makes a schema with our own words one without.
pub fn for_editors(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    for (key, inner) in map.iter_mut() {
        match (key.as_str(), inner) {
            ("properties" | "$defs", Value::Object(all)) => all.values_mut().for_each(for_editors),
            ("items" | "additionalProperties", inner) => for_editors(inner),
            _ => {}
        }
    }
    let conditions: Vec<Value> = schema::exclusive(schema).filter_map(|set| apart(&set)).collect();
    let shorthand = schema::said(schema, SHORTHAND).map(|key| schema["properties"][key].clone());
    let reads = schema::said(schema, READS).map(str::to_owned);
    let Value::Object(map) = schema else { return };
    map.retain(|key, _| ![EXCLUSIVE, EXPECTED, LATER, MISSING, ONLY_IN, READS, SHORTHAND].contains(&key.as_str()));
    if map.contains_key("properties") {
        map.entry("additionalProperties").or_insert(false.into());
        if !conditions.is_empty() {
            map.insert("allOf".to_owned(), conditions.into());
        }
        if let Some(short) = shorthand {
            *schema = any_of(schema.take(), Vec::new());
            if let Some(all) = schema["anyOf"].as_array_mut() {
                all.insert(0, short);
            }
        }
        return;
    }
    if map.contains_key("$ref") || map.get("type").is_some_and(|kind| kind == "array" || kind == "object") {
        return;
    }
    let words = map.get_mut("oneOf").and_then(Value::as_array_mut);
    // YAML reads the word null as nothing.
    if let Some(words) = words.filter(|words| words.iter().any(|word| word["const"] == "null")) {
        words.push(json!({ "const": null }));
    }
    let more = reads.map(|reads| measured(map, &reads)).unwrap_or_default();
    *schema = if more.is_empty() { or_variable(schema.take()) } else { any_of(schema.take(), more) };
}

/// What a value may be instead, by how it is read: a number with a unit. Other texts that are read are not empty.
fn measured(map: &mut Map<String, Value>, reads: &str) -> Vec<Value> {
    let (title, pattern) = match reads {
        "bytes" | "MiB" => ("size", "^\\s*[0-9]+\\s*([kKmMgGtT]?[iI]?[bB])?\\s*$"),
        "ms" | "s" => ("duration", "^\\s*[0-9]+\\s*([mM]?[sS]|[mMhHdD])?\\s*$"),
        "distance" => ("duration", "^\\s*[0-9]+\\s*([mM]?[sS]|[mMhHdD])\\s*$"),
        _ => {
            map.entry("minLength").or_insert(1.into());
            return Vec::new();
        }
    };
    map.remove("maximum");
    vec![json!({ "type": "string", "title": title, "pattern": pattern }), reference("variable")]
}

/// Says that no two alternatives stand together; nothing of those that are in blocks below.
fn apart(set: &[Vec<&str>]) -> Option<Value> {
    if set.iter().flatten().any(|key| key.contains('.')) {
        return None;
    }
    let any = |keys: &[&str]| match keys {
        [only] => json!({ "required": [only] }),
        several => json!({ "anyOf": several.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>() }),
    };
    let pairs = set.iter().enumerate().flat_map(|(i, one)| set[i + 1..].iter().map(move |other| (one, other)));
    let none = pairs.map(|(one, other)| json!({ "not": { "allOf": [any(one), any(other)] } }));
    Some(json!({ "allOf": none.collect::<Vec<_>>() }))
}
