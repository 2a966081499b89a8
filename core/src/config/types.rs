//! The words that stand for types in `columns`.
//! It must not know which of them a source supports.

use rivet_plugin_api::LogicalType;

/// Words that stand for types without parameters.
const WORDS: [(&str, LogicalType); 19] = [
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
    ("time", LogicalType::Time { nanos: false }),
    ("uuid", LogicalType::Uuid),
];

/// The words, and an example of a decimal.
pub(super) fn words() -> Vec<&'static str> {
    WORDS.iter().map(|(word, _)| *word).chain(["decimal(18,2)"]).collect()
}

/// What the text of a type matches, as a regular expression.
pub(super) fn pattern() -> String {
    let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
    format!(
        "^\\s*({}|decimal\\(\\s*[0-9]{{1,2}}\\s*(,\\s*[0-9]{{1,2}}\\s*)?\\))(\\[\\]){{0,{MAX_LISTS}}}\\s*$",
        words.join("|")
    )
}

/// Most lists in lists.
const MAX_LISTS: usize = 6;

/// The type that a text names; `text[]` is a list of texts.
pub(super) fn logical(text: &str) -> Option<LogicalType> {
    let mut element = text.trim();
    let mut n_lists = 0;
    while let Some(inner) = element.strip_suffix("[]") {
        (element, n_lists) = (inner, n_lists + 1);
    }
    let list = |of, _| LogicalType::List { element: Box::new(of) };
    let element = single(element).filter(|_| n_lists <= MAX_LISTS)?;
    Some((0..n_lists).fold(element, list))
}

fn single(text: &str) -> Option<LogicalType> {
    if let Some((_, found)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Some(found.clone());
    }
    let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    let (precision, scale) = (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<u8>().ok()?);
    (1..=76).contains(&precision).then_some(())?;
    (scale <= precision).then_some(LogicalType::Decimal { precision, scale })
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
            ("text[]", Some(LogicalType::List { element: Box::new(LogicalType::Text) })),
            ("text[][][][][][][]", None),
            ("[]", None),
            ("numeric", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(logical(text), expected, "{text}");
        }
    }
}
