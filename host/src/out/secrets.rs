//! Secrets that are known: wherever one would be written, there are stars instead.
//! It must not know what a secret opens.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use rivet_core::secrets::{MIN_BYTES, hidden};

use super::outside::{json, shown};

/// All that are known so far; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<String>>>);

impl Secrets {
    /// Hides these from now on, each in all the forms it can be written in.
    pub fn add(&self, secrets: impl IntoIterator<Item = String>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.into_iter().filter(|s| s.len() >= MIN_BYTES) {
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

    /// The text without them.
    pub fn hidden<'t>(&self, text: &'t str) -> Cow<'t, str> {
        hidden(text, &self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
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
}
