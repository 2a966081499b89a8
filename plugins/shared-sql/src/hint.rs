//! The lines of a config that hints suggest, so that they can be pasted as they are.
//! It must not know why they are suggested.

use rivet_plugin_api::LogicalType;

/// The key `columns` with a choice for one column; `choice` is YAML.
pub fn column(name: &str, choice: &str) -> String {
    format!("`columns: {{{}: {choice}}}`", key(name))
}

/// The key that leaves a column out.
pub fn exclude(name: &str) -> String {
    format!("`exclude: [{}]`", key(name))
}

/// The way out of every type that has no place for a value.
pub fn as_text(name: &str) -> String {
    format!("read the column as text: {}", column(name, "text"))
}

/// A type as `columns` names it, within braces.
pub fn type_word(logical: &LogicalType) -> String {
    let word = logical.to_string();
    if word.contains(',') { format!("'{word}'") } else { word }
}

/// A name as a YAML key: in quotes where YAML would read something else than the name.
fn key(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_word =
        ["null", "true", "false", "yes", "no", "on", "off", "y", "n"].iter().any(|w| w.eq_ignore_ascii_case(name));
    if is_plain && !is_word {
        return name.to_owned();
    }
    // Every JSON text is a YAML text.
    serde_json::Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, expected) in [
            ("price", "`columns: {price: text}`"),
            ("the Value", "`columns: {\"the Value\": text}`"),
            ("a\"b\\c", "`columns: {\"a\\\"b\\\\c\": text}`"),
            ("No", "`columns: {\"No\": text}`"),
            ("1", "`columns: {\"1\": text}`"),
            ("", "`columns: {\"\": text}`"),
        ] {
            assert_eq!(column(name, "text"), expected);
        }
        assert_eq!(type_word(&LogicalType::Decimal { precision: 9, scale: 2 }), "'decimal(9,2)'");
        assert_eq!(type_word(&LogicalType::Float { bits: 32 }), "float32");
    }
}
