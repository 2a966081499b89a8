//! Arguments of a chore: switches, options with a value, and what stands behind `--`.
//! It must not know any chore.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::suggest::did_you_mean;

/// What was given.
#[derive(Debug, Default)]
pub struct Args {
    given: BTreeMap<&'static str, String>,
    /// Everything behind `--`.
    pub behind: Vec<String>,
}

impl Args {
    /// Reads `words`; an option takes the next word as its value. An option may be given once.
    ///
    /// # Errors
    /// When a word is not known here, an option lacks its value or stands twice.
    pub fn parse(words: &[String], switches: &[&'static str], options: &[&'static str]) -> Result<Self> {
        let mut args = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                args.behind = words.cloned().collect();
                break;
            }
            let (name, value) = if let Some(name) = switches.iter().find(|s| *s == word) {
                (*name, String::new())
            } else if let Some(name) = options.iter().find(|o| *o == word) {
                let Some(value) = words.next().filter(|v| !v.starts_with("--")) else {
                    bail!("{name} needs a value");
                };
                (*name, value.clone())
            } else {
                bail!("'{word}' is not known here{}", did_you_mean(word, switches.iter().chain(options).copied()));
            };
            if args.given.insert(name, value).is_some() {
                bail!("{name} stands twice");
            }
        }
        Ok(args)
    }

    /// Whether a switch was given.
    pub fn has(&self, switch: &str) -> bool {
        self.given.contains_key(switch)
    }

    /// The value of an option.
    pub fn value(&self, option: &str) -> Option<&str> {
        self.given.get(option).map(String::as_str)
    }

    /// The comma-separated values of an option, without empty ones.
    pub fn list(&self, option: &str) -> Option<Vec<&str>> {
        self.value(option).map(|text| text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Args::parse(&words, &["--release"], &["--out", "--with"]).map_err(|e| e.to_string())
    }

    #[test]
    fn switches_options_and_the_rest_are_told_apart() {
        let args = parse("--with a,,b --release -- --out x").expect("all known");
        assert!(args.has("--release") && !args.has("--out"));
        assert_eq!(args.list("--with"), Some(vec!["a", "b"]));
        assert_eq!(args.behind, ["--out", "x"]);
    }

    #[test]
    fn what_is_not_known_or_incomplete_is_refused() {
        for (line, message) in [
            ("--relaese", "'--relaese' is not known here; did you mean '--release'?"),
            ("plugins", "'plugins' is not known here"),
            ("--out", "--out needs a value"),
            ("--out --release", "--out needs a value"),
            ("--release --release", "--release stands twice"),
        ] {
            assert_eq!(parse(line).map(|_| ()), Err(message.to_owned()), "{line}");
        }
    }
}
