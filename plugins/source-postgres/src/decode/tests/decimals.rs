//! Decimals: bytes as PostgreSQL 15 sent them, and random numbers of every shape made from decimal text.
//! It must not compute expected values from digit groups.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type};
use arrow_buffer::i256;
use arrow_schema::DataType;
use rivet_plugin_api::{Result, TypesMode};

use super::{Random, column, decimal, decode_one, hex};

fn decode_128(precision: u8, scale: u8, field: Vec<u8>) -> Result<i128> {
    let batch = decode_one(&decimal(precision, scale), TypesMode::Portable, &Some(field))?;
    assert_eq!(batch.column(0).data_type(), &DataType::Decimal128(precision, scale as i8));
    Ok(batch.column(0).as_primitive::<Decimal128Type>().value(0))
}

fn decode_256(precision: u8, scale: u8, field: Vec<u8>) -> Result<i256> {
    let batch = decode_one(&decimal(precision, scale), TypesMode::Native, &Some(field))?;
    assert_eq!(batch.column(0).data_type(), &DataType::Decimal256(precision, scale as i8));
    Ok(batch.column(0).as_primitive::<Decimal256Type>().value(0))
}

fn decode_text(field: Vec<u8>) -> String {
    let batch = decode_one(&column("n", 1700, -1), TypesMode::Native, &Some(field)).expect("a numeric");
    batch.column(0).as_string::<i32>().value(0).to_owned()
}

#[test]
fn numerics_of_a_server_decode_to_their_values() {
    let nines = 99_999_999_999_999_999_999_999_999_999_999_999_999_i128;
    let cases = [
        (1, 0, "0000000000000000", "0", 0),
        (9, 2, "0000000000000002", "0.00", 0),
        (1, 0, "00010000000000000001", "1", 1),
        (38, 0, "00010000400000000001", "-1", -1),
        (38, 30, "00010000400000000001", "-1", -10_i128.pow(30)),
        (15, 2, "000200000000000104d21388", "1234.5", 123_450),
        (5, 1, "000200000000000104d21388", "1234.5", 12_345),
        (15, 2, "0001ffff400000020064", "-0.01", -1),
        (4, 4, "0001ffff000000040001", "0.0001", 1),
        (6, 5, "0001fffe0000000503e8", "0.00001", 1),
        (9, 0, "00010002000000000001", "100000000", 100_000_000),
        (7, 0, "000100010000000001f4", "5000000", 5_000_000),
        (9, 4, "00010001000000040001", "10000.0000", 100_000_000),
        (8, 4, "0002000000000004270f270f", "9999.9999", 99_999_999),
        (18, 1, "00060004000000010009270f270f270f270f2328", "99999999999999999.9", 999_999_999_999_999_999),
        (18, 9, "0006000200000009000109291a8504d2162e2328", "123456789.123456789", 123_456_789_123_456_789),
        (20, 0, "000500040000000007341a5802e103bb064f", "18446744073709551615", u64::MAX.into()),
        (20, 0, "000500040000000007341a5802e103bb0650", "18446744073709551616", u128::from(u64::MAX) as i128 + 1),
        (38, 0, "0001000900000000000a", "10000000000000000000000000000000000000", 10_i128.pow(37)),
        (38, 38, "0001fff6000000260064", "0.00000000000000000000000000000000000001", 1),
        (
            38,
            0,
            "000a0009400000000063270f270f270f270f270f270f270f270f270f",
            "-99999999999999999999999999999999999999",
            -nines,
        ),
        (
            38,
            38,
            "000affff0000002604d2162e23340d801ed204d2162e23340d801e78",
            "0.12345678901234567890123456789012345678",
            12_345_678_901_234_567_890_123_456_789_012_345_678,
        ),
    ];
    for (precision, scale, bytes, text, expected) in cases {
        assert_eq!(decode_128(precision, scale, hex(bytes)).expect(text), expected, "{text}");
        assert_eq!(decode_text(hex(bytes)), text);
        if let Some(wide_scale) = scale.checked_add(38).filter(|s| *s <= 76) {
            let scaled = i256::from_i128(expected).wrapping_mul(i256::from_i128(10_i128.pow(38)));
            assert_eq!(decode_256(76, wide_scale, hex(bytes)).expect(text), scaled, "{text} with {wide_scale} digits");
        }
    }
    for (bytes, text) in
        [("00000000c0000000", "NaN"), ("00000000d0000020", "Infinity"), ("00000000f0000020", "-Infinity")]
    {
        assert_eq!(decode_text(hex(bytes)), text, "text has a place for it");
    }
}

