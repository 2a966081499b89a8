//! Keys of a store: which are names of objects, and which are not published.
//! It must not talk to a store.

use rivet_plugin_api::{ErrorKind, PluginError, Result, is_name};

/// Ending of a key whose part is not published: no format has it as its extension, so a glob on a format's files passes
/// over it. It is the same as on the local disk.
const STAGED: &str = ".rivet.staged";

/// The key of an object, below the root.
///
/// # Errors
/// `Config` when it is no name of one, or ends like a key that is not published.
pub fn key(name: &str) -> Result<String> {
    let refused = |hint: &str| {
        let text = format!("'{}' is no name of an object", name.escape_debug());
        PluginError::new(ErrorKind::Config, "store.name", text).hint(hint)
    };
    if !is_name(name) {
        return Err(refused("names are relative, of encoded segments, none of them empty, `.` or `..`"));
    }
    if name.ends_with(STAGED) {
        return Err(refused("names that end in `.rivet.staged` are this plugin's own"));
    }
    Ok(name.to_owned())
}

/// The key of an object's part that is not published.
pub fn staged(key: &str) -> String {
    format!("{key}{STAGED}")
}

/// Whether a key is of a part that is not published.
pub fn is_staged(key: &str) -> bool {
    key.ends_with(STAGED)
}

/// Whether a key is of an object: not one of others, nor of a part that is not published.
pub fn is_visible(key: &str) -> bool {
    !is_staged(key) && is_name(key)
}

/// The user's `prefix` as the folder that all keys are below: without slashes at its ends, empty for the bucket itself.
///
/// # Errors
/// `Config` when a segment is empty, `.` or `..`, or a character cannot be in a key.
pub fn root(prefix: &str) -> Result<String> {
    let plain = prefix.trim_matches('/');
    let wrong = plain.split('/').any(|segment| matches!(segment, "" | "." | ".."));
    if plain.is_empty() || (!wrong && !plain.chars().any(char::is_control)) {
        return Ok(plain.to_owned());
    }
    let text = format!("`prefix: {}` is no prefix of keys", prefix.escape_debug());
    Err(PluginError::new(ErrorKind::Config, "store.prefix", text)
        .hint("write it as `exports/orders`: no empty, `.` or `..` segments and no control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keys() {
        for name in ["a.parquet", "day=2026-01-01/a%20b.parquet", "%C3%BC/%25"] {
            assert_eq!(key(name).expect(name), name);
            assert!(is_visible(name), "{name}");
        }
        for foreign in ["a b", "a//b", "../x", "x.rivet.staged", "%zz", "", "/a", "a/", "a/../b"] {
            assert!(key(foreign).is_err() && !is_visible(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_prefix_is_a_folder() {
        for (given, expected) in [("", ""), ("/", ""), ("a/b/", "a/b"), ("/a", "a"), ("my data", "my data")] {
            assert_eq!(root(given).expect(given), expected);
        }
        for wrong in ["a//b", "..", "a/../b", "a\nb", "./a"] {
            assert!(root(wrong).is_err(), "{wrong:?}");
        }
    }
}
