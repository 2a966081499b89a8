//! Types and value policies: `columns` of an export, `policies` of a source, `defaults` or export, `meta_columns`.
//! It must not know which of them a source supports.

use std::collections::BTreeMap;

use rivet_plugin_api::{
    Choices, ColumnChoice, InvalidText, LogicalType, Nan, NumericUnbounded, OutOfRange, Policies, SubMicrosecond,
    TinyInt1, ZeroDate,
};

use super::MetaColumns;
use super::node::{Entry, Node, Value, join};
use super::section::{Cx, Section, one_of};
use super::suggest::did_you_mean;

/// Keys of a `policies` block.
pub(super) const POLICY_KEYS: &[&str] = &[
    "numeric_unbounded",
    "sub_microsecond",
    "invalid_text",
    "out_of_range",
    "nan",
    "infinity_timestamp",
    "zero_date",
    "tinyint1",
];

/// Words that stand for types without parameters.
const TYPE_WORDS: [(&str, LogicalType); 17] = [
    ("bool", LogicalType::Bool),
    ("int8", LogicalType::Int { bits: 8, signed: true }),
    ("int16", LogicalType::Int { bits: 16, signed: true }),
    ("int32", LogicalType::Int { bits: 32, signed: true }),
    ("int64", LogicalType::Int { bits: 64, signed: true }),
    ("uint8", LogicalType::Int { bits: 8, signed: false }),
    ("uint16", LogicalType::Int { bits: 16, signed: false }),
    ("uint32", LogicalType::Int { bits: 32, signed: false }),
    ("uint64", LogicalType::Int { bits: 64, signed: false }),
    ("float32", LogicalType::Float { bits: 32 }),
    ("float64", LogicalType::Float { bits: 64 }),
    ("text", LogicalType::Text),
    ("binary", LogicalType::Binary),
    ("date", LogicalType::Date),
    ("timestamp", LogicalType::Timestamp { utc: false, nanos: false }),
    ("timestamptz", LogicalType::Timestamp { utc: true, nanos: false }),
    ("json", LogicalType::Json),
];

/// The keys that one level sets.
#[derive(Default)]
pub(super) struct Patch {
    policies: Policies,
    columns: BTreeMap<String, ColumnChoice>,
    meta: Option<MetaColumns>,
}

impl Patch {
    pub(super) fn read(block: &Section, cx: &mut Cx) -> Self {
        let policies = block.section("policies", cx).map(|p| read_policies(&p, &[], cx)).unwrap_or_default();
        let columns = block.section("columns", cx).map(|c| read_columns(&c, cx)).unwrap_or_default();
        Self { policies, columns, meta: read_meta(block, cx) }
    }

    /// This level over `defaults`, with the policies of the source below both. A column is taken whole.
    pub(super) fn settle(self, defaults: &Self, source: Policies) -> (Choices, MetaColumns) {
        let policies = self.policies.over(defaults.policies).over(source);
        let mut columns = defaults.columns.clone();
        columns.extend(self.columns);
        (Choices { policies, columns, ..Choices::default() }, self.meta.or(defaults.meta).unwrap_or_default())
    }
}

/// The policies of a block; `others` are keys that are read elsewhere.
pub(super) fn read_policies(block: &Section, others: &[&str], cx: &mut Cx) -> Policies {
    block.refuse_unknown(&[POLICY_KEYS, others].concat(), cx);
    Policies {
        numeric_unbounded: read_unbounded(block, cx),
        sub_microsecond: word(block, "sub_microsecond", SubMicrosecond::WORDS, cx),
        invalid_text: word(block, "invalid_text", InvalidText::WORDS, cx),
        out_of_range: word(block, "out_of_range", OutOfRange::WORDS, cx),
        nan: word(block, "nan", Nan::WORDS, cx),
        infinity_timestamp: word(block, "infinity_timestamp", OutOfRange::WORDS, cx),
        zero_date: word(block, "zero_date", ZeroDate::WORDS, cx),
        tinyint1: word(block, "tinyint1", TinyInt1::WORDS, cx),
    }
}

/// One of several words; YAML reads the word `null` as nothing.
fn word<T: Copy>(block: &Section, key: &str, words: &[(&str, T)], cx: &mut Cx) -> Option<T> {
    match block.get(key).map(|entry| &entry.node.value) {
        Some(Value::Null) => {
            let null = words.iter().find(|(word, _)| *word == "null").map(|(_, value)| *value);
            if null.is_none() {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let id = block.get(key).map_or(block.id, |entry| entry.id);
                cx.bad(&block.path_of(key), id, format!("must be {}", one_of(&known)), None);
            }
            null
        }
        _ => block.choice(key, words, cx),
    }
}

