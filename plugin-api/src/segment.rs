//! A segment of an object's name as every store writes it: one encoding, so that an export is called the same everywhere.
//! It must not know stores, nor how segments are joined.

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

/// The segment that [`encode_segment`] writes so; none when no segment is, or it is empty, `.` or `..`.
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
    (encode_segment(&segment) == encoded && !matches!(segment.as_str(), "" | "." | "..")).then_some(segment)
}
