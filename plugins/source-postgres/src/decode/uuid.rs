//! The canonical text of a UUID (RFC 9562, section 4), without allocation.
//! It must not know where the bytes come from.

/// Bytes of the text.
pub(super) const TEXT_BYTES: usize = 36;

/// Lower-case hexadecimal, hyphens after 4, 6, 8 and 10 bytes.
#[inline]
pub(super) fn uuid_text(uuid: &[u8; 16]) -> [u8; TEXT_BYTES] {
    let mut text = [b'-'; TEXT_BYTES];
    let mut digits = [0; 32];
    for (four, eight) in uuid.as_chunks::<4>().0.iter().zip(digits.as_chunks_mut::<8>().0) {
        *eight = hex_digits(u32::from_be_bytes(*four));
    }
    text[..8].copy_from_slice(&digits[..8]);
    text[9..13].copy_from_slice(&digits[8..12]);
    text[14..18].copy_from_slice(&digits[12..16]);
    text[19..23].copy_from_slice(&digits[16..20]);
    text[24..].copy_from_slice(&digits[20..]);
    text
}

/// The eight digits of four bytes, all at once.
#[inline]
fn hex_digits(four_bytes: u32) -> [u8; 8] {
    let spread = u64::from(four_bytes);
    let spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // Six more than nine reaches the next bit: a letter, which stands 39 behind where the digits would go on.
    let letters = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (nibbles + 0x3030_3030_3030_3030 + letters * 39).to_be_bytes()
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
