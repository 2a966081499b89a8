//! What came from outside, made harmless: names, messages and values cannot act on a terminal, begin a line of their own, look
//! like something else, or go on for ever.
//! It must not know where a text came from: there is none that is trusted.

/// Longest text of one line that is shown, bytes.
pub const MAX_LINE_BYTES: usize = 4 << 10;
/// Longest text in a table that is shown, bytes.
pub const MAX_CELL_BYTES: usize = 1 << 10;

/// The text on one line, with nothing in it but what is seen. What is beyond `max_bytes` is cut off, which the text says.
pub fn bounded(text: &str, max_bytes: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max_bytes));
    for (at, c) in text.char_indices() {
        if shown.len() >= max_bytes {
            let left = text.len() - at;
            shown.push_str(&format!("… ({left} byte{} more)", rivet_core::plural::s(left)));
            break;
        }
        if acts(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// [`bounded`] to what a line may hold.
pub fn shown(text: &str) -> String {
    bounded(text, MAX_LINE_BYTES)
}

/// JSON that says the same and in which no character acts: outside of its strings there are none but ends of lines.
pub fn json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !acts(c) {
            plain.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                plain.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    plain
}

/// Whether a character does something other than stand there: controls (C0, DEL, C1), ends of lines and paragraphs, what turns
/// the direction of writing, and what is not seen at all (Unicode 17, categories Cc, Zl, Zp, Cf).
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_written_out_and_all_else_stays() {
        for (text, expected) in [
            ("größer, 表, 🙂, 'a\\b'", "größer, 表, 🙂, 'a\\b'"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\nerror: b\r\tc\0", "a\\nerror: b\\r\\tc\\u{0}"),
            ("\u{7f}\u{85}\u{9b}31m", "\\u{7f}\\u{85}\\u{9b}31m"),
            (
                "user\u{202e}nimda\u{2066}x\u{2069}\u{200e}\u{61c}",
                "user\\u{202e}nimda\\u{2066}x\\u{2069}\\u{200e}\\u{61c}",
            ),
            ("a\u{2028}b\u{2029}c\u{200b}d\u{feff}\u{e0041}", "a\\u{2028}b\\u{2029}c\\u{200b}d\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(shown(text), expected);
            assert_eq!(shown(&shown(text)), expected, "what was shown is shown as it is");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(bounded("äöü", 6), "äöü");
        assert_eq!(bounded("äöüx", 6), "äöü… (1 byte more)");
        assert_eq!(bounded(&"ä".repeat(1000), 5), "äää… (1994 bytes more)");
        assert_eq!(bounded("\u{1b}\u{1b}b", 7), "\\u{1b}\\u{1b}… (1 byte more)");
        assert!(shown(&"x".repeat(50 << 20)).len() < MAX_LINE_BYTES + 40);
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!({"a\u{202e}": "\u{1b}\n\u{9b}\u{e0041}\u{7f}é"});
        for text in [value.to_string(), format!("{value:#}")] {
            let plain = json(&text);
            assert!(plain.chars().all(|c| c == '\n' || !acts(c)), "{plain}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).expect("it is JSON"), value);
        }
    }
}
