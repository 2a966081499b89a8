//! Variables in strings: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, and `$$` for a dollar.
//! It must not know keys, nor parse what a variable held: the result is text and stays text.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rivet_plugin_api::FILTER_PLACEHOLDER;

use super::error::{At, ConfigError};
use crate::paths;

/// Values for `${key}` in queries, by key; they beat the environment.
pub type Params = BTreeMap<String, String>;

/// Where the values of variables come from.
#[derive(Clone, Copy)]
pub(super) struct Variables<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) params: &'a Params,
    /// Names that queries have asked for so far.
    pub(super) asked: &'a RefCell<BTreeSet<String>>,
}

impl Variables<'_> {
    /// A path that the config names, from its folder or from the home folder.
    pub(super) fn below(self, base_dir: &Path, path: &Path) -> PathBuf {
        paths::below(base_dir, (self.env)("HOME").map(PathBuf::from).as_deref(), path)
    }
}

/// What stands between the braces of [`FILTER_PLACEHOLDER`].
const FILTER_NAME: &str = "rivet.filter";

/// Why a text could not be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// A variable has no value and no default.
    Unset { variable: String, message: Option<String> },
    /// A `${…}` cannot be read; the rest of a sentence.
    Malformed(&'static str),
}

impl Problem {
    /// As an error at a place.
    pub(super) fn into_error(self, at: At) -> ConfigError {
        match self {
            Self::Unset { variable, message } => ConfigError::UnsetVariable { at, variable, message },
            Self::Malformed(problem) => ConfigError::BadExpansion { at, problem },
        }
    }
}

/// Expands a text; `None` when there is no dollar in it. With `dollars_stay`, for queries, where `$$` is a quote of
/// SQL, nothing but `${…}` means anything.
pub(super) fn expand(
    text: &str,
    dollars_stay: bool,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Expanded>, Problem> {
    if !text.contains('$') {
        return Ok(None);
    }
    let mut out = Expanded { text: String::with_capacity(text.len()), from_env: false };
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.text.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let (Some(after), false) = (rest.strip_prefix('$'), dollars_stay) {
            out.text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}').ok_or(Problem::Malformed("has a '${' without a '}'"))?;
            if dollars_stay && after[..end] == *FILTER_NAME {
                out.text.push_str(FILTER_PLACEHOLDER);
            } else {
                out.text.push_str(&variable(&after[..end], env)?);
                out.from_env = true;
            }
            rest = &after[end + 1..];
        } else {
            out.text.push('$');
        }
    }
    out.text.push_str(rest);
    Ok(Some(out))
}

/// Expands a query: `params` beat the environment, and the filter's place stays for the source to fill.
pub(super) fn expand_query(text: &str, variables: Variables<'_>) -> Result<Option<Expanded>, Problem> {
    let env = |name: &str| {
        variables.asked.borrow_mut().insert(name.to_owned());
        variables.params.get(name).cloned().or_else(|| (variables.env)(name))
    };
    expand(text, true, &env)
}

/// An expanded text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Whether a variable took part, not just `$$`.
    pub(super) from_env: bool,
}

/// Value of what stands between the braces.
fn variable(inner: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let (name, rest) = match inner.find(':') {
        Some(colon) => (&inner[..colon], Some(&inner[colon + 1..])),
        None => (inner, None),
    };
    if !is_name(name) {
        return Err(Problem::Malformed("has a '${…}' that names no variable"));
    }
    let value = env(name);
    let Some(rest) = rest else {
        return value.ok_or_else(|| Problem::Unset { variable: name.to_owned(), message: None });
    };
    if rest.contains("${") {
        return Err(Problem::Malformed("has a '${…}' inside another"));
    }
    // As in a shell, the colon makes an empty variable count as unset.
    let value = value.filter(|v| !v.is_empty());
    match (value, rest.strip_prefix('-'), rest.strip_prefix('?')) {
        (Some(value), Some(_), _) | (Some(value), _, Some(_)) => Ok(value),
        (None, Some(default), _) => Ok(default.to_owned()),
        (None, _, Some(message)) => {
            let message = (!message.trim().is_empty()).then(|| message.trim().to_owned());
            Err(Problem::Unset { variable: name.to_owned(), message })
        }
        (_, None, None) => Err(Problem::Malformed("has a '${…:' that goes on with neither '-' nor '?'")),
    }
}

/// Letters, digits and `_`, not starting with a digit.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            "YAML" => Some("x: [1]\n- ${A} $$".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_expand_once_and_dollars_halve() {
        let cases = [
            ("plain", "plain"),
            ("${A}", "one"),
            ("<${A}${A}>", "<oneone>"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${NONE:-}", ""),
            ("${NONE:-a:b c}", "a:b c"),
            ("${A:-d}", "one"),
            ("${A:?m}", "one"),
            ("$${A}", "${A}"),
            ("$$${A}", "$one"),
            ("a$b $5 $", "a$b $5 $"),
            ("p$$w", "p$w"),
            ("${YAML}", "x: [1]\n- ${A} $$"),
            ("ü${A}ü", "üoneü"),
        ];
        for (text, expected) in cases {
            let got = expand(text, false, &env).expect(text).map_or_else(|| text.to_owned(), |e| e.text);
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn queries_keep_their_dollar_quotes() {
        let cases = [
            ("select $$a$$", "select $$a$$"),
            ("select $tag$${A}$tag$", "select $tag$one$tag$"),
            ("select $$${A}$$", "select $$one$$"),
            ("select ${A} where x = $1", "select one where x = $1"),
            ("select ${A} where ${rivet.filter}", "select one where ${rivet.filter}"),
        ];
        for (text, expected) in cases {
            let got = expand(text, true, &env).expect(text).map(|e| e.text);
            assert_eq!(got.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn problems_name_the_variable_and_nothing_else() {
        let unset =
            |message: Option<&str>| Problem::Unset { variable: "NONE".to_owned(), message: message.map(str::to_owned) };
        assert_eq!(expand("${NONE}", false, &env), Err(unset(None)));
        assert_eq!(expand("${NONE:?set it}", false, &env), Err(unset(Some("set it"))));
        assert_eq!(expand("${NONE:?}", false, &env), Err(unset(None)));
        for text in ["${", "${A", "${}", "${1A}", "${A-b}", "${A b}", "${A:b}", "${A:-${B}}", "${rivet.filter}"] {
            assert!(matches!(expand(text, false, &env), Err(Problem::Malformed(_))), "{text}");
        }
    }
}
