//! Which rows and columns an export reads: `mode` with its keys, `select`, `exclude` and `where`.
//! It must not know SQL, nor how a cursor is stored.

use rivet_plugin_api::{Distance, Relation};

use super::node::Value;
use super::section::{Cx, Section};
use super::units::Unit;
use super::{ConfigError, Incremental, Mode, NullCursor, Select};

/// Modes of the specification that this version does not have.
const LATER_MODES: [&str; 2] = ["chunked", "time_window"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Full,
    Incremental,
}

/// The keys that one level sets.
#[derive(Default)]
pub(super) struct Patch {
    mode: Option<Word>,
    select: Option<Select>,
    condition: Option<Condition>,
    cursor_column: Option<String>,
    cursor_fallback_column: Option<String>,
    lookback: Option<Distance>,
    null_cursor: Option<NullCursor>,
}

impl Patch {
    pub(super) fn read(block: &Section, cx: &mut Cx) -> Self {
        block.exclusive("select", "exclude", cx);
        let nulls = [("error", NullCursor::Error), ("include", NullCursor::Include)];
        let select = names("select", block, cx).map(Select::Only);
        Self {
            mode: read_mode(block, cx),
            select: select.or_else(|| names("exclude", block, cx).map(Select::Except)),
            condition: read_condition(block, cx),
            cursor_column: block.word("cursor_column", cx).map(|t| t.value.to_owned()),
            cursor_fallback_column: block.word("cursor_fallback_column", cx).map(|t| t.value.to_owned()),
            lookback: read_lookback(block, cx),
            null_cursor: block.choice("null_cursor", &nulls, cx),
        }
    }

    /// This level over `defaults`; problems are placed at `block`.
    pub(super) fn settle(self, defaults: &Self, relation: &Relation, block: &Section, cx: &mut Cx) -> Rows {
        let mode = self.mode.or(defaults.mode).unwrap_or(Word::Full);
        let cursor = self.cursor_column.as_ref().or(defaults.cursor_column.as_ref());
        let fallback = self.cursor_fallback_column.as_ref().or(defaults.cursor_fallback_column.as_ref());
        let mode = match (mode, cursor) {
            (Word::Full, _) => {
                self.refuse_cursor_keys(block, cx);
                Mode::Full
            }
            (Word::Incremental, None) => {
                block.missing("cursor_column", "name the column that grows, such as `cursor_column: updated_at`", cx);
                Mode::Full
            }
            (Word::Incremental, Some(cursor)) => Mode::Incremental(Incremental {
                key: [Some(cursor), fallback].into_iter().flatten().cloned().collect(),
                lookback: self.lookback.or(defaults.lookback),
                nulls: self.null_cursor.or(defaults.null_cursor).unwrap_or_default(),
            }),
        };
        let condition = self.condition.or_else(|| defaults.condition.clone());
        if condition.is_some() && matches!(relation, Relation::Query { .. }) && block.get("where").is_some() {
            let at = cx.at(block.path.clone(), block.id);
            cx.push(ConfigError::Conflict { at, keys: ("query".to_owned(), "where".to_owned()) });
        }
        let (condition, condition_written) = condition.map(|c| (c.text, c.written)).unzip();
        let select = self.select.or_else(|| defaults.select.clone()).unwrap_or_default();
        Rows { mode, select, condition, condition_written }
    }

    /// A key that does nothing is a mistake; one in `defaults` may be meant for other exports.
    fn refuse_cursor_keys(&self, block: &Section, cx: &mut Cx) {
        for key in ["cursor_column", "cursor_fallback_column", "lookback", "null_cursor"] {
            if let Some(entry) = block.get(key) {
                cx.bad(
                    &block.path_of(key),
                    entry.id,
                    "means nothing in mode 'full'",
                    Some("add `mode: incremental`, or remove the key"),
                );
            }
        }
    }
}

/// What an export reads of its relation.
pub(super) struct Rows {
    pub(super) mode: Mode,
    pub(super) select: Select,
    pub(super) condition: Option<String>,
    /// As it stands in the file.
    pub(super) condition_written: Option<String>,
}

/// A condition on rows, and what of it may be kept: values of variables are not in there.
#[derive(Clone)]
struct Condition {
    text: String,
    written: String,
}

