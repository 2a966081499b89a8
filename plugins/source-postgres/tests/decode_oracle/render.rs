//! Arrow values as the server would print them.
//! Must not know the decoder.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// A value as the server would print it; floats as `expected` where that parses to the same bits.
pub fn render(array: &ArrayRef, row: usize, expected: &str) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            let is_same = expected.parse::<f32>().is_ok_and(|e| e.to_bits() == value.to_bits());
            if is_same { expected.to_owned() } else { value.to_string() }
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            let is_same = expected.parse::<f64>().is_ok_and(|e| e.to_bits() == value.to_bits());
            if is_same { expected.to_owned() } else { value.to_string() }
        }
        DataType::Decimal128(_, scale) => {
            decimal_text(&array.as_primitive::<Decimal128Type>().value(row).to_string(), *scale as usize)
        }
        DataType::Decimal256(_, scale) => {
            decimal_text(&array.as_primitive::<Decimal256Type>().value(row).to_string(), *scale as usize)
        }
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => format!("\\x{}", hex(array.as_binary::<i32>().value(row))),
        DataType::FixedSizeBinary(16) => uuid_text(&hex(array.as_fixed_size_binary().value(row))),
        DataType::Date32 => {
            let (day, era) = date_text(array.as_primitive::<Date32Type>().value(row).into());
            day + era
        }
        DataType::Time64(_) => time_text(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp(_, zone) => {
            let us = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let (day, era) = date_text(us.div_euclid(86_400_000_000));
            let zone = if zone.is_some() { "+00" } else { "" };
            format!("{day} {}{zone}{era}", time_text(us.rem_euclid(86_400_000_000)))
        }
        other => format!("unexpected {other}"),
    })
}

fn decimal_text(unscaled: &str, scale: usize) -> String {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid_text(hex: &str) -> String {
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Day of the proleptic Gregorian calendar by walking down from 400-year cycles, and ` BC` or nothing.
fn date_text(days_since_1970: i64) -> (String, &'static str) {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let since_0000 = days_since_1970 + 719_528;
    let mut year = 400 * since_0000.div_euclid(146_097);
    let mut day = since_0000.rem_euclid(146_097);
    while day >= 365 + i64::from(is_leap(year)) {
        day -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for n_days in [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < n_days {
            break;
        }
        day -= n_days;
        month += 1;
    }
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{:02}", day + 1), era)
}

fn time_text(us: i64) -> String {
    let (s, us) = (us / 1_000_000, us % 1_000_000);
    let whole = format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    if us == 0 { whole } else { format!("{whole}.{us:06}").trim_end_matches('0').to_owned() }
}
