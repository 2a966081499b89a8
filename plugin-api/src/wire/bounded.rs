//! What may be in a text that a plugin hands over for people: a server's message can be of any size, and of any bytes.
//! It must not know what the text says.

use std::borrow::Cow;

use super::readable;

/// Longest text of an error or a log line, bytes.
const MAX_TEXT_BYTES: usize = 3 << 10;

/// The text, or its beginning and how much more there is.
pub fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT_BYTES {
        return readable(text);
    }
    let text = readable(text);
    let end = (0..=MAX_TEXT_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let kept = &text[..end];
    Cow::Owned(format!("{kept}… ({} bytes more)", text.len() - kept.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(bounded("short"), "short");
        let bytes = [b"a ".as_slice(), &[0xff, 0xfe], b" b"].concat();
        // SAFETY: none, which is the point: who is not made of safe Rust can hand over such a text.
        let no_text = unsafe { std::str::from_utf8_unchecked(&bytes) };
        assert_eq!(bounded(no_text), "a \u{fffd}\u{fffd} b");
        let long = format!("x{}", "ä".repeat(MAX_TEXT_BYTES));
        let cut = bounded(&long);
        assert!(cut.starts_with("xää") && cut.ends_with(&format!("ä… ({} bytes more)", MAX_TEXT_BYTES + 2)), "{cut}");
    }
}
