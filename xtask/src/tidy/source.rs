//! The repository's Rust files, with comments and literals blanked out.
//! It must not judge them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::output;

/// One file.
pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: PathBuf,
    /// As it is.
    pub text: String,
    /// The same lines with the contents of comments, strings and character literals as blanks.
    pub code: String,
}

impl SourceFile {
    /// Whether it is below one of these folders.
    pub fn is_below(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

/// All Rust files that git knows or would add.
pub fn tracked_rust_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]).current_dir(root);
    let mut files = Vec::new();
    for path in output(&mut git)?.lines().map(PathBuf::from) {
        let full = root.join(&path);
        if full.exists() {
            let text = std::fs::read_to_string(&full).with_context(|| format!("failed to read {}", full.display()))?;
            let code = blanked(&text);
            files.push(SourceFile { path, text, code });
        }
    }
    Ok(files)
}

/// The text with comments and literals blanked; line breaks stay.
pub fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'/')) => until(bytes, at, |i| bytes[i] == b'\n'),
            (b'/', Some(b'*')) => block_comment_end(bytes, at),
            (b'"', _) => string_end(bytes, at),
            (b'r', Some(b'"' | b'#')) if !is_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at + 1),
            (b'\'', Some(_)) => char_end(bytes, at).unwrap_or(at + 1),
            _ => at + 1,
        };
        if end > at + 1 {
            for byte in &mut out[at..end.min(bytes.len())] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn until(bytes: &[u8], from: usize, stop: impl Fn(usize) -> bool) -> usize {
    (from..bytes.len()).find(|i| stop(*i)).unwrap_or(bytes.len())
}

/// Whether the byte before belongs to the same word, so that `r` is no prefix.
fn is_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') && bytes[at - 1] != b'b'
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i < bytes.len() {
        match (bytes[i], bytes.get(i + 1)) {
            (b'/', Some(b'*')) => (depth, i) = (depth + 1, i + 2),
            (b'*', Some(b'/')) => {
                (depth, i) = (depth - 1, i + 2);
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut i = at + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    i
}

fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let closing: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let start = at + 2 + hashes;
    let found = bytes[start..].windows(closing.len()).position(|w| w == closing)?;
    Some(start + found + closing.len())
}

/// A character literal; a lifetime is none.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        let close = until(bytes, at + 3, |i| bytes[i] == b'\'');
        return (close < bytes.len()).then_some(close + 1);
    }
    (2..=5)
        .find(|n| bytes.get(at + n) == Some(&b'\''))
        .map(|n| at + n + 1)
        .filter(|end| std::str::from_utf8(&bytes[at + 1..end - 1]).is_ok_and(|text| text.chars().count() == 1))
}

#[cfg(test)]
mod tests {
    use super::blanked;

    #[test]
    fn comments_and_literals_vanish_and_code_stays() {
        for (text, gone) in [
            ("a // unsafe {\nb", "// unsafe {"),
            ("/* { /* } */ */x", "/* { /* } */ */"),
            (r#"f("{ \" }")+1"#, r#""{ \" }""#),
            ("g(r#\"{\"}\"#);", "r#\"{\"}\"#"),
            ("let c = '{'; &'a str", "'{'"),
            (r"h('\'') + x", r"'\''"),
        ] {
            assert_eq!(blanked(text), text.replace(gone, &" ".repeat(gone.len())), "{text}");
        }
    }
}
