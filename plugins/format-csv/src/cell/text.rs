//! Text in CSV: what needs quotes, and how they are set; bytes as text.
//! It must not know arrays or types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes that are looked at together.
const CHUNK_BYTES: usize = 16;

/// Writes text, in quotes where it needs them or `always`. Empty text has quotes, for without it would be NULL; so has
/// a text that reads like NULL.
pub fn text(out: &mut Vec<u8>, value: &[u8], delimiter: u8, null: &[u8], always: bool) {
    if always || value.is_empty() || value == null || is_special(value, delimiter) {
        quoted(out, value);
    } else {
        out.extend_from_slice(value);
    }
}

/// Whether a delimiter, a quote or a line end is among the bytes.
fn is_special(value: &[u8], delimiter: u8) -> bool {
    let special = |b: u8| (b == delimiter) | (b == b'"') | (b == b'\n') | (b == b'\r');
    let (chunks, rest) = value.as_chunks::<CHUNK_BYTES>();
    // No early end inside a chunk: that is what lets the compiler compare all its bytes at once.
    chunks.iter().any(|chunk| chunk.iter().fold(false, |any, b| any | special(*b))) || rest.iter().any(|b| special(*b))
}

fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    let mut pieces = value.split(|b| *b == b'"');
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(b"\"\"");
        out.extend_from_slice(piece);
    }
    out.push(b'"');
}

/// Sets quotes around what was written from `start` on, which has none inside.
pub fn enclose(out: &mut Vec<u8>, start: usize) {
    out.insert(start, b'"');
    out.push(b'"');
}

/// Hexadecimal digits in lower case.
pub fn hex(out: &mut Vec<u8>, value: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(value.len() * 2);
    for byte in value {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// RFC 4648 with padding.
pub fn base64(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    out.resize(start + value.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(value, &mut out[start..]);
    debug_assert_eq!(written.ok(), Some(out.len() - start), "the room was counted right");
}

/// A 128-bit identifier in its usual form.
pub fn uuid(out: &mut Vec<u8>, value: &[u8]) {
    for (i, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        hex(out, value.get(part).unwrap_or_default());
    }
}

/// A JSON string.
pub fn json(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for byte in value {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=31 => {
                out.extend_from_slice(b"\\u00");
                hex(out, &[*byte]);
            }
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b">".to_vec();
        write(&mut out);
        String::from_utf8(out).expect("utf-8").split_off(1)
    }

    #[test]
    fn quotes_are_set_where_they_are_needed() {
        for (value, delimiter, null, expected) in [
            ("a", b',', "", "a"),
            ("", b',', "", "\"\""),
            ("", b',', "\\N", "\"\""),
            ("\\N", b',', "\\N", "\"\\N\""),
            ("\\N", b',', "", "\\N"),
            ("a,b", b',', "", "\"a,b\""),
            ("a,b", b';', "", "a,b"),
            ("a;b", b';', "", "\"a;b\""),
            ("\"", b',', "", "\"\"\"\""),
            ("a\"\"b\"", b',', "", "\"a\"\"\"\"b\"\"\""),
            ("line\nbreak", b',', "", "\"line\nbreak\""),
            ("return\r", b',', "", "\"return\r\""),
            (" spaces ", b',', "", " spaces "),
            ("\0", b',', "", "\0"),
            ("ü𝄞", b',', "", "ü𝄞"),
        ] {
            assert_eq!(written(|out| text(out, value.as_bytes(), delimiter, null.as_bytes(), false)), expected);
        }
        assert_eq!(written(|out| text(out, b"a", b',', b"", true)), "\"a\"");
    }

    #[test]
    fn a_special_byte_is_seen_wherever_it_stands() {
        for special in [b',', b'"', b'\n', b'\r'] {
            for length in 1..70 {
                for at in 0..length {
                    let mut value = vec![b'x'; length];
                    assert!(!is_special(&value, b','));
                    value[at] = special;
                    assert!(is_special(&value, b','), "{special} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn bytes_have_their_text() {
        assert_eq!(written(|out| hex(out, &[0, 255, 16, 171])), "00ff10ab");
        for (value, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(written(|out| base64(out, value.as_bytes())), expected);
        }
        let id: Vec<u8> = (0..16).map(|i| i * 17).collect();
        assert_eq!(written(|out| uuid(out, &id)), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(written(|out| json(out, "a\"\\\n\u{1}ü/".as_bytes())), "\"a\\\"\\\\\\n\\u0001ü/\"");
    }
}
