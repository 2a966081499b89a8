//! Names of objects: segments as every store writes them, one encoding for all, and how names begin.
//! It must not know stores, nor what is in a segment.

/// The segment with every byte beyond ASCII letters, digits and `._-=` as `%` and two hex digits.
pub fn encode_segment(segment: &str) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-=".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The segment that [`encode_segment`] writes so; none when no segment is, or it is empty, `.` or `..`. An `=` that is part of a
/// value may be encoded: readers of `key=value` look for the plain one.
pub fn decode_segment(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
                bytes.push(digit(*high)? * 16 + digit(*low)?);
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    let segment = String::from_utf8(bytes).ok()?;
    (encode_segment(&segment) == encoded.replace("%3D", "=") && !matches!(segment.as_str(), "" | "." | ".."))
        .then_some(segment)
}

/// Whether this is a name of an object: `/`-separated segments, each as [`encode_segment`] writes one. So a name is the same
/// text in a manifest, in a path and in a key, and leads nowhere but down.
pub fn is_name(name: &str) -> bool {
    name.split('/').all(|segment| decode_segment(segment).is_some())
}

/// How names begin that are listed or swept. A `*`, which no name has, stands for the rest of its segment: `day=*/t_7` is the
/// beginning of `day=2026-01-01/t_7.csv`.
#[derive(Debug, Clone, Copy)]
pub struct Beginning<'a> {
    /// What all of them start with.
    pub plain: &'a str,
    /// What stands after the `*`, from the slash on.
    rest: Option<&'a str>,
}

impl<'a> Beginning<'a> {
    /// Reads one.
    pub fn new(text: &'a str) -> Self {
        match text.split_once('*') {
            Some((plain, rest)) => Self { plain, rest: Some(rest) },
            None => Self { plain: text, rest: None },
        }
    }

    /// Whether a name begins so.
    pub fn fits(&self, name: &str) -> bool {
        let Some(after) = name.strip_prefix(self.plain) else { return false };
        match self.rest {
            None => true,
            Some(rest) => after.find('/').is_some_and(|slash| after[slash..].starts_with(rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_a_segment_and_comes_back() {
        let long = "ü".repeat(500);
        for text in ["a", "a/b", "a=b", "100%", "%2F", "\0\n\u{7f}", " ", "x.rivet.staged", "..%", "%3D", &long] {
            let encoded = encode_segment(text);
            assert!(is_name(&encoded) && !encoded.contains(['/', ' ', '*']), "{text:?}: {encoded}");
            assert_eq!(decode_segment(&encoded).as_deref(), Some(text));
        }
        assert_eq!(decode_segment("a=b%3Dc").as_deref(), Some("a=b=c"));
        for wrong in ["", "/a", "a/", "a//b", "..", "a/../b", "a b", "%2f", "%41", "%", "é", "a*"] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_star_is_the_rest_of_a_segment() {
        for (beginning, name, expected) in [
            ("", "a", true),
            ("t_1", "t_1/x", true),
            ("t_1", "t_2", false),
            ("day=*/t_1", "day=2026/t_1x", true),
            ("day=*/t_1", "day=/t_1", true),
            ("day=*/t_1", "day=2026/u/t_1", false),
            ("day=*/t_1", "days=2026/t_1", false),
            ("day=*/t_1", "day=2026", false),
        ] {
            assert_eq!(Beginning::new(beginning).fits(name), expected, "{beginning} {name}");
        }
    }
}
