//! A table per type: what each value is written as, alone, in a list and through a dictionary.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Int32Builder, LargeListBuilder, ListBuilder, StringBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, LargeListArray, ListArray, NullArray, Time32MillisecondArray,
    Time32SecondArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use rivet_plugin_api::EXTENSION_KEY;

use super::*;
use crate::options::{CsvOptions, Quoting};

fn cells(field: &Field, array: &dyn Array, options: &CsvOptions) -> Vec<String> {
    let dialect = options.dialect().expect("the options are right");
    let column = Column::new(field, array).expect("the type has a form");
    let mut scratch = Vec::new();
    let cell = |row| {
        let mut out = Vec::new();
        column.write(row, &dialect, &mut out, &mut scratch);
        String::from_utf8(out).expect("utf-8")
    };
    (0..array.len()).map(cell).collect()
}

fn plain(array: impl Array) -> Vec<String> {
    let field = Field::new("c", array.data_type().clone(), true);
    let cells = cells(&field, &array, &CsvOptions::default());
    // A slice has its values at an offset.
    if array.len() > 1 {
        let rest = array.slice(1, array.len() - 1);
        assert_eq!(self::cells(&field, &rest, &CsvOptions::default()), cells[1..]);
    }
    cells
}

#[test]
fn whole_numbers() {
    assert_eq!(plain(Int8Array::from(vec![Some(i8::MIN), None, Some(7)])), ["-128", "", "7"]);
    assert_eq!(plain(Int16Array::from(vec![i16::MIN])), ["-32768"]);
    assert_eq!(plain(Int32Array::from(vec![i32::MIN, 0])), ["-2147483648", "0"]);
    assert_eq!(plain(Int64Array::from(vec![i64::MIN, i64::MAX])), ["-9223372036854775808", "9223372036854775807"]);
    assert_eq!(plain(UInt8Array::from(vec![255])), ["255"]);
    assert_eq!(plain(UInt16Array::from(vec![65_535])), ["65535"]);
    assert_eq!(plain(UInt32Array::from(vec![u32::MAX])), ["4294967295"]);
    assert_eq!(plain(UInt64Array::from(vec![u64::MAX])), ["18446744073709551615"]);
}

#[test]
fn other_numbers() {
    assert_eq!(plain(Float32Array::from(vec![0.3, f32::NAN])), ["0.3", "NaN"]);
    assert_eq!(plain(Float64Array::from(vec![0.1 + 0.2, f64::NEG_INFINITY])), ["0.30000000000000004", "-Infinity"]);
    let array = Decimal128Array::from(vec![Some(-1), None, Some(100)]);
    assert_eq!(plain(array.with_precision_and_scale(10, 2).expect("valid")), ["-0.01", "", "1.00"]);
    let array = Decimal256Array::from(vec![i256::from_i128(-5)]);
    assert_eq!(plain(array.with_precision_and_scale(76, 0).expect("valid")), ["-5"]);
    assert_eq!(plain(BooleanArray::from(vec![Some(true), None, Some(false)])), ["true", "", "false"]);
    assert_eq!(plain(NullArray::new(2)), ["", ""]);
}

#[test]
fn days_and_times() {
    assert_eq!(plain(Date32Array::from(vec![-719_162, 2_932_897])), ["0001-01-01", "+10000-01-01"]);
    assert_eq!(plain(Time32SecondArray::from(vec![86_399])), ["23:59:59"]);
    assert_eq!(plain(Time32MillisecondArray::from(vec![1])), ["00:00:00.001"]);
    assert_eq!(plain(Time64NanosecondArray::from(vec![1])), ["00:00:00.000000001"]);
    assert_eq!(plain(TimestampSecondArray::from(vec![-1])), ["1969-12-31T23:59:59"]);
    assert_eq!(plain(TimestampMillisecondArray::from(vec![-1])), ["1969-12-31T23:59:59.999"]);
    assert_eq!(plain(TimestampMicrosecondArray::from(vec![0])), ["1970-01-01T00:00:00.000000"]);
    let instants = TimestampNanosecondArray::from(vec![1]).with_timezone("Europe/Berlin");
    assert_eq!(plain(instants), ["1970-01-01T00:00:00.000000001Z"]);
}

