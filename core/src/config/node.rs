//! A parsed value with its place in the text.
//! It must not know which keys there are, nor YAML.

use serde_json::Number;

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

impl Node {
    /// What messages call the type of the value.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null | Value::Failed => "nothing",
            Value::Bool(_) => "true or false",
            Value::Whole(_) => "a number",
            Value::Float(_) => "a fraction",
            Value::Text(_) if self.from_env => "the text of a variable",
            Value::Text(text) => kind_of_text(text),
            Value::List(_) => "a list",
            Value::Map(_) => "a block of keys",
        }
    }

    /// The value as JSON; `None` for numbers that JSON does not have. Failed values are null: the config is refused
    /// anyway.
    pub(super) fn to_json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match &self.value {
            Value::Null | Value::Failed => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Whole(n) => {
                Json::Number(i64::try_from(*n).map(Number::from).or_else(|_| u64::try_from(*n).map(Number::from)).ok()?)
            }
            Value::Float(n) => Json::Number(Number::from_f64(*n)?),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect::<Option<_>>()?),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|e| Some((e.key.clone(), e.node.to_json()?))).collect::<Option<_>>()?)
            }
        })
    }
}

/// What messages call a text that stands where something else is expected.
pub(super) fn kind_of_text(text: &str) -> &'static str {
    if text.trim().parse::<f64>().is_ok() { QUOTED_NUMBER } else { "text" }
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
    if let (true, Value::Map(entries)) = (parent == "exports", &node.value)
        && let Some(name) = entries.iter().find(|e| e.key == "name")
        && let (Value::Text(text), false) = (&name.node.value, name.node.from_env)
        && name_problem(text).is_none()
    {
        return format!("{parent}.{text}");
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