fn read_mode(block: &Section, cx: &mut Cx) -> Option<Word> {
    if let Some(entry) = block.get("mode")
        && let Value::Text(text) = &entry.node.value
        && let Some(later) = LATER_MODES.iter().find(|m| *m == text)
    {
        let at = cx.at(block.path_of("mode"), entry.id);
        cx.push(ConfigError::NotBuilt { at, what: format!("mode '{later}'") });
        return None;
    }
    block.choice("mode", &[("full", Word::Full), ("incremental", Word::Incremental)], cx)
}

/// A condition stands in brackets of its own, so it may not close them: its other half would escape the ranges that
/// splits and cursors put around it.
fn read_condition(block: &Section, cx: &mut Cx) -> Option<Condition> {
    let text = block.word("where", cx)?;
    let condition = text.value.trim().trim_end_matches(';').trim_end();
    if !is_closed(condition) {
        cx.bad(&text.path, text.id, "has brackets or quotes that do not match", Some("write one whole condition"));
        return None;
    }
    Some(Condition { text: condition.to_owned(), written: text.written.unwrap_or(condition).to_owned() })
}

/// Whether brackets and quotes of a piece of SQL match within it. Quoted text and comments are passed over.
fn is_closed(sql: &str) -> bool {
    let bytes = sql.as_bytes();
    let (mut at, mut depth) = (0, 0_u32);
    while at < bytes.len() {
        let rest = &sql.as_bytes()[at..];
        at += match rest[0] {
            b'(' => {
                depth += 1;
                1
            }
            b')' if depth == 0 => return false,
            b')' => {
                depth -= 1;
                1
            }
            b'-' if rest.starts_with(b"--") => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => match find(&rest[2..], b"*/") {
                Some(end) => end + 4,
                None => return false,
            },
            quote @ (b'\'' | b'"') => {
                let escapes = at > 0 && quote == b'\'' && matches!(bytes[at - 1], b'e' | b'E');
                match closing_quote(rest, quote, escapes) {
                    Some(end) => end + 1,
                    None => return false,
                }
            }
            _ => 1,
        };
    }
    depth == 0
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

/// Where the quote that `bytes` starts with ends; a doubled one stands for itself, and an escaped one with `escapes`.
fn closing_quote(bytes: &[u8], quote: u8, escapes: bool) -> Option<usize> {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b if b == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            b if b == quote => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// A whole number is a distance between numbers, a number with a unit a time.
fn read_lookback(block: &Section, cx: &mut Cx) -> Option<Distance> {
    let entry = block.get("lookback")?;
    let found = match &entry.node.value {
        Value::Whole(n) => u64::try_from(*n).ok().map(Distance::Units),
        Value::Text(text) if entry.node.from_env && text.trim().parse::<u64>().is_ok() => {
            text.trim().parse().ok().map(Distance::Units)
        }
        Value::Text(text) if text.trim().ends_with(|c: char| c.is_ascii_alphabetic()) => {
            Unit::Ms(1).parse(text).map(Distance::Ms)
        }
        _ => None,
    };
    if found.is_none() {
        let path = block.path_of("lookback");
        cx.wrong_type(&path, entry.id, &entry.node, "a time such as 15m, or a whole number for a cursor of numbers");
    }
    found
}

/// A list of column names, not empty.
fn names(key: &str, block: &Section, cx: &mut Cx) -> Option<Vec<String>> {
    let entry = block.get(key)?;
    let nodes = block.list(key, cx)?;
    let mut all = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        match &node.value {
            Value::Text(name) if all.contains(name) => {
                cx.bad(&format!("{}[{i}]", block.path_of(key)), node.id, "names a column twice", None);
            }
            Value::Text(name) if !name.is_empty() => all.push(name.clone()),
            _ => cx.wrong_type(&format!("{}[{i}]", block.path_of(key)), node.id, node, "the name of a column"),
        }
    }
    if nodes.is_empty() {
        cx.bad(&block.path_of(key), entry.id, "is empty", Some("name a column, or remove the key"));
        return None;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::is_closed;

    #[test]
    fn a_condition_keeps_to_its_brackets() {
        for sql in [
            "a = 1",
            "(a) or (b)",
            "a = ')'",
            "\"(\" = 1",
            "a -- (",
            "a /* ( */ = 1",
            "a = 'it''s ('",
            r"a = E'\'('",
            "",
        ] {
            assert!(is_closed(sql), "{sql}");
        }
        for sql in ["a) or (b", "a)", "(a", "a = '", "a /* b", "f(a", "\"a"] {
            assert!(!is_closed(sql), "{sql}");
        }
    }
}
