//! From object names to keys of a store, and back.
//! It must not talk to a store.

use rivet_plugin_api::{ErrorKind, PluginError, Result, decode_segment, encode_segment};

/// Ending of a key whose part is not published: no format has it as its extension, so a glob on a format's files passes
/// over it. It is the same as on the local disk.
const STAGED: &str = ".rivet.staged";

/// The key of an object, below the root.
///
/// # Errors
/// `Config` when a segment is empty, `.` or `..`, or the name ends like a key that is not published.
pub fn key(name: &str) -> Result<String> {
    let refused = |hint: &str| {
        PluginError::new(ErrorKind::Config, "store.name", format!("'{name}' is no name of an object")).hint(hint)
    };
    if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(refused("names are relative and have no empty, `.` or `..` segments"));
    }
    if name.ends_with(STAGED) {
        return Err(refused("names that end in `.rivet.staged` are this plugin's own"));
    }
    Ok(prefix(name))
}

/// What the keys of all objects start with whose names start with this.
pub fn prefix(names: &str) -> String {
    names.split('/').map(encode_segment).collect::<Vec<_>>().join("/")
}

/// The key of an object's part that is not published.
pub fn staged(key: &str) -> String {
    format!("{key}{STAGED}")
}

/// Whether a key is of a part that is not published.
pub fn is_staged(key: &str) -> bool {
    key.ends_with(STAGED)
}

/// The name of the object with this key; none for keys of others and for parts that are not published.
pub fn name(key: &str) -> Option<String> {
    if is_staged(key) {
        return None;
    }
    let segments: Option<Vec<String>> = key.split('/').map(decode_segment).collect();
    Some(segments?.join("/"))
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
    fn names_become_keys_and_come_back() {
        for (given, expected) in [
            ("a.parquet", "a.parquet"),
            ("day=2026-01-01/a b.parquet", "day=2026-01-01/a%20b.parquet"),
            ("ü/%", "%C3%BC/%25"),
        ] {
            assert_eq!(key(given).expect(given), expected);
            assert_eq!(name(expected).as_deref(), Some(given));
        }
        for foreign in ["a b", "a//b", "../x", "x.rivet.staged", "%zz"] {
            assert_eq!(name(foreign), None, "{foreign}");
        }
        for wrong in ["", "/a", "a/", "a/../b", "x.rivet.staged"] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_beginning_of_a_name_is_the_beginning_of_its_key() {
        let (begun, whole) = ("orders ü_2026", "orders ü_2026-x/0.parquet");
        assert!(key(whole).expect(whole).starts_with(&prefix(begun)));
        assert_eq!(prefix(""), "");
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