#[test]
fn text_and_bytes() {
    let texts = vec![Some("a"), None, Some(""), Some("b,\"c\"")];
    let expected = ["a", "", "\"\"", "\"b,\"\"c\"\"\""];
    assert_eq!(plain(StringArray::from(texts.clone())), expected);
    assert_eq!(plain(LargeStringArray::from(texts.clone())), expected);
    assert_eq!(plain(StringViewArray::from(texts)), expected);
    let values = vec![Some(&b"\0\xff"[..]), None, Some(b"")];
    let expected = ["00ff", "", "\"\""];
    assert_eq!(plain(BinaryArray::from(values.clone())), expected);
    assert_eq!(plain(LargeBinaryArray::from(values.clone())), expected);
    assert_eq!(plain(BinaryViewArray::from(values.clone())), expected);
    let array = BinaryArray::from(values);
    let field = Field::new("c", array.data_type().clone(), true);
    let base64 = CsvOptions { binary: BinaryForm::Base64, ..Default::default() };
    assert_eq!(cells(&field, &array, &base64), ["AP8=", "", "\"\""]);
    let prefixed = CsvOptions { hex_prefix: true, ..Default::default() };
    assert_eq!(cells(&field, &array, &prefixed), ["\\x00ff", "", "\\x"]);
    let ids = FixedSizeBinaryArray::try_from_iter([[0xab_u8; 16]].into_iter()).expect("16 bytes each");
    assert_eq!(plain(ids.clone()), ["ab".repeat(16)]);
    let metadata = HashMap::from([(EXTENSION_KEY.to_owned(), "arrow.uuid".to_owned())]);
    let field = Field::new("c", ids.data_type().clone(), true).with_metadata(metadata);
    assert_eq!(cells(&field, &ids, &CsvOptions::default()), ["abababab-abab-abab-abab-abababababab"]);
}

#[test]
fn null_is_never_quoted_and_what_reads_like_it_always_is() {
    let null = |null: &str, quote| CsvOptions { null: null.to_owned(), quote, ..Default::default() };
    let texts = StringArray::from(vec![None, Some("\\N"), Some(""), Some("x")]);
    let field = Field::new("c", DataType::Utf8, true);
    assert_eq!(cells(&field, &texts, &null("\\N", Quoting::Minimal)), ["\\N", "\"\\N\"", "\"\"", "x"]);
    assert_eq!(cells(&field, &texts, &null("\\N", Quoting::All)), ["\\N", "\"\\N\"", "\"\"", "\"x\""]);
    assert_eq!(cells(&field, &texts, &null("", Quoting::All)), ["", "\"\\N\"", "\"\"", "\"x\""]);
    let floats = Float64Array::from(vec![None, Some(f64::NAN), Some(-1.5)]);
    let field = Field::new("c", DataType::Float64, true);
    assert_eq!(cells(&field, &floats, &null("NaN", Quoting::Minimal)), ["NaN", "\"NaN\"", "-1.5"]);
    assert_eq!(cells(&field, &floats, &null("-1.5", Quoting::Minimal)), ["-1.5", "NaN", "\"-1.5\""]);
    assert_eq!(cells(&field, &floats, &null("", Quoting::All)), ["", "\"NaN\"", "\"-1.5\""]);
    let bytes = BinaryArray::from(vec![Some(&b""[..]), None]);
    let field = Field::new("c", DataType::Binary, true);
    assert_eq!(cells(&field, &bytes, &null("\\x", Quoting::Minimal)), ["\"\"", "\\x"]);
    let prefixed = CsvOptions { hex_prefix: true, ..null("\\x", Quoting::Minimal) };
    assert_eq!(cells(&field, &bytes, &prefixed), ["\"\\x\"", "\\x"]);
}

