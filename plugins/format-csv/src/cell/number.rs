//! Numbers as text: whole, decimal, floating.
//! It must not know arrays, quotes or delimiters.

use arrow_buffer::i256;

/// Plain digits of a whole number.
pub fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

macro_rules! float {
    ($name:ident, $type:ty) => {
        /// The shortest digits that read back as the same number.
        pub fn $name(out: &mut Vec<u8>, value: $type) {
            if value.is_finite() {
                out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
            } else {
                let name: &[u8] = match (value.is_nan(), value > 0.0) {
                    (true, _) => b"NaN",
                    (_, true) => b"Infinity",
                    (_, false) => b"-Infinity",
                };
                out.extend_from_slice(name);
            }
        }
    };
}
float!(float32, f32);
float!(float64, f64);

/// `value` × 10^−`scale`, with `scale` digits after the point.
pub fn decimal128(out: &mut Vec<u8>, value: i128, scale: i8) {
    let mut buffer = itoa::Buffer::new();
    // Division of 128 bits is slow, and few values need them.
    let digits = match i64::try_from(value) {
        Ok(small) => buffer.format(small.unsigned_abs()),
        Err(_) => buffer.format(value.unsigned_abs()),
    };
    point(out, value < 0, digits.as_bytes(), scale);
}

/// As [`decimal128`].
pub fn decimal256(out: &mut Vec<u8>, value: i256, scale: i8) {
    if let Some(small) = value.to_i128() {
        return decimal128(out, small, scale);
    }
    // Three chunks hold every value; the sign of a remainder is that of the value.
    let chunk = i256::from_i128(10_i128.pow(CHUNK_DIGITS as u32));
    let (mut rest, mut digits) = (value, [b'0'; 3 * CHUNK_DIGITS]);
    for i in (0..3).rev() {
        let part = rest.wrapping_rem(chunk).to_i128().unwrap_or_default().unsigned_abs();
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(part).as_bytes();
        let end = (i + 1) * CHUNK_DIGITS;
        digits[end - text.len()..end].copy_from_slice(text);
        rest = rest.wrapping_div(chunk);
    }
    let first = digits.iter().position(|d| *d != b'0').unwrap_or(digits.len() - 1);
    point(out, value < i256::ZERO, &digits[first..], scale);
}

const CHUNK_DIGITS: usize = 30;

/// Sets sign and point.
fn point(out: &mut Vec<u8>, negative: bool, digits: &[u8], scale: i8) {
    if negative {
        out.push(b'-');
    }
    let Ok(after) = usize::try_from(scale) else {
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        return;
    };
    if after == 0 {
        out.extend_from_slice(digits);
    } else if digits.len() > after {
        let (whole, fraction) = digits.split_at(digits.len() - after);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + after - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn decimals_have_as_many_digits_as_their_scale() {
        let most = 10_i128.pow(38) - 1;
        for (value, scale, expected) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (0, -3, "0"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (-50, 1, "-5.0"),
            (12345, 2, "123.45"),
            (-12, -3, "-12000"),
            (most, 0, "99999999999999999999999999999999999999"),
            (-most, 10, "-9999999999999999999999999999.9999999999"),
            (-most, 38, "-0.99999999999999999999999999999999999999"),
            (i128::from(i64::MIN), 0, "-9223372036854775808"),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        ] {
            assert_eq!(text(|out| decimal128(out, value, scale)), expected, "{value} {scale}");
            assert_eq!(text(|out| decimal256(out, i256::from_i128(value), scale)), expected, "{value} {scale}");
        }
    }

    #[test]
    fn wide_decimals_are_exact() {
        let nines = "9".repeat(76);
        let ones = format!("1{}1", "0".repeat(74));
        for value in [nines.clone(), format!("-{nines}"), ones.clone(), format!("-{ones}"), i256::MIN.to_string()] {
            let number = i256::from_string(&value).expect("it fits");
            assert_eq!(text(|out| decimal256(out, number, 0)), value);
        }
        let number = i256::from_string(&nines).expect("it fits");
        let expected = format!("{}.{}", &nines[..46], &nines[46..]);
        assert_eq!(text(|out| decimal256(out, number, 30)), expected);
    }

    #[test]
    fn floats_read_back_as_the_same_number() {
        for (value, expected) in [
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(|out| float64(out, value)), expected);
            assert_eq!(text(|out| float32(out, value as f32)), expected);
        }
        for value in [f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e300, -1.5e-7, 123_456_789.123_456_79, 1e16, 1e21] {
            let written = text(|out| float64(out, value));
            assert_eq!(written.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{written}");
        }
        for value in [f32::MAX, f32::MIN_POSITIVE, 1e-45, 16_777_216.0, 0.3] {
            let written = text(|out| float32(out, value));
            assert_eq!(written.parse::<f32>().map(f32::to_bits), Ok(value.to_bits()), "{written}");
        }
    }
}
