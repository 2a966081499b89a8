//! The options of a plugin, as its JSON Schema describes them, in the order in which people read them.
//! It must not know any plugin, nor how an option is shown.

use serde_json::{Map, Value};

/// An option, or a key inside of one.
#[derive(Debug, PartialEq)]
pub struct Opt {
    /// 0 for options, 1 for their keys, and so on.
    pub depth: usize,
    /// Its key.
    pub key: String,
    /// What it takes.
    pub kind: String,
    /// Whether it must be there.
    pub is_required: bool,
    /// Whether it is shown nowhere.
    pub is_secret: bool,
    /// What holds where it is not there.
    pub default: Option<Value>,
    /// What it is for.
    pub about: String,
}

/// Schemas may be recursive.
const MAX_DEPTH: usize = 8;

/// All options of a schema; the keys inside of one follow it.
pub fn of(schema: &Value) -> Vec<Opt> {
    let mut all = Vec::new();
    keys(schema, schema, 0, &mut all);
    all
}

/// The keys of an object, and those of each form that it can have.
fn keys(root: &Value, schema: &Value, depth: usize, all: &mut Vec<Opt>) {
    let schema = &plain(root, schema);
    let required = |key: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|x| x == key));
    for (key, value) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        let value = plain(root, value);
        all.push(Opt {
            depth,
            key: key.clone(),
            kind: kind(root, &value),
            is_required: required(key),
            is_secret: is_secret(root, &value),
            default: value.get("default").filter(|d| !d.is_null()).cloned(),
            about: value["description"].as_str().unwrap_or_default().to_owned(),
        });
        if depth < MAX_DEPTH {
            // Its own keys, or those of its items, which may be lists themselves.
            let mut inner = value;
            for _ in 0..MAX_DEPTH {
                keys(root, &inner, depth + 1, all);
                let items = ["items", "additionalProperties"].iter().find(|word| inner[**word].is_object());
                let Some(items) = items else { break };
                inner = plain(root, &inner[*items]);
            }
        }
    }
    for form in forms(root, schema).filter(|_| depth < MAX_DEPTH) {
        keys(root, &form, depth, all);
    }
}

/// The schema with what it refers to; where it allows null beside one form, that form.
fn plain(root: &Value, schema: &Value) -> Value {
    let mut plain = schema.clone();
    for _ in 0..MAX_DEPTH {
        let target = plain["$ref"].as_str().and_then(|at| root.pointer(at.trim_start_matches('#')));
        let only = |word: &str| forms_of(&plain, word).filter(|f| f["type"] != "null").collect::<Vec<_>>();
        let one = ["allOf", "anyOf", "oneOf"].iter().find_map(|word| match only(word).as_slice() {
            [one] => Some((*word, (*one).clone())),
            _ => None,
        });
        let (word, inner) = match (target, one) {
            (Some(target), _) => ("$ref", target.clone()),
            (None, Some(one)) => one,
            (None, None) => break,
        };
        let Value::Object(own) = &mut plain else { break };
        own.remove(word);
        // What stands beside the reference says more about this very option.
        for (key, value) in inner.as_object().unwrap_or(&Map::new()) {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    plain
}

fn forms_of<'s>(schema: &'s Value, word: &str) -> impl Iterator<Item = &'s Value> + use<'s> {
    schema[word].as_array().into_iter().flatten()
}

fn forms<'s>(root: &'s Value, schema: &'s Value) -> impl Iterator<Item = Value> + use<'s> {
    ["oneOf", "anyOf", "allOf"]
        .into_iter()
        .flat_map(move |word| forms_of(schema, word))
        .map(move |form| plain(root, form))
}

fn is_secret(root: &Value, schema: &Value) -> bool {
    let inner = ["items", "additionalProperties"].map(|word| &schema[word]);
    schema["format"] == "secret" || inner.iter().any(|inner| inner.is_object() && is_secret(root, &plain(root, inner)))
}

/// What a value may be, in words.
fn kind(root: &Value, schema: &Value) -> String {
    let words = words(root, schema);
    if !words.is_empty() {
        return format!("one of {}", words.join(", "));
    }
    let all: Vec<String> = forms(root, schema).map(|form| kind(root, &form)).collect();
    if !all.is_empty() {
        let mut all = all;
        all.dedup();
        return all.join(" or ");
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    };
    let named = types.into_iter().map(|name| match name {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => format!("list of {}", kind(root, &plain(root, &schema["items"]))),
        "object" if schema["additionalProperties"].is_object() => {
            format!("block of keys with {}", kind(root, &plain(root, &schema["additionalProperties"])))
        }
        "object" => "block".to_owned(),
        other => other.to_owned(),
    });
    let named = named.collect::<Vec<_>>().join(" or ");
    if named.is_empty() { "anything".to_owned() } else { named }
}

/// The words of an enumeration, in one list or each with a description of its own.
fn words(root: &Value, schema: &Value) -> Vec<String> {
    let own = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
    let own: Vec<String> = own.filter(|v| !v.is_null()).map(text).collect();
    if !own.is_empty() {
        return own;
    }
    let all: Vec<Vec<String>> = forms(root, schema).map(|form| words(root, &form)).collect();
    if all.iter().any(Vec::is_empty) { Vec::new() } else { all.concat() }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_option_says_what_it_takes() {
        let schema = json!({
            "$defs": {
                "Mode": {"oneOf": [{"const": "fast", "description": "…"}, {"enum": ["slow", "late"]}]},
                "Login": {"oneOf": [
                    {"type": "object", "properties": {"by": {"const": "key"}, "key": {"type": "string", "format": "secret"}},
                     "required": ["by", "key"]},
                    {"type": "object", "properties": {"by": {"const": "none"}}, "required": ["by"]},
                ]},
            },
            "properties": {
                "a_path": {"type": "string", "description": "The file.\nIt must be there."},
                "keys": {"type": "array", "items": {"type": "string", "format": "secret"}},
                "login": {"anyOf": [{"$ref": "#/$defs/Login"}, {"type": "null"}], "description": "How."},
                "mode": {"$ref": "#/$defs/Mode", "default": "fast"},
                "n": {"type": ["integer", "null"], "minimum": 0},
                "tables": {"type": "object", "additionalProperties": {"type": "array", "items": {
                    "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}},
            },
            "required": ["a_path"],
        });
        let told = of(&schema).into_iter().map(|o| {
            let marks =
                [(o.is_required, "!"), (o.is_secret, "*")].map(|(is, mark)| if is { mark } else { "" }).concat();
            let default = o.default.map_or_else(String::new, |d| format!(" = {}", text(&d)));
            format!("{}{}{marks}: {}{default}", "  ".repeat(o.depth), o.key, o.kind)
        });
        let expected = [
            "a_path!: text",
            "keys*: list of text",
            "login: block",
            "  by!: one of key",
            "  key!*: text",
            "  by!: one of none",
            "mode: one of fast, slow, late = fast",
            "n: whole number",
            "tables: block of keys with list of block",
            "  name!: text",
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}