#[test]
fn lists_are_json() {
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.append_value([Some("a"), None, Some("\"b\",\n")]);
    texts.append_null();
    texts.append_value(Vec::<Option<&str>>::new());
    let expected = [r#""[""a"",null,""\""b\"",\n""]""#, "", "[]"];
    assert_eq!(plain(texts.finish()), expected);

    let mut numbers = LargeListBuilder::new(Int32Builder::new());
    numbers.append_value([Some(1), None, Some(-3)]);
    numbers.append_value([Some(4)]);
    assert_eq!(plain(numbers.finish()), ["\"[1,null,-3]\"", "[4]"]);

    let mut pairs = FixedSizeListBuilder::new(Int32Builder::new(), 2);
    for pair in [[1, 2], [3, 4]] {
        pair.iter().for_each(|n| pairs.values().append_value(*n));
        pairs.append(true);
    }
    assert_eq!(plain(pairs.finish()), ["\"[1,2]\"", "\"[3,4]\""]);

    let one = |values: ArrayRef| {
        let element = Arc::new(Field::new("element", values.data_type().clone(), true));
        ListArray::new(element, OffsetBuffer::from_lengths([values.len()]), values, None)
    };
    let floats = Float64Array::from(vec![0.5, f64::NAN, f64::INFINITY]);
    assert_eq!(plain(one(Arc::new(floats))), [r#""[0.5,""NaN"",""Infinity""]""#]);
    let days = Date32Array::from(vec![Some(0), None]);
    assert_eq!(plain(one(Arc::new(days))), [r#""[""1970-01-01"",null]""#]);
    let bytes = BinaryArray::from(vec![&b"\x01"[..], b""]);
    assert_eq!(plain(one(Arc::new(bytes))), [r#""[""01"",""""]""#]);
    let decimals = Decimal128Array::from(vec![1, -2]).with_precision_and_scale(4, 1).expect("valid");
    assert_eq!(plain(one(Arc::new(decimals))), ["\"[0.1,-0.2]\""]);
    let nested = one(Arc::new(one(Arc::new(BooleanArray::from(vec![Some(true), None])))));
    assert_eq!(plain(nested), ["\"[[true,null]]\""]);
}

#[test]
fn a_large_list_may_begin_anywhere() {
    let element = Arc::new(Field::new("element", DataType::UInt8, false));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![2_i64, 3, 5]));
    let list = LargeListArray::new(element, offsets, Arc::new(UInt8Array::from(vec![9, 9, 1, 2, 3])), None);
    assert_eq!(plain(list), ["[1]", "\"[2,3]\""]);
}

#[test]
fn dictionaries_are_written_as_their_words() {
    let words: DictionaryArray<Int8Type> = [Some("a,"), None, Some(""), Some("a,")].into_iter().collect();
    assert_eq!(plain(words), ["\"a,\"", "", "\"\"", "\"a,\""]);
    let days = Date32Array::from(vec![Some(0), None]);
    let words = DictionaryArray::new(Int8Array::from(vec![Some(1), Some(0), None]), Arc::new(days));
    assert_eq!(plain(words), ["", "1970-01-01", ""]);
    let none = DictionaryArray::new(Int8Array::from(vec![None, None]), Arc::new(StringArray::new_null(0)));
    assert_eq!(plain(none), ["", ""]);
    let values: DictionaryArray<Int8Type> = [Some("x"), None].into_iter().collect();
    let element = Arc::new(Field::new("element", values.data_type().clone(), true));
    let list = ListArray::new(element, OffsetBuffer::from_lengths([2]), Arc::new(values), None);
    assert_eq!(plain(list), [r#""[""x"",null]""#]);
}

#[test]
fn intervals_are_iso_8601() {
    use arrow_array::IntervalMonthDayNanoArray;
    use arrow_buffer::IntervalMonthDayNano;
    let of = |months, days, nanos| IntervalMonthDayNano::new(months, days, nanos);
    let values = vec![of(0, 0, 0), of(14, -3, 3_723_000_001_000), of(-1, 0, -500_000_000), of(0, 0, i64::MIN)];
    assert_eq!(
        plain(IntervalMonthDayNanoArray::from(values)),
        ["PT0S", "P1Y2M-3DT1H2M3.000001S", "P-1MT-0.5S", "PT-2562047H-47M-16.854775808S"]
    );
}
