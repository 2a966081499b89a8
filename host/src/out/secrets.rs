//! Secrets that are known: wherever one would be written, there are stars instead.
//! It must not know what a secret opens.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use rivet_core::secrets::{MIN_BYTES, forms, hidden};

use super::Text;
use super::outside::{json, shown};

/// All that are known so far; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<String>>>);

impl Secrets {
    /// Hides these from now on, each in all the forms it can be written in.
    pub fn add(&self, secrets: impl IntoIterator<Item = String>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.into_iter().flat_map(|secret| forms(&secret)).filter(|s| s.len() >= MIN_BYTES) {
            let quoted = json(&serde_json::Value::from(secret.as_str()).to_string());
            let in_json = quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
            for form in [shown(&secret), in_json, secret] {
                if form.len() >= MIN_BYTES && !all.contains(&form) {
                    all.push(form);
                }
            }
        }
        // The longest first: what is left of a URL must not give its password away.
        all.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text without them. JSON stays what it is: no key changes its name, and no number becomes anything else.
    pub fn without<'t>(&self, text: &'t Text) -> Cow<'t, str> {
        let (is_json, text) = (text.is_json(), text.as_str());
        let whole = self.hidden(text);
        if !is_json || whole == text {
            return whole;
        }
        let mut kept = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, string, after)) = next_string(rest) {
            kept.push_str(before);
            let is_key = after[1..].trim_start().starts_with(':');
            kept.push_str(&if is_key { Cow::Borrowed(string) } else { self.hidden(string) });
            kept.push('"');
            rest = &after[1..];
        }
        Cow::Owned(kept + rest)
    }

    /// A text without them.
    pub fn hidden<'t>(&self, text: &'t str) -> Cow<'t, str> {
        hidden(text, &self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The first string of a JSON text without its quotes: what is up to it, itself, and what follows from its end.
fn next_string(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find('"')?;
    let mut is_escaped = false;
    let length = text[start + 1..].find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    let (start, end) = (start + 1, start + 1 + length);
    Some((&text[..start], &text[start..end], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_all_its_forms() {
        let secrets = Secrets::default();
        secrets.add(["hunter2-hunter2".to_owned(), "say \"\u{1b}friend\"".to_owned(), "short".to_owned()]);
        for (text, expected) in [
            ("password hunter2-hunter2!", "password ***!"),
            ("x say \"\\u{1b}friend\" y", "x *** y"),
            (r#"{"a":"say \"\u001bfriend\""}"#, r#"{"a":"***"}"#),
            ("short", "short"),
        ] {
            assert_eq!(secrets.hidden(text), expected);
        }
    }

    #[test]
    fn json_keeps_its_keys_and_numbers() {
        let secrets = Secrets::default();
        secrets.add(["warnings".to_owned(), "12345678".to_owned(), "say \"friend\"".to_owned()]);
        let value = serde_json::json!({
            "warnings": ["no warnings\\", "\" warnings", "say \"friend\""], "rows": 12_345_678, "text": "12345678",
        });
        for text in [Text::json(&value), Text::pretty_json(&value)] {
            let found: serde_json::Value = serde_json::from_str(&secrets.without(&text)).expect("it is JSON");
            let expected = serde_json::json!({
                "warnings": ["no ***\\", "\" ***", "***"], "rows": 12_345_678, "text": "***",
            });
            assert_eq!(found, expected);
        }
        assert_eq!(secrets.without(&Text::ours("12345678 warnings")), "*** ***");
    }
}
