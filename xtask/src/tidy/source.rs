//! The repository's texts; for Rust, with comments and literals blanked out and tests told apart.
//! It must not judge them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// All files that rules apply to.
#[derive(Debug, Default)]
pub struct Files {
    /// Rust.
    pub rust: Vec<SourceFile>,
    /// Everything else that people write.
    pub texts: Vec<TextFile>,
}

/// A file that is no Rust.
#[derive(Debug)]
pub struct TextFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
}

/// A Rust file.
#[derive(Debug)]
pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Byte for byte, with the contents of comments, strings and character literals as blanks.
    pub code: String,
    /// Byte for byte, with comments as blanks.
    pub uncommented: String,
    /// For each line, whether it belongs to a test.
    tests: Vec<bool>,
}

impl SourceFile {
    /// Reads a file's text.
    pub fn new(path: &str, text: &str) -> Self {
        let (code, uncommented) = masked(text);
        let tests = test_lines(path, &code);
        Self { path: path.to_owned(), text: text.to_owned(), code, uncommented, tests }
    }

    /// Whether a line (1-based) belongs to a test.
    pub fn is_test(&self, line: usize) -> bool {
        self.tests.get(line - 1).copied().unwrap_or_default()
    }
}

/// Files without an extension that people write.
const SCRIPTS: [&str; 1] = [".ci/run"];
const TEXTS: [&str; 8] = ["md", "toml", "sh", "py", "yaml", "yml", "json", "txt"];
/// Dotted folders that are ours.
const DOTTED: [&str; 2] = [".ci", ".cargo"];

/// Reads all files below the root but what tools have made.
///
/// # Errors
/// When a folder or file cannot be read.
pub fn walk(root: &Path) -> Result<Files> {
    let mut files = Files::default();
    walk_folder(root, root, &mut files)?;
    files.rust.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk_folder(root: &Path, folder: &Path, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))? {
        let full = entry?.path();
        let Some(name) = full.file_name().and_then(|n| n.to_str()) else { continue };
        if full.is_dir() {
            let made = ["target", "node_modules", "rivet-demo"].contains(&name);
            let hidden = name.starts_with('.') && !DOTTED.contains(&name);
            if !made && !hidden && !full.join("CACHEDIR.TAG").exists() {
                walk_folder(root, &full, files)?;
            }
            continue;
        }
        let path = full.strip_prefix(root).unwrap_or(&full).to_string_lossy().into_owned();
        let extension = full.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if extension != "rs" && !TEXTS.contains(&extension) && !SCRIPTS.contains(&path.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&full).with_context(|| format!("failed to read {}", full.display()))?;
        match extension {
            "rs" => files.rust.push(SourceFile::new(&path, &text)),
            _ => files.texts.push(TextFile { path, text }),
        }
    }
    Ok(())
}

/// The lines of files below `tests/` or `benches/`, of `tests.rs`, and of items marked `#[cfg(test)]`.
fn test_lines(path: &str, code: &str) -> Vec<bool> {
    let all = Path::new(path).iter().any(|part| ["tests", "benches", "tests.rs"].iter().any(|t| part == *t));
    let mut tests = vec![all; code.lines().count()];
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let Some(open) = code[at..].find(['{', ';']).map(|n| at + n) else { continue };
        let end = if code.as_bytes()[open] == b'{' { block_end(code, open) } else { open };
        let first = code[..at].matches('\n').count();
        let last = code[..end].matches('\n').count();
        tests[first..=last.min(code.lines().count() - 1)].fill(true);
    }
    tests
}

/// Where the brace at `open` is closed, in blanked code; the end when it is not.
pub fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (i, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The text with comments and literals blanked, and the text with comments blanked; line breaks stay.
fn masked(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let (mut code, mut uncommented) = (bytes.to_vec(), bytes.to_vec());
    let mut at = 0;
    while at < bytes.len() {
        let (end, comment) = match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'/')) => (until(bytes, at, |i| bytes[i] == b'\n'), true),
            (b'/', Some(b'*')) => (block_comment_end(bytes, at), true),
            (b'"', _) => (string_end(bytes, at), false),
            (b'r', Some(b'"' | b'#')) if !is_word(bytes, at) => (raw_string_end(bytes, at).unwrap_or(at + 1), false),
            (b'\'', Some(_)) => (char_end(bytes, at).unwrap_or(at + 1), false),
            _ => (at + 1, false),
        };
        if end > at + 1 {
            blank(&mut code, at, end);
            if comment {
                blank(&mut uncommented, at, end);
            }
        }
        at = end;
    }
    (String::from_utf8_lossy(&code).into_owned(), String::from_utf8_lossy(&uncommented).into_owned())
}

fn blank(bytes: &mut [u8], from: usize, to: usize) {
    let to = to.min(bytes.len());
    bytes[from..to].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

fn until(bytes: &[u8], from: usize, stop: impl Fn(usize) -> bool) -> usize {
    (from..bytes.len()).find(|i| stop(*i)).unwrap_or(bytes.len())
}

/// Whether the byte before belongs to the same word, so that `r` is no prefix; `br` and `cr` are.
fn is_word(bytes: &[u8], at: usize) -> bool {
    let word = |i: usize| bytes[i].is_ascii_alphanumeric() || bytes[i] == b'_';
    let prefix = at > 0 && matches!(bytes[at - 1], b'b' | b'c') && !(at > 1 && word(at - 2));
    at > 0 && word(at - 1) && !prefix
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
    use super::*;

    #[test]
    fn comments_and_literals_vanish_and_code_stays() {
        for (text, gone) in [
            ("a // unsafe {\nb", "// unsafe {"),
            ("/* { /* } */ */x", "/* { /* } */ */"),
            (r#"f("{ \" }")+1"#, r#""{ \" }""#),
            ("g(r#\"{\"}\"#);", "r#\"{\"}\"#"),
            ("r#type + br", ""),
            ("let c = '{'; &'a str", "'{'"),
            ("let c = 'ß'; x", "'ß'"),
            (r"h('\'') + x", r"'\''"),
        ] {
            assert_eq!(masked(text).0, text.replace(gone, &" ".repeat(gone.len())), "{text}");
        }
        assert_eq!(masked("a(\"/* b */\") // c").1, "a(\"/* b */\")     ");
        assert_eq!(masked("b(br\"\\\") + \"x\"").0, "b(b    ) +    ");
    }

    #[test]
    fn tests_are_told_apart_by_place_and_by_attribute() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nuse d;\nfn e() {}\n";
        let lines = |path| -> Vec<bool> { (1..=9).map(|line| SourceFile::new(path, text).is_test(line)).collect() };
        assert_eq!(lines("core/src/a.rs"), [false, true, true, true, true, false, true, true, false]);
        assert_eq!(lines("core/src/a/tests.rs"), [true; 9]);
        assert_eq!(lines("tests/e2e/src/lib.rs"), [true; 9]);
    }
}
