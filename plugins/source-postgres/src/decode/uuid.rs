//! The canonical text of a UUID (RFC 9562, section 4), without allocation.
//! It must not know where the bytes come from.

/// Bytes of the text.
pub(super) const TEXT_BYTES: usize = 36;

/// Lower-case hexadecimal, hyphens after 4, 6, 8 and 10 bytes.
#[inline]
pub(super) fn uuid_text(uuid: &[u8; 16]) -> [u8; TEXT_BYTES] {
    /// Where each byte's two digits go.
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; TEXT_BYTES];
    for (byte, place) in uuid.iter().zip(PLACES) {
        text[place] = DIGITS[usize::from(byte >> 4)];
        text[place + 1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_canonical() {
        let bytes = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
        assert_eq!(&uuid_text(&bytes), b"01234567-89ab-cdef-fedc-ba9876543210");
        assert_eq!(&uuid_text(&[0; 16]), b"00000000-0000-0000-0000-000000000000");
        assert_eq!(&uuid_text(&[255; 16]), b"ffffffff-ffff-ffff-ffff-ffffffffffff");
    }
}