#[test]
fn beyond_38_digits_portable_is_text() {
    let batch = decode_one(&decimal(39, 1), TypesMode::Portable, &Some(hex("0001ffff400000011388")));
    let batch = batch.expect("a numeric");
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "-0.5");
}

/// A number as text, with its digits apart.
struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    fn random(random: &mut Random, n_whole: usize, n_fraction: usize) -> Self {
        // Runs of zeros and nines are where groups end and carries happen.
        let pool = [&b"0123456789"[..], b"0", b"9", b"0000001"][random.below(4)];
        let mut digits = |n| (0..n).map(|_| char::from(pool[random.below(pool.len())])).collect::<String>();
        let (whole, fraction) = (digits(n_whole), digits(n_fraction));
        let any = whole.bytes().chain(fraction.bytes()).any(|c| c != b'0');
        Self { negative: any && random.below(2) == 1, whole, fraction }
    }

    /// As the server prints it.
    fn text(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let whole = self.whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        if self.fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", self.fraction) }
    }

    /// Its digits as one whole number.
    fn unscaled(&self) -> String {
        format!("{}0{}{}", if self.negative { "-" } else { "" }, self.whole, self.fraction)
    }

    /// As the server sends it; `strip` as servers do, else with the zero groups that a server leaves out.
    fn wire(&self, strip: bool) -> Vec<u8> {
        let whole = format!("{:0>width$}", self.whole, width = self.whole.len().next_multiple_of(4));
        let fraction = format!("{:0<width$}", self.fraction, width = self.fraction.len().next_multiple_of(4));
        let all = whole.clone() + &fraction;
        let mut groups: Vec<&str> = (0..all.len() / 4).map(|i| &all[4 * i..4 * i + 4]).collect();
        let mut weight = whole.len() as i16 / 4 - 1;
        while strip && groups.first() == Some(&"0000") {
            groups.remove(0);
            weight -= 1;
        }
        while strip && groups.last() == Some(&"0000") {
            groups.pop();
        }
        weight = if groups.is_empty() { 0 } else { weight };
        let mut out = (groups.len() as u16).to_be_bytes().to_vec();
        out.extend(weight.to_be_bytes());
        out.extend(if self.negative { [0x40, 0] } else { [0, 0] });
        out.extend((self.fraction.len() as u16).to_be_bytes());
        for group in groups {
            out.extend(group.parse::<u16>().expect("four digits").to_be_bytes());
        }
        out
    }
}

#[test]
fn random_numbers_of_every_precision_and_scale() {
    let mut random = Random(1);
    for round in 0..40_000 {
        let precision = 1 + random.below(76);
        let scale = random.below(precision + 1);
        let n_whole = random.below(precision - scale + 1);
        let number = Decimal::random(&mut random, n_whole, scale);
        let wire = number.wire(round % 4 != 0);
        let (precision, scale, text) = (precision as u8, scale as u8, number.text());
        assert_eq!(decode_text(wire.clone()), text);
        if precision <= 38 {
            let expected: i128 = number.unscaled().parse().expect("up to 38 digits");
            assert_eq!(
                decode_128(precision, scale, wire).expect("it fits"),
                expected,
                "{text} in ({precision},{scale})"
            );
        } else {
            let expected = i256::from_string(&number.unscaled()).expect("up to 76 digits");
            assert_eq!(
                decode_256(precision, scale, wire).expect("it fits"),
                expected,
                "{text} in ({precision},{scale})"
            );
        }
    }
}

#[test]
fn a_digit_too_many_is_refused_never_dropped() {
    let mut random = Random(2);
    for round in 0..20_000 {
        let precision = 1 + random.below(76);
        let scale = random.below(precision + 1);
        let number = if round % 2 == 0 {
            let n_whole = precision - scale + 1 + random.below(3);
            let mut number = Decimal::random(&mut random, n_whole, scale);
            number.whole.replace_range(0..1, "7");
            number
        } else {
            let extra = scale + 1 + random.below(9);
            let mut number = Decimal::random(&mut random, precision - scale, extra);
            number.fraction.replace_range(extra - 1.., "3");
            number
        };
        let wire = number.wire(round % 3 != 0);
        let (precision, scale) = (precision as u8, scale as u8);
        let found = if precision <= 38 {
            decode_128(precision, scale, wire).map(i256::from_i128)
        } else {
            decode_256(precision, scale, wire)
        };
        let error = found.expect_err("more digits than declared");
        assert!(error.message().contains("more digits"), "{} in ({precision},{scale}): {error}", number.text());
    }
}
