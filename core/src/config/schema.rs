//! A plugin's options against its JSON schema: the part of JSON Schema that derived schemas of option structs use.
//! It must not know any plugin, nor YAML.

use serde_json::{Map, Number, Value};

use super::choice::Choice;
use super::node::{join, kind_of_text};
use super::options::{RESERVED_SOURCE_KEYS, pointer};
use super::section::{MAX_ERRORS, MAX_LINES, one_of};
use super::suggest::{did_you_mean, unknown};
use super::{At, ConfigError};

/// Deepest chain of references and nested values that is followed.
const MAX_DEPTH: u32 = 64;

/// What is known about a value besides itself.
pub(super) trait Marks {
    /// 1-based line of the value at a JSON pointer.
    fn line(&self, pointer: &str) -> Option<u32>;
    /// Whether a variable took part in it.
    fn is_from_env(&self, pointer: &str) -> bool;
}

/// Nothing is known.
pub(super) struct NoMarks;

impl Marks for NoMarks {
    fn line(&self, _: &str) -> Option<u32> {
        None
    }
    fn is_from_env(&self, _: &str) -> bool {
        false
    }
}

/// Everything that is wrong with `options`; `owner` is the path of the block.
pub(super) fn check(owner: &str, schema: &Value, options: &Map<String, Value>, marks: &dyn Marks) -> Vec<ConfigError> {
    let mut checker = Checker { root: schema, marks, errors: Vec::new() };
    let place = Place { path: owner.to_owned(), pointer: String::new(), depth: 0 };
    let schema = resolve(schema, schema);
    let choice = alternatives(schema).and_then(|all| Choice::of(all));
    if !choice.is_some_and(|choice| checker.chosen(&choice, options, &place)) {
        checker.object(schema, options, &place);
    }
    checker.errors
}

/// Whether the options have a property of that name.
pub(super) fn has_property(schema: &Value, key: &str) -> bool {
    resolve(schema, schema).get("properties").is_some_and(|p| p.get(key).is_some())
}

/// Turns texts that came from variables into what the schema asks for, where it does not take text.
pub(super) fn coerce(schema: &Value, options: &mut Value, marks: &dyn Marks) {
    coerce_at(schema, schema, options, "", marks, 0);
}

fn coerce_at(root: &Value, schema: &Value, value: &mut Value, at: &str, marks: &dyn Marks, depth: u32) {
    if depth > MAX_DEPTH {
        return;
    }
    let schema = resolve(root, schema);
    if let (Some(all), Value::Object(_) | Value::Array(_)) = (alternatives(schema), &*value) {
        let takes = |s: &&Value| types(root, s, 0).iter().any(|t| is_type(value, t));
        let chosen = value.as_object().and_then(|map| Choice::of(all)?.branch(map));
        if let Some(schema) = chosen.or_else(|| all.iter().find(takes)) {
            coerce_at(root, schema, value, at, marks, depth + 1);
        }
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if let Some(property) = schema.get("properties").and_then(|p| p.get(key)).or_else(|| extra(schema)) {
                    coerce_at(root, property, value, &pointer(at, key), marks, depth + 1);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (i, item) in items.iter_mut().enumerate() {
                coerce_at(root, schema, item, &format!("{at}/{i}"), marks, depth + 1);
            }
        }
        Value::String(text) if marks.is_from_env(at) => {
            let types = types(root, schema, 0);
            if let Some(better) = as_types(text.trim(), &types) {
                *value = better;
            }
        }
        _ => {}
    }
}

fn as_types(text: &str, types: &[&str]) -> Option<Value> {
    if types.contains(&"string") || types.is_empty() {
        return None;
    }
    let whole = || text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from)).ok();
    if types.contains(&"integer") || types.contains(&"number") {
        let float = || text.parse().ok().and_then(Number::from_f64).filter(|_| types.contains(&"number"));
        if let Some(number) = whole().or_else(float) {
            return Some(Value::Number(number));
        }
    }
    match text {
        "true" if types.contains(&"boolean") => Some(Value::Bool(true)),
        "false" if types.contains(&"boolean") => Some(Value::Bool(false)),
        _ => None,
    }
}

