//! How long files and functions may be: a ratchet with named exceptions.
//! It must not know what is in them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::source::SourceFile;

/// Most lines of a file.
const MAX_FILE_LINES: usize = 400;
/// Most lines of a function, signature and braces included.
const MAX_FUNCTION_LINES: usize = 80;

/// Lists what is too long. Each line of `xtask/tidy-exceptions.txt` is `path lines reason…`: the file may have so many
/// lines, and an exception that is no longer needed must go.
pub fn check(files: &[SourceFile], root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("xtask/tidy-exceptions.txt")).unwrap_or_default();
    let mut exceptions: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let mut words = line.split_whitespace();
        if let (Some(path), Some(lines)) = (words.next(), words.next().and_then(|n| n.parse().ok())) {
            exceptions.insert(path, lines);
        }
    }
    let mut wrong = Vec::new();
    for file in files {
        let path = file.path.to_string_lossy();
        let lines = file.text.lines().count();
        let allowed = exceptions.remove(path.as_ref());
        if lines > allowed.unwrap_or(MAX_FILE_LINES) {
            wrong.push(format!("{path}: {lines} lines, {MAX_FILE_LINES} are allowed: find the seam"));
        } else if allowed.is_some() && lines <= MAX_FILE_LINES {
            wrong.push(format!("{path}: the exception is not needed any more: remove it"));
        }
        let long = functions(&file.code).into_iter().filter(|(_, _, lines)| *lines > MAX_FUNCTION_LINES);
        wrong.extend(long.map(|(name, line, lines)| {
            format!("{path}:{line}: fn {name} has {lines} lines, {MAX_FUNCTION_LINES} are allowed")
        }));
    }
    wrong.extend(exceptions.keys().map(|path| format!("xtask/tidy-exceptions.txt: {path} does not exist")));
    Ok(wrong)
}

/// Name, first line (1-based) and number of lines of every function with a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = code.lines().collect();
    for (i, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let mut depth = 0_i32;
        'body: for (j, body) in lines[i..].iter().enumerate() {
            for c in body.chars() {
                match c {
                    ';' if depth == 0 => break 'body,
                    '{' => depth += 1,
                    '}' => {
                        depth -= 1;
                        if depth == 0 {
                            found.push((name.to_owned(), i + 1, j + 1));
                            break 'body;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let at = line.find("fn ").filter(|at| *at == 0 || line[..*at].ends_with(' '))?;
    let rest = &line[at + 3..];
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let code = "trait T {\n    fn a();\n    fn b() {\n        x;\n    }\n}\npub fn c(\n    y: u8,\n) {\n}\n";
        assert_eq!(functions(code), [("b".to_owned(), 3, 3), ("c".to_owned(), 7, 4)]);
    }
}
