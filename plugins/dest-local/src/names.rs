//! From object names to paths that cannot leave the root.
//! It must not touch the file system.

use std::path::{Path, PathBuf};

use rivet_plugin_api::{ErrorKind, PluginError, Result};

/// Ending of a part that is not published: no format has it as its extension, so a glob on a format's files passes
/// over it.
pub const STAGED: &str = ".staged";
/// Ending of a small object on its way to its name.
pub const TEMPORARY: &str = ".tmp";

/// The path of an object below `root`. In each segment every byte beyond letters, digits and `._-=` is written as
/// `%` and two hex digits.
///
/// # Errors
/// `Config` when a segment is empty, `.` or `..`.
pub fn path_of(root: &Path, name: &str) -> Result<PathBuf> {
    let mut path = root.to_owned();
    for segment in name.split('/') {
        if matches!(segment, "" | "." | "..") {
            let text = format!("'{name}' is no name of an object");
            return Err(PluginError::new(ErrorKind::Config, "local.name", text)
                .hint("names are relative and have no empty, `.` or `..` segments"));
        }
        path.push(encode(segment));
    }
    Ok(path)
}

fn encode(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-=".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The name whose path has this file name; what `path_of` does, undone.
pub fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        if let (b'%', Some(byte)) = (first, hex) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `path` with an ending added.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(ending);
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_root() {
        let root = Path::new("/r");
        for name in ["../x", "a/../../x", "/etc/passwd", "", "a//b", ".", "a/.."] {
            assert!(path_of(root, name).is_err(), "{name}");
        }
        for (name, path) in [
            ("a.parquet", "/r/a.parquet"),
            ("day=2026-01-01/a b.parquet", "/r/day=2026-01-01/a%20b.parquet"),
            ("..%2f..", "/r/..%252f.."),
            ("ü\\\n", "/r/%C3%BC%5C%0A"),
        ] {
            assert_eq!(path_of(root, name).expect(name), Path::new(path));
            let back: Vec<String> = Path::new(path)
                .strip_prefix(root)
                .expect("below")
                .iter()
                .map(|s| decode(&s.to_string_lossy()))
                .collect();
            assert_eq!(back.join("/"), name);
        }
    }
}
