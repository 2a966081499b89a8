//! From the catalogue's facts about a type to its logical type, how it arrives and what the SELECT list says.
//! It must not know what a user chose, nor how values are decoded.

use std::borrow::Cow;

use rivet_plugin_api::{Fidelity, InvalidText, LogicalType, Policies, TinyInt1, ZeroDate};

use super::{CatalogType, Classified, Select, Wire};

/// Types that are a `geometry` of one kind.
const GEOMETRIES: [&str; 9] = [
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
];

/// As the server writes it as text.
pub(super) const AS_TEXT: Select = Select(Cow::Borrowed("CAST(@ AS CHAR)"));

/// Text in another character set than ours. The server writes `?` for what it cannot convert, or leaves the end out: then
/// there are fewer characters beside the `?` that are there anyway, and a byte follows that is no text.
const CONVERTED: Select = Select(Cow::Borrowed(
    "IF(CHAR_LENGTH(REPLACE(CONVERT(@ USING utf8mb4), '?', '')) = CHAR_LENGTH(REPLACE(@, '?', '')), \
     CAST(CONVERT(@ USING utf8mb4) AS BINARY), CONCAT(CAST(CONVERT(@ USING utf8mb4) AS BINARY), X'FF'))",
));

/// Decides how a type is read under these policies.
pub(super) fn classify(t: &CatalogType, policies: &Policies) -> Classified {
    let exact = |logical, wire| Classified { logical, fidelity: Fidelity::Exact, wire, select: Select::PLAIN };
    let text = |wire| Classified { fidelity: Fidelity::Text, ..exact(LogicalType::Text, wire) };
    let int = |bits| exact(LogicalType::Int { bits, signed: !t.unsigned }, Wire::Plain);
    match t.name.as_str() {
        "tinyint" if t.full.starts_with("tinyint(1)") && policies.tinyint1 == Some(TinyInt1::Bool) => {
            exact(LogicalType::Bool, Wire::Plain)
        }
        "tinyint" => int(8),
        "smallint" => int(16),
        "mediumint" | "int" => int(32),
        "bigint" => int(64),
        "year" => exact(LogicalType::Int { bits: 16, signed: true }, Wire::Plain),
        "decimal" => match decimal(t) {
            Some(logical) => exact(logical, Wire::Plain),
            None => text(Wire::Bytes),
        },
        "float" => exact(LogicalType::Float { bits: 32 }, Wire::Plain),
        "double" => exact(LogicalType::Float { bits: 64 }, Wire::Plain),
        "bit" if t.precision == Some(1) => exact(LogicalType::Bool, Wire::Bits),
        "bit" => exact(LogicalType::Binary, Wire::Bits),
        "date" | "datetime" | "timestamp" if policies.zero_date == Some(ZeroDate::Text) => {
            Classified { select: AS_TEXT, ..text(Wire::Bytes) }
        }
        "date" => exact(LogicalType::Date, Wire::Plain),
        "datetime" => exact(LogicalType::Timestamp { utc: false, nanos: false }, Wire::Plain),
        "timestamp" => exact(LogicalType::Timestamp { utc: true, nanos: false }, Wire::Plain),
        "time" => exact(LogicalType::Time { nanos: false }, Wire::Plain),
        "json" => exact(LogicalType::Json, Wire::Bytes),
        "uuid" => exact(LogicalType::Uuid, Wire::Bytes),
        "inet4" | "inet6" => text(Wire::Bytes),
        _ if t.checked_json => Classified { select: characters(t), ..exact(LogicalType::Json, Wire::Bytes) },
        name if GEOMETRIES.contains(&name) => exact(LogicalType::Binary, Wire::Geometry),
        // The catalogue says what it may hold, and a query does not.
        "enum" => match labels(&t.full) {
            Some(labels) => exact(LogicalType::Enum, Wire::Enum(labels.into())),
            None => text(Wire::Bytes),
        },
        "set" => text(Wire::Bytes),
        _ if t.is_text && policies.invalid_text == Some(InvalidText::Binary) => {
            Classified { select: Select::STORED, ..exact(LogicalType::Binary, Wire::Bytes) }
        }
        _ if t.is_text => Classified { select: characters(t), ..exact(LogicalType::Text, Wire::Bytes) },
        // Bytes, vectors, and what nobody knows yet.
        _ => exact(LogicalType::Binary, Wire::Bytes),
    }
}