fn read_unbounded(block: &Section, cx: &mut Cx) -> Option<NumericUnbounded> {
    let text = block.text("numeric_unbounded", cx)?;
    let found = match text.value {
        "text" => Some(NumericUnbounded::Text),
        "error" => Some(NumericUnbounded::Error),
        other => match logical(other) {
            Some(LogicalType::Decimal { precision, scale }) => Some(NumericUnbounded::Decimal { precision, scale }),
            _ => None,
        },
    };
    if found.is_none() {
        cx.bad(&text.path, text.id, "must be 'text', 'error' or a decimal such as 'decimal(38,9)'", None);
    }
    found
}

fn read_columns(block: &Section, cx: &mut Cx) -> BTreeMap<String, ColumnChoice> {
    let mut columns = BTreeMap::new();
    for entry in block.entries {
        if let Some(choice) = read_column(block, entry, cx) {
            columns.insert(entry.key.clone(), choice);
        }
    }
    columns
}

fn read_column(block: &Section, entry: &Entry, cx: &mut Cx) -> Option<ColumnChoice> {
    let path = join(&block.path, &entry.key);
    match &entry.node.value {
        Value::Text(_) => {
            let logical = read_type(&entry.node, &path, entry.id, cx)?;
            Some(ColumnChoice { logical: Some(logical), ..Default::default() })
        }
        Value::Map(entries) => {
            let column = Section { path, id: entry.id, entries };
            let policies = read_policies(&column, &["type", "lossy"], cx);
            let at = column.path_of("type");
            let logical = column.get("type").and_then(|e| read_type(&e.node, &at, e.id, cx));
            Some(ColumnChoice { logical, lossy: column.flag("lossy", cx).unwrap_or(false), policies })
        }
        _ => {
            cx.wrong_type(&path, entry.id, &entry.node, "a type such as `text` or `decimal(18,2)`, or a block of keys");
            None
        }
    }
}

fn read_type(node: &Node, path: &str, id: u32, cx: &mut Cx) -> Option<LogicalType> {
    let Value::Text(text) = &node.value else {
        cx.wrong_type(path, id, node, "a type such as `text` or `decimal(18,2)`");
        return None;
    };
    let found = logical(text);
    if found.is_none() {
        let words = || TYPE_WORDS.iter().map(|(word, _)| *word).chain(["time", "uuid", "decimal(18,2)"]);
        let hint = did_you_mean(text, words());
        let all = words().collect::<Vec<_>>().join(", ");
        let hint = hint.unwrap_or_else(|| format!("there is {all}"));
        cx.bad(path, id, "is no type", Some(&hint));
    }
    found
}

/// The type that a text names.
fn logical(text: &str) -> Option<LogicalType> {
    let text = text.trim();
    if let Some((_, found)) = TYPE_WORDS.iter().find(|(word, _)| *word == text) {
        return Some(found.clone());
    }
    match text {
        "time" => return Some(LogicalType::Time { nanos: false }),
        "uuid" => return Some(LogicalType::Uuid),
        _ => {}
    }
    let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    let (precision, scale) = (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<u8>().ok()?);
    (1..=76).contains(&precision).then_some(())?;
    (scale <= precision).then_some(LogicalType::Decimal { precision, scale })
}

fn read_meta(block: &Section, cx: &mut Cx) -> Option<MetaColumns> {
    let entry = block.get("meta_columns")?;
    let mut meta = MetaColumns::default();
    let items = match &entry.node.value {
        Value::Bool(all) => return Some(MetaColumns { exported_at: *all, row_hash: *all }),
        Value::List(items) => items,
        _ => {
            cx.wrong_type(&block.path_of("meta_columns"), entry.id, &entry.node, "true, false or a list of columns");
            return None;
        }
    };
    for (i, node) in items.iter().enumerate() {
        match &node.value {
            Value::Text(text) if text == "exported_at" => meta.exported_at = true,
            Value::Text(text) if text == "row_hash" => meta.row_hash = true,
            _ => {
                let path = format!("{}[{i}]", block.path_of("meta_columns"));
                cx.bad(&path, node.id, "must be 'exported_at' or 'row_hash'", None);
            }
        }
    }
    Some(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_words_or_decimals() {
        let decimal = |precision, scale| Some(LogicalType::Decimal { precision, scale });
        let cases = [
            ("text", Some(LogicalType::Text)),
            ("int64", Some(LogicalType::Int { bits: 64, signed: true })),
            ("decimal(18,2)", decimal(18, 2)),
            ("decimal( 76 , 0 )", decimal(76, 0)),
            ("decimal(5)", decimal(5, 0)),
            ("decimal(0,0)", None),
            ("decimal(77,1)", None),
            ("decimal(5,6)", None),
            ("decimal(5,-1)", None),
            ("numeric", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(logical(text), expected, "{text}");
        }
    }
}