/// Follows references within the schema.
fn resolve<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    for _ in 0..MAX_DEPTH {
        let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) else {
            break;
        };
        let Some(found) = root.pointer(target) else { break };
        schema = found;
    }
    schema
}

/// Schema of keys that are not listed, if there is one.
fn extra(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|s| **s != Value::Bool(false))
}

/// Alternatives of `anyOf` or `oneOf`.
fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
}

/// Type names that a schema takes; empty when it takes any.
fn types<'s>(root: &'s Value, schema: &'s Value, depth: u32) -> Vec<&'s str> {
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
fn words<'s>(root: &'s Value, schema: &'s Value, depth: u32) -> Option<Vec<&'s str>> {
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

#[derive(Clone)]
struct Place {
    path: String,
    pointer: String,
    depth: u32,
}

impl Place {
    fn key(&self, key: &str) -> Self {
        Self { path: join(&self.path, key), pointer: pointer(&self.pointer, key), depth: self.depth + 1 }
    }
    fn item(&self, index: usize) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            pointer: format!("{}/{index}", self.pointer),
            depth: self.depth + 1,
        }
    }
}

struct Checker<'s> {
    root: &'s Value,
    marks: &'s dyn Marks,
    errors: Vec<ConfigError>,
}

impl<'s> Checker<'s> {
    fn at(&self, place: &Place) -> At {
        At { path: place.path.clone(), line: self.line(&place.pointer) }
    }

    fn line(&self, pointer: &str) -> Option<u32> {
        if self.errors.len() < MAX_LINES { self.marks.line(pointer) } else { None }
    }

