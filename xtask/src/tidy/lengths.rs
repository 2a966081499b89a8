//! How long files and functions may be.
//! It must not know what is in them.

use super::Violation;
use super::source::{SourceFile, block_end};

/// Most lines of a file.
const MAX_FILE_LINES: usize = 400;
/// Most lines of a function, signature and braces included.
const MAX_FUNCTION_LINES: usize = 80;

/// Lists what is too long.
pub fn check(file: &SourceFile) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let n_lines = file.text.lines().count();
    if n_lines > MAX_FILE_LINES {
        let advice = format!("{n_lines} lines, {MAX_FILE_LINES} are allowed: find the seam");
        wrong.push(Violation { amount: n_lines, ..Violation::new(&file.path, 1, "file-length", advice) });
    }
    for function in functions(&file.code).into_iter().filter(|f| f.n_lines > MAX_FUNCTION_LINES) {
        let Function { name, line, n_lines } = function;
        let advice = format!("fn {name} has {n_lines} lines, {MAX_FUNCTION_LINES} are allowed: name its parts");
        wrong.push(Violation {
            item: name,
            amount: n_lines,
            ..Violation::new(&file.path, line, "function-length", advice)
        });
    }
    wrong
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    /// First line of the signature, 1-based.
    line: usize,
    n_lines: usize,
}

/// All functions of blanked code, inner ones too.
fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if code[..at].ends_with(word) {
            continue;
        }
        let rest = &code[at + 3..];
        let name = &rest[..rest.find(|c| !word(c)).unwrap_or(rest.len())];
        // The body begins at the first brace outside of types such as `[u8; { N }]`; a `;` there means that there is none.
        let Some(open) = body_start(code, at) else { continue };
        if !name.is_empty() {
            let end = block_end(code, open);
            let n_lines = code[at..end].matches('\n').count() + 1;
            found.push(Function { name: name.to_owned(), line: code[..at].matches('\n').count() + 1, n_lines });
        }
    }
    found
}

fn body_start(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (i, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(i),
            _ if depth < 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let code = "trait T {\n    fn a();\n    fn b(x: [u8; 3]) {\n        x;\n    }\n}\npub fn c(\n    y: fn (u8),\n) {\n    fn d() {}\n}\n";
        let found: Vec<_> = functions(code).into_iter().map(|f| (f.name, f.line, f.n_lines)).collect();
        assert_eq!(found, [("b".to_owned(), 3, 3), ("c".to_owned(), 7, 5), ("d".to_owned(), 10, 1)]);
    }

    #[test]
    fn limits_are_the_last_allowed_values() {
        let function = |n: usize| format!("fn f() {{\n{}}}\n", "x;\n".repeat(n - 2));
        for (text, rules) in [
            (function(80), vec![]),
            (function(81), vec!["function-length"]),
            ("//\n".repeat(400), vec![]),
            ("//\n".repeat(401), vec!["file-length"]),
        ] {
            let found: Vec<_> = check(&SourceFile::new("a.rs", &text)).iter().map(|v| v.rule).collect();
            assert_eq!(found, rules, "{} lines", text.lines().count());
        }
        let braces = format!("fn f() {{\n// }}\nlet a = \"}}\";\n{}}}\n", "x;\n".repeat(90));
        assert_eq!(check(&SourceFile::new("a.rs", &braces))[0].amount, 94);
    }
}
