//! The values among a plugin's options, each with all that the plugin's schema says of it.
//! It must not know what is looked for, nor judge a value.

use std::borrow::Cow;
use std::ptr;

use serde_json::Value;

/// Calls `f` with each value, from the outermost on, and the schemas that speak of it. What `f` makes of a value is what is
/// looked into then.
pub fn each(root: &Value, options: &mut Value, f: &mut impl FnMut(&[&Value], &mut Value)) {
    walk(root, vec![root], options, f);
}

fn walk(root: &Value, schemas: Vec<&Value>, value: &mut Value, f: &mut impl FnMut(&[&Value], &mut Value)) {
    let said = composed(root, schemas, value);
    f(&said, value);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                walk(root, said.iter().flat_map(|schema| of_key(schema, key)).collect(), value, f);
            }
        }
        Value::Array(items) => {
            for (i, value) in items.iter_mut().enumerate() {
                walk(root, said.iter().filter_map(|schema| of_item(schema, i)).collect(), value, f);
            }
        }
        _ => {}
    }
}

/// These, and all that they refer to or are composed of; each once, however they lead to each other.
fn composed<'s>(root: &'s Value, mut all: Vec<&'s Value>, value: &Value) -> Vec<&'s Value> {
    let mut next = 0;
    while let Some(schema) = all.get(next).copied() {
        next += 1;
        let target = schema["$ref"].as_str().and_then(|reference| pointed(root, reference));
        let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|word| schema[word].as_array()).flatten();
        let parts = parts.chain(["then", "else"].into_iter().filter_map(|word| schema.get(word)));
        for more in target.into_iter().chain(parts.filter(|part| !is_another(part, value))) {
            if !all.iter().any(|known| ptr::eq(*known, more)) {
                all.push(more);
            }
        }
    }
    all
}

/// What a reference within the schema leads to. As part of a URL it may be percent-encoded (RFC 6901, 6).
fn pointed<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    let pointer = reference.strip_prefix('#')?;
    let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8().unwrap_or(Cow::Borrowed(pointer));
    root.pointer(&decoded)
}

fn of_item(schema: &Value, i: usize) -> Option<&Value> {
    schema["prefixItems"].get(i).or_else(|| schema.get("items"))
}

/// A key that is listed, or else what is said of those that are not.
fn of_key<'s>(schema: &'s Value, key: &str) -> Vec<&'s Value> {
    if let Some(listed) = schema["properties"].get(key) {
        return vec![listed];
    }
    let patterns = schema["patternProperties"].as_object().into_iter().flat_map(|all| all.values());
    patterns.chain(schema.get("additionalProperties")).chain(schema.get("unevaluatedProperties")).collect()
}

/// Whether the value has another word where the alternative has one.
fn is_another(schema: &Value, value: &Value) -> bool {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.filter_map(|(key, property)| Some((key, property.get("const")?))).any(|(key, word)| value[key] != *word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_leads_to_itself_in_many_ways_ends() {
        let more: Vec<Value> = (0..64).map(|n| json!({"$ref": format!("#/$defs/{}", n % 8)})).collect();
        let definitions: serde_json::Map<_, _> = (0..8).map(|n| (n.to_string(), json!({ "anyOf": more }))).collect();
        let schema = json!({ "$defs": definitions, "$ref": "#/$defs/0", "properties": {"deep": {"$ref": "#"}} });
        let mut value = json!("x");
        (0..30).for_each(|_| value = json!({ "deep": value }));
        let mut n = 0;
        each(&schema, &mut value, &mut |said, _| n += usize::from(said.len() > 64));
        assert_eq!(n, 31, "a value at each depth");
    }
}
