//! What the text of a key says, by the `reads` of its schema: sizes, durations, names and grammars.
//! It must not know which keys there are.

use rivet_plugin_api::{Distance, LogicalType, NumericUnbounded};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::condition::condition;
use super::expand::is_name;
use super::node::{Node, Value, name_problem};
use super::patterns::TablePattern;
use super::suggest::did_you_mean;
use super::units::Unit;
use super::{relation, types};

/// Why a value cannot be read.
pub(super) enum Wrong {
    /// It is of the wrong type; what belongs there.
    Type(String),
    /// It is not one that can be: the rest of a sentence that starts with the key, and what to do.
    Value(String, Option<String>),
}

fn wrong<T>(problem: impl Into<String>, hint: &str) -> Result<T, Wrong> {
    Err(Wrong::Value(problem.into(), (!hint.is_empty()).then(|| hint.to_owned())))
}

/// What a value means to the type of its key, as JSON that this deserialises; `None` where it is neither text nor anything
/// else that is read so.
pub(super) fn read(reads: &str, node: &Node, schema: &Json) -> Option<Result<Json, Wrong>> {
    if let Some(unit) = Unit::called(reads) {
        return Some(measure(unit, node, schema));
    }
    if reads == "distance" {
        return Some(distance(node));
    }
    let Value::Text(text) = &node.value else { return None };
    Some(of_text(reads, text))
}

fn of_text(reads: &str, text: &str) -> Result<Json, Wrong> {
    match reads {
        "table" => {
            grammar(relation::table(text), "write `name` or `schema.name`; a part with dots goes in double quotes")
        }
        "query" => grammar(relation::query(text), "write a SELECT statement"),
        "table-pattern" => {
            let hint = "write a pattern such as `public.*` or `order_?`; a part with dots goes in double quotes";
            grammar(TablePattern::parse(text).map(|_| text), hint)
        }
        "condition" => grammar(condition(text), "write one whole condition"),
        "export-name" => grammar(name_problem(text).map_or(Ok(text), Err), "the name becomes part of file names"),
        "plugin-name" => plugin_name(text),
        "column-type" => column_type(text),
        "numeric-unbounded" => numeric_unbounded(text),
        "variable" if !is_name(text) => wrong("must be the name of a variable", "give the name alone, without '$'"),
        "file" if text.contains("://") => wrong("must be the path of a file, not a URL", "a URL goes into `url`"),
        "state-file" => state_file(text),
        _ => Ok(text.into()),
    }
}

fn grammar<T: Serialize>(read: Result<T, &'static str>, hint: &str) -> Result<Json, Wrong> {
    read.map(|value| json!(value)).or_else(|problem| wrong(problem, hint))
}

/// A size in bytes or a time in ms, within the bounds that the schema has in the unit of plain numbers.
fn measure(unit: Unit, node: &Node, schema: &Json) -> Result<Json, Wrong> {
    let n = match &node.value {
        // What is out of all bounds is out of these too.
        Value::Whole(n) => Some(u64::try_from(*n).ok().and_then(|n| unit.plain(n)).unwrap_or(u64::MAX)),
        Value::Text(text) => unit.parse(text),
        _ => None,
    };
    let Some(n) = n else { return Err(Wrong::Type(unit.expected())) };
    let bound = |key: &str, none: u64| schema[key].as_u64().unwrap_or(none);
    let (least, most) = (bound("minimum", 0), bound("maximum", u64::MAX));
    if n < least.saturating_mul(unit.each()) || n > most.saturating_mul(unit.each()) {
        return wrong(format!("must be between {least} and {most} {}", unit.plain_name()), "");
    }
    Ok(n.into())
}

/// A whole number is a distance between numbers, a number with a unit a time.
fn distance(node: &Node) -> Result<Json, Wrong> {
    let found = match &node.value {
        Value::Whole(n) => u64::try_from(*n).ok().map(Distance::Units),
        Value::Text(text) if node.from_env && text.trim().parse::<u64>().is_ok() => {
            text.trim().parse().ok().map(Distance::Units)
        }
        Value::Text(text) if text.trim().ends_with(|c: char| c.is_ascii_alphabetic()) => {
            Unit::Ms(1).parse(text).map(Distance::Ms)
        }
        _ => None,
    };
    let expected = "a time such as 15m, or a whole number for a cursor of numbers";
    found.map(|distance| json!(distance)).ok_or_else(|| Wrong::Type(expected.to_owned()))
}

/// Names of plugins are plain words, so that they can be shown: a URL put there by mistake must not be.
fn plugin_name(text: &str) -> Result<Json, Wrong> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        return wrong("must be the name of a plugin", "names have letters, digits, '_' and '-'");
    }
    Ok(text.into())
}

fn column_type(text: &str) -> Result<Json, Wrong> {
    if let Some(found) = types::logical(text) {
        return Ok(json!(found));
    }
    let words = types::words();
    let hint = did_you_mean(text, words.iter().copied()).unwrap_or_else(|| format!("there is {}", words.join(", ")));
    wrong("is no type", &hint)
}

fn numeric_unbounded(text: &str) -> Result<Json, Wrong> {
    let found = match (text, types::logical(text)) {
        ("text", _) => NumericUnbounded::Text,
        ("error", _) => NumericUnbounded::Error,
        (_, Some(LogicalType::Decimal { precision, scale })) => NumericUnbounded::Decimal { precision, scale },
        _ => return wrong("must be 'text', 'error' or a decimal such as 'decimal(38,9)'", ""),
    };
    Ok(json!(found))
}

fn state_file(text: &str) -> Result<Json, Wrong> {
    let file = ["sqlite://", "sqlite:"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    if file.is_empty() || file.contains("://") {
        return wrong("must be the path of a SQLite file", "write a path, or sqlite:PATH");
    }
    Ok(file.into())
}
