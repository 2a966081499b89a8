//! Arrow values as the server would print them.
//! Must not know the decoder.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt64Type,
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
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
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
        DataType::Interval(_) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let is_same = interval(expected)
                .is_some_and(|parts| parts == (value.months.into(), value.days.into(), i128::from(value.nanoseconds)));
            if is_same { expected.to_owned() } else { format!("{value:?}") }
        }
        DataType::Dictionary(_, _) => {
            let labels = array.as_dictionary::<Int32Type>();
            let label = usize::try_from(labels.keys().value(row)).unwrap_or(usize::MAX);
            labels.values().as_string::<i32>().value(label).to_owned()
        }
        DataType::List(_) => match is_list(&array.as_list::<i32>().value(row), &list(expected)) {
            Ok(()) => expected.to_owned(),
            Err(what) => what,
        },
        other => format!("unexpected {other}"),
    })
}

/// An element of an array as the server prints it.
#[derive(Debug, PartialEq)]
enum Element {
    Null,
    Text(String),
    List(Vec<Element>),
}

/// The elements of an array in the server's text: quoted where it must be, `NULL` where it is not.
fn list(text: &str) -> Vec<Element> {
    let mut lists: Vec<Vec<Element>> = vec![Vec::new()];
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '{' => lists.push(Vec::new()),
            ',' => {}
            '}' => {
                let inner = lists.pop().unwrap_or_default();
                lists.last_mut().expect("as many brackets close as open").push(Element::List(inner));
            }
            '"' => {
                let mut element = String::new();
                while let Some(c) = letters.next().filter(|c| *c != '"') {
                    element.push(if c == '\\' { letters.next().expect("what is escaped") } else { c });
                }
                // An array inside an array is the text of a domain.
                lists.last_mut().expect("an open list").push(Element::Text(element));
            }
            _ => {
                let mut element = String::from(c);
                while let Some(c) = letters.next_if(|c| !",}".contains(*c)) {
                    element.push(c);
                }
                let element = if element == "NULL" { Element::Null } else { Element::Text(element) };
                lists.last_mut().expect("an open list").push(element);
            }
        }
    }
    match lists.pop().and_then(|mut all| all.pop()) {
        Some(Element::List(elements)) => elements,
        other => panic!("no array: {other:?} from {text}"),
    }
}

/// Whether an array has these elements; the error says where it has not.
fn is_list(array: &ArrayRef, expected: &[Element]) -> Result<(), String> {
    if array.len() != expected.len() {
        return Err(format!("{} elements instead of {}", array.len(), expected.len()));
    }
    for (i, element) in expected.iter().enumerate() {
        match element {
            Element::Null if array.is_null(i) => {}
            Element::Text(text) if !array.is_null(i) => {
                // Inside arrays the server prints true and false as letters.
                let found = match array.as_boolean_opt() {
                    Some(flags) => (if flags.value(i) { "t" } else { "f" }).to_owned(),
                    None => render(array, i, text).unwrap_or_default(),
                };
                if found != *text {
                    return Err(format!("element {i}: {found}"));
                }
            }
            Element::List(elements) if !array.is_null(i) => {
                is_list(&array.as_list::<i32>().value(i), elements).map_err(|e| format!("list {i}: {e}"))?;
            }
            _ => return Err(format!("element {i}: null and not null")),
        }
    }
    Ok(())
}

/// Months, days and ns of an interval in ISO 8601.
fn interval(text: &str) -> Option<(i128, i128, i128)> {
    let (date, time) = text.strip_prefix('P')?.split_once('T').unwrap_or((text.strip_prefix('P')?, ""));
    let part = |text: &str, unit: char, after: &str| -> Option<i128> {
        let text = text.rsplit_once(unit).map_or("", |(before, _)| before);
        let text = text.rsplit_once(|c: char| after.contains(c)).map_or(text, |(_, last)| last);
        if text.is_empty() {
            return Some(0);
        }
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        Some(sign * format!("{whole}{fraction:0<9}").parse::<i128>().ok()?)
    };
    let unit = |text, letter, after| part(text, letter, after);
    const SECOND_NS: i128 = 1_000_000_000;
    let whole = |n: i128| n / SECOND_NS;
    let months = whole(unit(date, 'Y', "")?) * 12 + whole(unit(date, 'M', "Y")?);
    let days = whole(unit(date, 'D', "YM")?);
    let ns = unit(time, 'H', "")? * 3600 + unit(time, 'M', "H")? * 60 + unit(time, 'S', "HM")?;
    Some((months, days, ns))
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
