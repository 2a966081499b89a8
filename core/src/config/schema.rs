//! What a JSON schema says: the part of it that derived schemas use, and the words of our own beside it.
//! It must not know any key, nor judge a value.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::node::Node;

/// Deepest chain of references and nested values that is followed.
pub(super) const MAX_DEPTH: u32 = 64;

// Our own words in the schema of a key; an editor's schema has none of them.

/// How a text is read: a name of `words`.
pub(super) const READS: &str = "reads";
/// The key that a text alone, in the place of the block, stands for.
pub(super) const SHORTHAND: &str = "shorthand";
/// What messages say belongs there, where the type says too little.
pub(super) const EXPECTED: &str = "expected";
/// What to do where the key is missing.
pub(super) const MISSING: &str = "missing";
/// The one mode in which a key of an export means anything.
pub(super) const ONLY_IN: &str = "only_in";
/// Keys or words that this version does not know yet, and what they mean.
pub(super) const LATER: &str = "later";
/// Sets of alternatives, each a list of keys: no two alternatives of a set stand together.
pub(super) const EXCLUSIVE: &str = "exclusive";

static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// Follows references within the schema.
pub(super) fn resolve<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    for _ in 0..MAX_DEPTH {
        let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) else {
            break;
        };
        let Some(found) = root.pointer(target) else { break };
        schema = found;
    }
    schema
}

/// The keys that are listed.
pub(super) fn properties(schema: &Value) -> &Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).unwrap_or(&NONE)
}

/// Schema of keys that are not listed, if there is one.
pub(super) fn extra(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|s| **s != Value::Bool(false))
}

/// Schema of a key.
pub(super) fn property<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    properties(schema).get(key).or_else(|| extra(schema))
}

/// Texts of a list.
pub(super) fn texts<'s>(schema: &'s Value, list: &str) -> impl Iterator<Item = &'s str> {
    schema.get(list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// What a word of the schema says.
pub(super) fn said<'s>(schema: &'s Value, word: &str) -> Option<&'s str> {
    schema.get(word).and_then(Value::as_str)
}

/// Sets of keys that exclude each other, by alternatives.
pub(super) fn exclusive(schema: &Value) -> impl Iterator<Item = Vec<Vec<&str>>> {
    let sets = schema.get(EXCLUSIVE).and_then(Value::as_array).into_iter().flatten();
    sets.map(|set| {
        let all = set.as_array().into_iter().flatten();
        all.map(|keys| keys.as_array().into_iter().flatten().filter_map(Value::as_str).collect()).collect()
    })
}

/// Keys that need others: the key, and what it needs.
pub(super) fn dependent(schema: &Value) -> impl Iterator<Item = (&str, &str)> {
    let all = schema.get("dependentRequired").and_then(Value::as_object).into_iter().flatten();
    all.flat_map(|(key, needed)| {
        needed.as_array().into_iter().flatten().filter_map(|n| Some((key.as_str(), n.as_str()?)))
    })
}

/// Alternatives of `anyOf` or `oneOf`.
pub(super) fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
}

/// Type names that a schema takes; empty when it takes any.
pub(super) fn types<'s>(root: &'s Value, schema: &'s Value, depth: u32) -> Vec<&'s str> {
    let schema = resolve(root, schema);
    let own = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match alternatives(schema) {
        Some(all) if own.is_empty() && depth < MAX_DEPTH => {
            let mut found: Vec<&str> = all.iter().flat_map(|s| types(root, s, depth + 1)).collect();
            found.sort_unstable();
            found.dedup();
            found
        }
        _ => own,
    }
}

/// Words of a schema that takes some words only: `enum`, `const`, or alternatives of these.
pub(super) fn words<'s>(root: &'s Value, schema: &'s Value, depth: u32) -> Option<Vec<&'s str>> {
    let schema = resolve(root, schema);
    if let Some(word) = schema.get("const") {
        return word.as_str().map(|w| vec![w]);
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        return Some(all.iter().filter_map(Value::as_str).collect());
    }
    let all = alternatives(schema).filter(|_| depth < MAX_DEPTH)?;
    let not_null = all.iter().filter(|s| s.get("type").and_then(Value::as_str) != Some("null"));
    let found: Option<Vec<Vec<&str>>> = not_null.map(|s| words(root, s, depth + 1)).collect();
    found.map(|w| w.concat())
}

/// Whether a value is of the type that a schema calls so.
pub(super) fn is_type(node: &Node, name: &str) -> bool {
    use super::node::Value as V;
    match name {
        "null" => matches!(node.value, V::Null),
        "boolean" => matches!(node.value, V::Bool(_)),
        "string" => matches!(node.value, V::Text(_)),
        "integer" => matches!(node.value, V::Whole(_)),
        "number" => matches!(node.value, V::Whole(_) | V::Float(_)),
        "array" => matches!(node.value, V::List(_)),
        "object" => matches!(node.value, V::Map(_)),
        _ => true,
    }
}

/// Types in words.
pub(super) fn expected(types: &[&str]) -> String {
    let name = |t: &&&str| match **t {
        "boolean" => "true or false",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        "object" => "a block of keys",
        _ => "nothing",
    };
    // "or nothing" helps nobody who gave something.
    let named: Vec<&str> = types.iter().filter(|t| **t != "null").collect::<Vec<_>>().iter().map(name).collect();
    if named.is_empty() { "nothing".to_owned() } else { named.join(" or ") }
}
