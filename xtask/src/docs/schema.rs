//! JSON Schemas as tables: one row a key, with its type in words.
//! It must not know any key.

use serde_json::{Map, Value};

use super::text::{code, plain, sentence, table};

/// A block of keys and the schema that its references point into.
#[derive(Clone, Copy)]
pub struct Schema<'a> {
    /// Where references start.
    pub root: &'a Value,
    /// Whether keys that must be there are marked, or those that may be missing.
    pub marks: Marks,
}

/// What the last column says of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// A config: keys that it needs are marked.
    Required,
    /// A document: keys that it may lack are marked.
    Optional,
}

impl Schema<'_> {
    /// What a reference leads to.
    fn resolve<'v>(&'v self, schema: &'v Value) -> &'v Value {
        let target = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    /// The keys of a block that `pick` takes, as a table.
    pub fn keys(&self, block: &Value, pick: impl Fn(&str) -> bool) -> String {
        let none = Map::new();
        let properties = block["properties"].as_object().unwrap_or(&none);
        let needed = |key: &str| block["required"].as_array().is_some_and(|r| r.iter().any(|k| k == key));
        let rows = properties.iter().filter(|(key, _)| pick(key)).map(|(key, schema)| {
            let default = schema.get("default").or_else(|| self.resolve(schema).get("default"));
            let default = default.filter(|d| !d.is_null() && d.as_str() != Some("")).map(plain);
            let mark = match (self.marks, needed(key)) {
                (Marks::Required, true) => " Required.",
                (Marks::Optional, false) => " May be missing.",
                _ => "",
            };
            (key, self.kind(schema), default.as_deref().map(code).unwrap_or_default(), self.meaning(schema) + mark)
        });
        match self.marks {
            Marks::Required => table(
                ["Key", "Type", "Default", "Meaning"],
                rows.map(|(key, kind, default, meaning)| [code(key), kind, default, meaning]),
            ),
            Marks::Optional => {
                table(["Key", "Type", "Meaning"], rows.map(|(key, kind, _, meaning)| [code(key), kind, meaning]))
            }
        }
    }

    /// Its description, and those of its words.
    pub fn meaning(&self, schema: &Value) -> String {
        let resolved = self.resolve(schema);
        let own = schema.get("description").or_else(|| resolved.get("description"));
        let own = own.map(plain).map(|text| sentence(&text)).unwrap_or_default();
        let words = self.alternatives(schema).into_iter().map(|one| self.resolve(one)).flat_map(|one| {
            let inner = one["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
            inner.iter().chain([one]).filter_map(|word| Some((word.get("const")?, word.get("description")?)))
        });
        let words = words.map(|(word, about)| format!("{}: {}", code(&plain(word)), sentence(&plain(about))));
        let words: Vec<String> = words.collect();
        if self.marks == Marks::Required { [vec![own], words].concat().join(" ") } else { own }
    }

    /// The alternatives of a schema, or itself.
    fn alternatives<'v>(&self, schema: &'v Value) -> Vec<&'v Value> {
        let inner = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
        match inner {
            Some(all) => all.iter().flat_map(|one| self.alternatives(one)).collect(),
            None => vec![schema],
        }
    }

    /// Its type in words.
    pub fn kind(&self, schema: &Value) -> String {
        let mut kinds: Vec<String> = Vec::new();
        for one in self.alternatives(schema) {
            let Some(kind) = self.one_kind(one) else { continue };
            let null =
                self.marks == Marks::Optional && one["type"].as_array().is_some_and(|t| t.iter().any(|k| k == "null"));
            for kind in [Some(kind), null.then(|| "null".to_owned())].into_iter().flatten() {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        let words = kinds.iter().all(|kind| kind.starts_with('`'));
        kinds.join(if words { ", " } else { " or " })
    }

    /// Nothing for what may stand in the place of any value: a variable, or nothing at all.
    fn one_kind(&self, schema: &Value) -> Option<String> {
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.rsplit('/').next().unwrap_or_default();
            let resolved = self.resolve(schema);
            return match name {
                "variable" => None,
                _ if resolved["properties"].is_object() || is_union(resolved) => Some(link(name)),
                _ => Some(self.kind(resolved)),
            };
        }
        if let Some(word) = schema.get("const") {
            return Some(code(&plain(word)));
        }
        if let Some(words) = schema["enum"].as_array() {
            // Both the word null and what YAML takes it for.
            let mut known: Vec<String> = Vec::new();
            for word in words.iter().map(|w| code(&plain(w))) {
                if !known.contains(&word) {
                    known.push(word);
                }
            }
            return Some(known.join(", "));
        }
        let listed = schema["type"].as_array().map(Vec::as_slice).unwrap_or_default();
        let kind = listed
            .iter()
            .chain([&schema["type"]])
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null" || schema["type"] == "null");
        let kind = kind.or_else(|| schema.get("pattern").map(|_| "string"));
        let bounded = |key: &str| schema[key].as_u64().filter(|_| schema.get("format").is_none());
        Some(match kind? {
            "null" if self.marks == Marks::Optional => "null".to_owned(),
            "boolean" => "true or false".to_owned(),
            "integer" => match (bounded("minimum"), bounded("maximum")) {
                (Some(least), Some(most)) => format!("whole number, {least} to {most}"),
                _ => "whole number".to_owned(),
            },
            "array" if schema["items"]["properties"].is_object() => "list of blocks".to_owned(),
            "array" => match schema.get("items") {
                Some(items) => format!("list of {}", self.kind(items)),
                None => "list".to_owned(),
            },
            "object" if schema["properties"].is_object() => "block".to_owned(),
            "object" => "block by name".to_owned(),
            "string" => schema["title"].as_str().unwrap_or("text").to_owned(),
            "null" => return None,
            other => other.to_owned(),
        })
    }

    /// The definitions of a document, each under a heading of its own.
    pub fn definitions(&self) -> String {
        let none = Map::new();
        let all = self.root["$defs"].as_object().unwrap_or(&none);
        let sections = all.iter().map(|(name, schema)| {
            let about = schema["description"].as_str().map(sentence).unwrap_or_default();
            format!("## {name}\n\n{about}\n\n{}", self.definition(schema))
        });
        sections.collect()
    }

    fn definition(&self, schema: &Value) -> String {
        let Some(variants) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) else {
            return self.keys(schema, |_| true);
        };
        let rows = variants.iter().map(|variant| {
            let written = match (variant.get("const"), variant["properties"].as_object()) {
                (Some(word), _) => format!("\"{}\"", plain(word)),
                (None, Some(properties)) => example(properties),
                _ => String::new(),
            };
            [code(&written), variant["description"].as_str().map(sentence).unwrap_or_default()]
        });
        table(["Written as", "Meaning"], rows)
    }
}

/// `{"int": {"bits": …, "signed": …}}`.
fn example(properties: &Map<String, Value>) -> String {
    let one = |(key, inner): (&String, &Value)| match inner["properties"].as_object() {
        Some(inner) => format!("\"{key}\": {}", example(inner)),
        None => format!("\"{key}\": …"),
    };
    format!("{{{}}}", properties.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Whether something has variants with a structure of their own.
fn is_union(schema: &Value) -> bool {
    let variants = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    variants.is_some_and(|all| all.iter().any(|one| one["properties"].is_object() || one.get("oneOf").is_some()))
}

/// A link to the section of a definition.
fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}
