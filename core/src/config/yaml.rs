//! Turning YAML into a tree: the only place that knows the YAML parser.
//! It must not know which keys there are.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{At, ConfigError};
use super::node::{Entry, Node, Value};

/// Largest config, bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of blocks and lists.
const MAX_DEPTH: u32 = 32;
/// Most keys and values, each alias counted as what it stands for.
const MAX_NODES: u32 = 200_000;
/// Most bytes of text in all values, likewise.
const MAX_TEXT_BYTES: usize = 8 * MAX_BYTES;
/// Most `[` and `{`: the parser's time grows with the square of their nesting, and it parses all before it counts.
const MAX_BRACKETS: usize = 20_000;

/// Parses a text within all limits.
///
/// # Errors
/// What is wrong with it as YAML.
pub(super) fn tree(text: &str) -> Result<Node, ConfigError> {
    if text.len() > MAX_BYTES {
        return Err(ConfigError::TooLarge { limit_bytes: MAX_BYTES });
    }
    if text.bytes().filter(|b| matches!(b, b'[' | b'{')).count() > MAX_BRACKETS {
        let what = format!("has more than {MAX_BRACKETS} opening brackets");
        return Err(ConfigError::Limit { at: At::default(), what });
    }
    printable(text)?;
    syntax(text)?;
    let mut builder = Builder::default();
    let seed = Any { builder: &mut builder, depth: 0 };
    match seed.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(Node { value: Value::Null, .. }) => Err(ConfigError::Empty),
        Ok(root) => Ok(root),
        Err(e) => {
            // The parser's own text may quote a value here, so it is not used. Two things are left that it can find:
            // aliases that grow, which it places nowhere, and a value that does not fit its tag.
            let own = if e.location().is_none() { Problem::Aliases } else { Problem::Tag };
            Err(builder.problem.unwrap_or(own).at(At::line(line_of(&e))))
        }
    }
}

/// YAML takes no control characters but those that end lines and set columns apart. The parser would say so of no line.
fn printable(text: &str) -> Result<(), ConfigError> {
    let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let Some(at) = text.find(odd) else { return Ok(()) };
    let line = 1 + text[..at].bytes().filter(|b| *b == b'\n').count();
    let problem = "it holds a control character".to_owned();
    let hint = Some("remove it, or write it as an escape in double quotes, such as \"\\t\"".to_owned());
    Err(ConfigError::Syntax { at: At::line(u32::try_from(line).ok()), problem, hint })
}

/// A pass that looks at no value, so that no message of the parser can hold one.
fn syntax(text: &str) -> Result<(), ConfigError> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    match documents.next().map(IgnoredAny::deserialize) {
        Some(Err(e)) => {
            let said = e.to_string();
            let problem = said.split(" at line ").next().unwrap_or_default().to_owned();
            let line = line_of(&e);
            let near = line.and_then(|l| text.lines().nth(l.saturating_sub(1) as usize)).unwrap_or_default();
            let variable = near.contains("${").then_some("inside { } and [ ] a variable needs quotes: '${VAR}'");
            let star = ["[*", " *"].iter().any(|start| near.contains(start));
            let star = star.then_some("a pattern that starts with * is an alias to YAML: put it in quotes");
            let tab = near.trim_start_matches(' ').starts_with('\t');
            let tab = tab.then_some("indent with spaces: YAML takes no tabs there");
            let hint = variable.or(tab).or(star).map(str::to_owned);
            Err(ConfigError::Syntax { at: At::line(line), problem, hint })
        }
        Some(Ok(_)) if documents.next().is_some() => Err(ConfigError::ManyDocuments),
        Some(Ok(_)) => Ok(()),
        None => Err(ConfigError::Empty),
    }
}

fn line_of(error: &serde_yaml::Error) -> Option<u32> {
    error.location().and_then(|l| u32::try_from(l.line()).ok())
}

/// Finds lines. The parser tells a position only with an error, so the text is parsed again up to the node, which
/// then fails: no cost for a config without errors.
#[derive(Clone, Default)]
pub(super) struct Locator(Arc<str>);

impl Locator {
    /// For the text that [`tree`] has parsed.
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// 1-based line of a key or value.
    pub(super) fn line(&self, id: u32) -> Option<u32> {
        let mut builder = Builder { fail_at: Some(id), ..Builder::default() };
        let seed = Any { builder: &mut builder, depth: 0 };
        seed.deserialize(serde_yaml::Deserializer::from_str(&self.0)).err().as_ref().and_then(line_of)
    }
}

