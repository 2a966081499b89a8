//! Placeholders such as `{table}` in the options of a destination, all filled in at once.
//! It must not know which there are, nor what their values mean.

use serde_json::{Map, Value};

/// What each placeholder stands for.
#[derive(Debug, Clone, Default)]
pub struct Placeholders(Vec<(&'static str, String)>);

impl Placeholders {
    /// One more; `name` has its braces.
    #[must_use]
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut all = self.0.clone();
        all.push((name, value.to_owned()));
        Self(all)
    }

    /// The options with placeholders filled in, in every text of the first level.
    pub fn fill_all(&self, options: &Map<String, Value>) -> Map<String, Value> {
        let filled = |value: &Value| match value {
            Value::String(text) => Value::String(self.fill(text)),
            other => other.clone(),
        };
        options.iter().map(|(key, value)| (key.clone(), filled(value))).collect()
    }

    /// The text with what the placeholders stand for. What is put in is no template, whatever it holds: it may be a name
    /// from a database.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(brace) = rest.find('{') {
            out.push_str(&rest[..brace]);
            rest = &rest[brace..];
            let found = self.0.iter().find(|(name, _)| rest.starts_with(name));
            let (put_in, length) = found.map_or(("{", 1), |(name, value)| (value.as_str(), name.len()));
            out.push_str(put_in);
            rest = &rest[length..];
        }
        out + rest
    }
}

/// The first word in braces that is not one of `known`, with its braces. What stands in braces and is no word, such as
/// JSON, means itself.
pub fn unknown<'t>(text: &'t str, known: &[&str]) -> Option<&'t str> {
    let mut found = text.match_indices('{').filter_map(|(at, _)| {
        let end = text[at..].find('}')?;
        let (whole, word) = (&text[at..=at + end], &text[at + 1..at + end]);
        let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        (is_word && !known.contains(&whole)).then_some(whole)
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_in_braces_are_placeholders() {
        for (text, expected) in [
            ("out/{date}/{exprot}", Some("{exprot}")),
            ("{Date}", Some("{Date}")),
            ("{run-id}", Some("{run-id}")),
            ("{{dat}}", Some("{dat}")),
            ("out/{date}", None),
            (r#"{"a": 1}{}{1}{a b}"#, None),
            ("{dat", None),
        ] {
            assert_eq!(unknown(text, &["{date}"]), expected, "{text}");
        }
    }

    #[test]
    fn what_is_put_in_is_no_template() {
        let placeholders = Placeholders::default()
            .with("{export}", "{date}")
            .with("{table}", "{run_id}{table}")
            .with("{date}", "2026-11-21")
            .with("{run_id}", "r7");
        for (text, expected) in [
            ("out/{table}", "out/{run_id}{table}"),
            ("{export}/{table}/{date}/{run_id}", "{date}/{run_id}{table}/2026-11-21/r7"),
            ("{{table}}", "{{run_id}{table}}"),
            ("{other}{tabl", "{other}{tabl"),
            ("ü{", "ü{"),
        ] {
            assert_eq!(placeholders.fill(text), expected);
        }
    }
}
