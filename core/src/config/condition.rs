//! The grammar of `where`: a condition stands in brackets of its own, so it may not close them; its other half would escape the
//! ranges that splits and cursors put around it. It must not know SQL beyond brackets, quotes and comments.

/// The condition without what may follow its last word.
///
/// # Errors
/// The rest of a sentence that starts with the key.
pub(super) fn condition(text: &str) -> Result<&str, &'static str> {
    let condition = text.trim().trim_end_matches(';').trim_end();
    match condition {
        "" => Err("is empty"),
        _ if !is_closed(condition) => Err("has brackets or quotes that do not match"),
        _ => Ok(condition),
    }
}

/// Whether brackets and quotes of a piece of SQL match within it. Quoted text and comments are passed over.
fn is_closed(sql: &str) -> bool {
    let bytes = sql.as_bytes();
    let (mut at, mut depth) = (0, 0_u32);
    while at < bytes.len() {
        let rest = &sql.as_bytes()[at..];
        at += match rest[0] {
            b'(' => {
                depth += 1;
                1
            }
            b')' if depth == 0 => return false,
            b')' => {
                depth -= 1;
                1
            }
            b'-' if rest.starts_with(b"--") => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => match find(&rest[2..], b"*/") {
                Some(end) => end + 4,
                None => return false,
            },
            quote @ (b'\'' | b'"') => {
                let escapes = at > 0 && quote == b'\'' && matches!(bytes[at - 1], b'e' | b'E');
                match closing_quote(rest, quote, escapes) {
                    Some(end) => end + 1,
                    None => return false,
                }
            }
            _ => 1,
        };
    }
    depth == 0
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

/// Where the quote that `bytes` starts with ends; a doubled one stands for itself, and an escaped one with `escapes`.
fn closing_quote(bytes: &[u8], quote: u8, escapes: bool) -> Option<usize> {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b if b == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            b if b == quote => return Some(at),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::is_closed;

    #[test]
    fn a_condition_keeps_to_its_brackets() {
        for sql in [
            "a = 1",
            "(a) or (b)",
            "a = ')'",
            "\"(\" = 1",
            "a -- (",
            "a /* ( */ = 1",
            "a = 'it''s ('",
            r"a = E'\'('",
            "",
        ] {
            assert!(is_closed(sql), "{sql}");
        }
        for sql in ["a) or (b", "a)", "(a", "a = '", "a /* b", "f(a", "\"a"] {
            assert!(!is_closed(sql), "{sql}");
        }
    }
}