enum Problem {
    Here,
    Tag,
    Deep,
    Many,
    Aliases,
    Key,
}

impl Problem {
    fn at(self, at: At) -> ConfigError {
        let what = match self {
            Self::Deep => format!("nests deeper than {MAX_DEPTH} levels"),
            Self::Many => format!("holds more than {MAX_NODES} values or {MAX_TEXT_BYTES} bytes of text"),
            Self::Aliases => "repeats aliases without end".to_owned(),
            Self::Key => return ConfigError::Syntax { at, problem: "a key must be text".to_owned(), hint: None },
            Self::Tag | Self::Here => {
                let problem = "tags that start with '!' have no meaning here".to_owned();
                return ConfigError::Syntax {
                    at,
                    problem,
                    hint: Some("put text that starts with '!' in quotes".to_owned()),
                };
            }
        };
        ConfigError::Limit { at, what }
    }
}

#[derive(Default)]
struct Builder {
    next_id: u32,
    text_bytes: usize,
    fail_at: Option<u32>,
    problem: Option<Problem>,
}

impl Builder {
    fn fail<E: Error>(&mut self, problem: Problem) -> E {
        self.problem = Some(problem);
        E::custom("refused")
    }

    fn enter<E: Error>(&mut self, text_bytes: usize) -> Result<u32, E> {
        let id = self.next_id;
        self.next_id += 1;
        self.text_bytes += text_bytes;
        if self.fail_at == Some(id) {
            return Err(self.fail(Problem::Here));
        }
        if self.next_id > MAX_NODES || self.text_bytes > MAX_TEXT_BYTES {
            return Err(self.fail(Problem::Many));
        }
        Ok(id)
    }
}

/// Takes any value; `depth` is the number of blocks and lists around it.
struct Any<'b> {
    builder: &'b mut Builder,
    depth: u32,
}

impl Any<'_> {
    fn leaf<E: Error>(self, text_bytes: usize, value: Value) -> Result<Node, E> {
        Ok(Node { id: self.builder.enter(text_bytes)?, value, from_env: false, written: None })
    }

    fn branch<E: Error>(&mut self) -> Result<u32, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.builder.fail(Problem::Deep));
        }
        self.builder.enter(0)
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.leaf(0, Value::Null)
    }
    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.leaf(0, Value::Null)
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Node, E> {
        self.leaf(0, Value::Bool(v))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Node, E> {
        self.leaf(0, Value::Whole(v.into()))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Node, E> {
        self.leaf(0, Value::Whole(v.into()))
    }
    fn visit_i128<E: Error>(self, v: i128) -> Result<Node, E> {
        self.leaf(0, Value::Whole(v))
    }
    fn visit_u128<E: Error>(self, v: u128) -> Result<Node, E> {
        self.leaf(0, i128::try_from(v).map_or(Value::Float(f64::INFINITY), Value::Whole))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Node, E> {
        self.leaf(0, Value::Float(v))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Node, E> {
        self.leaf(v.len(), Value::Text(v.to_owned()))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self.builder.fail(Problem::Tag))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Node, A::Error> {
        let id = self.branch()?;
        let mut list = Vec::new();
        while let Some(node) = items.next_element_seed(Any { builder: &mut *self.builder, depth: self.depth + 1 })? {
            list.push(node);
        }
        Ok(Node { id, value: Value::List(list), from_env: false, written: None })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut pairs: A) -> Result<Node, A::Error> {
        let id = self.branch()?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        while let Some(key) = pairs.next_key_seed(Any { builder: &mut *self.builder, depth: self.depth + 1 })? {
            let node = pairs.next_value_seed(Any { builder: &mut *self.builder, depth: self.depth + 1 })?;
            let text = match key.value {
                Value::Text(text) => text,
                Value::Whole(n) => n.to_string(),
                Value::Bool(b) => b.to_string(),
                // A format has an option of that name, which nobody would think to put in quotes.
                Value::Null => "null".to_owned(),
                _ => return Err(self.builder.fail(Problem::Key)),
            };
            let first = seen.get(&text).copied();
            seen.entry(text.clone()).or_insert(key.id);
            entries.push(Entry { key: text, id: key.id, node, first });
        }
        Ok(Node { id, value: Value::Map(entries), from_env: false, written: None })
    }
}