    fn push(&mut self, error: ConfigError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    fn object(&mut self, schema: &'s Value, options: &Map<String, Value>, place: &Place) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        // A struct without a word on further keys means its own keys only: a typo must not pass in silence.
        let closed = extra(schema).is_none() && (place.depth == 0 || schema.get("properties").is_some());
        for (key, value) in options {
            let inner = place.key(key);
            match schema.get("properties").and_then(|p| p.get(key)).or_else(|| extra(schema)) {
                Some(property) => self.value(property, value, &inner),
                None if closed || schema.get("additionalProperties").is_some() => {
                    let core = if place.path == "source" { RESERVED_SOURCE_KEYS } else { &["type"] };
                    let core = if place.depth == 0 { core } else { &[] };
                    let known = properties.keys().map(String::as_str).chain(core.iter().copied());
                    self.push(unknown(self.at(&inner), key, value.is_null(), &place.path, known));
                }
                None => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|k| !options.contains_key(*k)) {
            let hint = properties.get(key).and_then(|p| p.get("description")).and_then(Value::as_str);
            let hint =
                hint.map(|text| format!("`{key}`: {}", text.lines().next().unwrap_or_default().trim_end_matches('.')));
            let at = At { path: place.key(key).path, line: self.line(&place.pointer) };
            self.push(ConfigError::MissingKey { at, hint });
        }
    }

    fn value(&mut self, schema: &'s Value, value: &Value, place: &Place) {
        if place.depth > MAX_DEPTH {
            return;
        }
        let schema = resolve(self.root, schema);
        let types = types(self.root, schema, 0);
        if !types.is_empty() && !types.iter().any(|t| is_type(value, t)) {
            let expected = expected(&types);
            let found = found(value, self.marks.is_from_env(&place.pointer));
            self.push(ConfigError::WrongType { at: self.at(place), expected, found });
            return;
        }
        if let (Some(words), Value::String(text)) = (words(self.root, schema, 0), value) {
            if !words.contains(&text.as_str()) {
                let shown = !self.marks.is_from_env(&place.pointer);
                let hint = if shown { did_you_mean(text, words.iter().copied()) } else { None };
                self.bad(place, format!("must be {}", one_of(&words)), hint);
            }
            return;
        }
        if let Some(all) = alternatives(schema) {
            return self.alternative(all, value, place);
        }
        match value {
            Value::Object(map) => self.object(schema, map, place),
            Value::Array(items) => {
                let Some(schema) = schema.get("items") else { return };
                for (i, item) in items.iter().enumerate() {
                    self.value(schema, item, &place.item(i));
                }
            }
            Value::Number(number) => self.range(schema, number, place),
            _ => {}
        }
    }

    /// An object that says by a word which alternative it is; what is wrong with it is wrong with that one. Returns whether
    /// it is such an object.
    fn chosen(&mut self, choice: &Choice<'s>, options: &Map<String, Value>, place: &Place) -> bool {
        let inner = Place { depth: place.depth + 1, ..place.clone() };
        match (choice.branch(options), choice.tag) {
            (Some(branch), Some(tag)) if branch.get("$ref").is_some() => {
                // The options of a variant that has a struct of its own, which does not know the tag.
                let mut rest = options.clone();
                rest.remove(tag);
                self.value(resolve(self.root, branch), &Value::Object(rest), &inner);
            }
            (Some(branch), _) => self.object(branch, options, &inner),
            (None, None) => return false,
            (None, Some(tag)) => {
                let words: Vec<&str> = choice.branches.iter().map(|(word, _)| *word).collect();
                match options.get(tag) {
                    Some(Value::String(text)) => {
                        let shown = !self.marks.is_from_env(&pointer(&place.pointer, tag));
                        let hint = if shown { did_you_mean(text, words.iter().copied()) } else { None };
                        self.bad(&place.key(tag), format!("must be {}", one_of(&words)), hint);
                    }
                    Some(_) => self.bad(&place.key(tag), format!("must be {}", one_of(&words)), None),
                    None => {
                        let at = At { path: place.key(tag).path, line: self.line(&place.pointer) };
                        self.push(ConfigError::MissingKey { at, hint: Some(format!("`{tag}` is {}", one_of(&words))) });
                    }
                }
            }
        }
        true
    }

    /// The value fits one of several schemas; if not, the errors of the one that has its type are the helpful ones.
    fn alternative(&mut self, all: &'s [Value], value: &Value, place: &Place) {
        if let (Value::Object(options), Some(choice)) = (value, Choice::of(all))
            && self.chosen(&choice, options, place)
        {
            return;
        }
        let mut best: Option<Vec<ConfigError>> = None;
        for schema in all {
            let mut inner = Checker { root: self.root, marks: self.marks, errors: Vec::new() };
            inner.value(schema, value, &Place { depth: place.depth + 1, ..place.clone() });
            if inner.errors.is_empty() {
                return;
            }
            let mismatch = |e: &ConfigError| matches!(e, ConfigError::WrongType { at, .. } if at.path == place.path);
            if !inner.errors.iter().any(mismatch) && best.as_ref().is_none_or(|b| inner.errors.len() < b.len()) {
                best = Some(inner.errors);
            }
        }
        match best {
            Some(errors) => self.errors.extend(errors),
            None => self.bad(place, "is none of the forms that are allowed here".to_owned(), None),
        }
    }

    fn range(&mut self, schema: &Value, number: &Number, place: &Place) {
        let Some(n) = number.as_f64() else { return };
        let low = schema.get("minimum").and_then(Value::as_f64).filter(|low| n < *low);
        let high = schema.get("maximum").and_then(Value::as_f64).filter(|high| n > *high);
        if let Some(low) = low {
            self.bad(place, format!("must be at least {low}"), None);
        } else if let Some(high) = high {
            self.bad(place, format!("must be at most {high}"), None);
        }
    }

    fn bad(&mut self, place: &Place, problem: String, hint: Option<String>) {
        self.push(ConfigError::BadValue { at: self.at(place), problem, hint });
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn expected(types: &[&str]) -> String {
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

fn found(value: &Value, from_env: bool) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(n) if n.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) if from_env => "the text of a variable",
        Value::String(text) => kind_of_text(text),
        Value::Array(_) => "a list",
        Value::Object(_) => "a block of keys",
    }
}
