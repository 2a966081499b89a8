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
    condition: Option<String>,
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
            condition: block.word("where", cx).map(|t| t.value.trim().trim_end_matches(';').to_owned()),
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
        Rows { mode, select: self.select.or_else(|| defaults.select.clone()).unwrap_or_default(), condition }
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