/// How the characters of a text are asked for, so that those that are none are noticed.
fn characters(t: &CatalogType) -> Select {
    match t.charset.as_deref() {
        // Each byte of latin1 is a character.
        None | Some("utf8mb4" | "latin1" | "binary") => Select::PLAIN,
        // UTF-8 as it is, which the decoder judges.
        Some("utf8" | "utf8mb3" | "ascii") => Select::STORED,
        Some(_) => CONVERTED,
    }
}

fn decimal(t: &CatalogType) -> Option<LogicalType> {
    let (precision, scale) = (u8::try_from(t.precision?).ok()?, u8::try_from(t.scale?).ok()?);
    ((1..=76).contains(&precision) && scale <= precision).then_some(LogicalType::Decimal { precision, scale })
}

/// The labels of `enum('a','it''s')`, and the empty text of a value that is none, which the server keeps as number 0.
fn labels(full: &str) -> Option<Vec<String>> {
    let inner = full.strip_prefix("enum(")?.strip_suffix(')')?;
    let mut labels = Vec::new();
    let mut chars = inner.chars().peekable();
    loop {
        let mut label = String::new();
        if chars.next()? != '\'' {
            return None;
        }
        loop {
            match chars.next()? {
                '\'' if chars.peek() == Some(&'\'') => label.extend(chars.next()),
                '\'' => break,
                '\\' => label.push(match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    '0' => '\0',
                    'Z' => '\u{1a}',
                    other => other,
                }),
                other => label.push(other),
            }
        }
        labels.push(label);
        match chars.next() {
            Some(',') => {}
            None => break,
            Some(_) => return None,
        }
    }
    if !labels.iter().any(String::is_empty) {
        labels.push(String::new());
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_the_catalogue_writes_them() {
        for (full, expected) in [
            ("enum('a','b')", Some(vec!["a", "b", ""])),
            ("enum('it''s',',','')", Some(vec!["it's", ",", ""])),
            (r"enum('a\\b','x\ny')", Some(vec![r"a\b", "x\ny", ""])),
            ("enum('ä')", Some(vec!["ä", ""])),
            ("enum('a'", None),
            ("enum(a)", None),
            ("enum", None),
        ] {
            let expected = expected.map(|labels| labels.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(labels(full), expected, "{full}");
        }
    }

    #[test]
    fn types_become_what_the_table_of_types_says() {
        let read = |name: &str, full: &str, policies: Policies| {
            let t = CatalogType {
                name: name.to_owned(),
                full: full.to_owned(),
                precision: Some(1),
                unsigned: full.ends_with("unsigned"),
                ..CatalogType::default()
            };
            classify(&t, &policies).logical
        };
        let none = Policies::default();
        assert_eq!(read("tinyint", "tinyint(1)", none), LogicalType::Int { bits: 8, signed: true });
        let bool = Policies { tinyint1: Some(TinyInt1::Bool), ..none };
        assert_eq!(read("tinyint", "tinyint(1)", bool), LogicalType::Bool);
        assert_eq!(read("tinyint", "tinyint(4)", bool), LogicalType::Int { bits: 8, signed: true });
        assert_eq!(read("mediumint", "mediumint unsigned", none), LogicalType::Int { bits: 32, signed: false });
        let text = Policies { zero_date: Some(ZeroDate::Text), ..none };
        assert_eq!(read("date", "date", text), LogicalType::Text);
        assert_eq!(read("bit", "bit(1)", none), LogicalType::Bool);
        assert_eq!(read("multipoint", "multipoint", none), LogicalType::Binary);
    }
}
