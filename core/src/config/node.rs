//! A parsed value with its place in the text.
//! It must not know which keys there are, nor YAML.

use serde_json::{Number, Value as Json};

use super::error::QUOTED_NUMBER;

/// A value. `id` counts all keys and values in the order of the text, so that a line can be found when it is needed.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) id: u32,
    pub(super) value: Value,
    /// Whether a variable took part: such a value is never shown, and its text may stand for a number.
    pub(super) from_env: bool,
    /// The text as it stands in the file, where a variable took part.
    pub(super) written: Option<String>,
}

/// What a value is.
#[derive(Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Read: as the type of its key deserialises it.
    Ready(Json),
    /// An error was reported already.
    Failed,
}

/// A key with its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) id: u32,
    pub(super) node: Node,
    /// Id of the first key of that name in the same block, if this is not it.
    pub(super) first: Option<u32>,
}

/// Id of what stands nowhere in the text.
pub(super) const NOWHERE: u32 = u32::MAX;

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { id: NOWHERE, value, from_env: false, written: None }
    }
}

impl Entry {
    /// A key that stands nowhere in the text.
    pub(super) fn made(key: &str, node: Node) -> Self {
        Self { key: key.to_owned(), id: NOWHERE, node, first: None }
    }
}

impl Node {
    /// A value that stands nowhere in the text.
    pub(super) fn from_json(json: &Json) -> Self {
        let entry = |(key, value): (&String, &Json)| Entry::made(key, Self::from_json(value));
        let whole = |n: &Number| n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
        Self::from(match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => whole(n).map_or_else(|| Value::Float(n.as_f64().unwrap_or(f64::NAN)), Value::Whole),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => Value::Map(map.iter().map(entry).collect()),
        })
    }

    /// The value as JSON, without what has failed and without numbers that JSON does not have.
    pub(super) fn to_json(&self) -> Option<Json> {
        Some(match &self.value {
            Value::Failed => return None,
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Whole(n) => i64::try_from(*n).map(Json::from).or_else(|_| u64::try_from(*n).map(Json::from)).ok()?,
            Value::Float(n) => Json::Number(Number::from_f64(*n)?),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => items.iter().filter_map(Self::to_json).collect(),
            Value::Map(entries) => {
                Json::Object(entries.iter().filter_map(|e| Some((e.key.clone(), e.node.to_json()?))).collect())
            }
            Value::Ready(json) => json.clone(),
        })
    }

    /// What messages call the type of the value.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null | Value::Ready(_) | Value::Failed => "nothing",
            Value::Bool(_) => "true or false",
            Value::Whole(_) => "a number",
            Value::Float(_) => "a fraction",
            Value::Text(_) if self.from_env => "the text of a variable",
            Value::Text(text) if text.trim().parse::<f64>().is_ok() => QUOTED_NUMBER,
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a block of keys",
        }
    }

    /// The keys of a block; none of anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// A key of this block, or `block.key` of one below.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
        let entry = self.entries().iter().find(|e| e.key == first)?;
        rest.map_or(Some(entry), |rest| entry.node.get(rest))
    }

    /// The text of a key, unless it is none.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Takes a key out of this block, or `block.key` out of one below.
    pub(super) fn remove(&mut self, key: &str) {
        let Value::Map(entries) = &mut self.value else { return };
        match key.split_once('.') {
            None => entries.retain(|e| e.key != key),
            Some((first, rest)) => entries.iter_mut().filter(|e| e.key == first).for_each(|e| e.node.remove(rest)),
        }
    }

    /// Puts a key into this block, in the place of one that is called so.
    pub(super) fn put(&mut self, entry: Entry) {
        let Value::Map(entries) = &mut self.value else { return };
        match entries.iter_mut().find(|e| e.key == entry.key) {
            Some(there) => *there = entry,
            None => entries.push(entry),
        }
    }
}

/// `parent.key`. A key that is no plain word is not shown: it may be a value that stands in the wrong place.
pub(super) fn join(parent: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'<'));
    let key = if plain { key } else { "?" };
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// Path of an item of a list: exports are called by their names where these can be shown.
pub(super) fn item(parent: &str, index: usize, node: &Node) -> String {
    if let (true, Some(entry)) = (parent == "exports", node.get("name"))
        && let (Value::Text(name), false) = (&entry.node.value, entry.node.from_env)
        && name_problem(name).is_none()
    {
        return format!("{parent}.{name}");
    }
    format!("{parent}[{index}]")
}

/// Most bytes of an export's name.
const MAX_NAME_BYTES: usize = 100;

/// What is wrong with the name of an export, which becomes part of file names.
pub(crate) fn name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > MAX_NAME_BYTES {
        Some("is longer than 100 bytes")
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')) {
        Some("may only have letters, digits, '_', '-' and '.'")
    } else if name.starts_with(['.', '-']) {
        Some("may not start with '.' or '-'")
    } else {
        None
    }
}
