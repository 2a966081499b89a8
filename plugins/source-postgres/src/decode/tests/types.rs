//! Each type: bytes as PostgreSQL 15 sent them against values written down by hand.
//! It must not cover decimals, which have a file of their own.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, new_null_array,
};
use rivet_plugin_api::{ErrorKind, TypesMode};

use super::{Cell, column, decode_one, hex};

/// Type identifier, bytes, value.
type Case = (u32, &'static str, ArrayRef);

fn array<T: arrow_array::Array + 'static>(array: T) -> ArrayRef {
    Arc::new(array)
}

fn timestamp(us: i64, zone: Option<&str>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(vec![us]).with_timezone_opt(zone))
}

fn cases() -> Vec<Case> {
    let text = |text: &str| array(StringArray::from(vec![text]));
    let float = |x: f32| array(Float32Array::from(vec![x]));
    let double = |x: f64| array(Float64Array::from(vec![x]));
    vec![
        (16, "01", array(BooleanArray::from(vec![true]))),
        (16, "00", array(BooleanArray::from(vec![false]))),
        (21, "8000", array(Int16Array::from(vec![i16::MIN]))),
        (21, "7fff", array(Int16Array::from(vec![i16::MAX]))),
        (23, "80000000", array(Int32Array::from(vec![i32::MIN]))),
        (23, "00000000", array(Int32Array::from(vec![0]))),
        (23, "7fffffff", array(Int32Array::from(vec![i32::MAX]))),
        (20, "8000000000000000", array(Int64Array::from(vec![i64::MIN]))),
        (20, "7fffffffffffffff", array(Int64Array::from(vec![i64::MAX]))),
        (20, "ffffffffffffffff", array(Int64Array::from(vec![-1]))),
        (26, "ffffffff", array(Int64Array::from(vec![4_294_967_295]))),
        (26, "00000000", array(Int64Array::from(vec![0]))),
        (700, "3fc00000", float(1.5)),
        (700, "ff800000", float(f32::NEG_INFINITY)),
        (700, "7f7fffff", float(f32::MAX)),
        (700, "80000000", float(-0.0)),
        (701, "3ff8000000000000", double(1.5)),
        (701, "fff0000000000000", double(f64::NEG_INFINITY)),
        (701, "7fefffffffffffff", double(f64::MAX)),
        (701, "0000000000000001", double(5e-324)),
        (25, "", text("")),
        (25, "c3a4e282ac", text("ä€")),
        (19, "70675f74797065", text("pg_type")),
        (1042, "61202020", text("a   ")),
        (1043, X31, text("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")),
        (1043, X32, text("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")),
        (1043, X33, text("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")),
        (17, "", array(BinaryArray::from(vec![&b""[..]]))),
        (17, "00ff80", array(BinaryArray::from(vec![&b"\x00\xff\x80"[..]]))),
        (114, "7b202261223a20317d", text("{ \"a\": 1}")),
        (3802, "017b2261223a205b312c206e756c6c5d7d", text("{\"a\": [1, null]}")),
        (1082, "00000000", array(Date32Array::from(vec![10_957]))),
        (1082, "ffffd533", array(Date32Array::from(vec![0]))),
        (1082, "ffffd532", array(Date32Array::from(vec![-1]))),
        (1082, "ffda97cd", array(Date32Array::from(vec![-2_440_550]))),
        (1082, "7fda970c", array(Date32Array::from(vec![2_145_042_905]))),
        (1082, "00002279", array(Date32Array::from(vec![19_782]))),
        (1083, "0000000000000000", array(Time64MicrosecondArray::from(vec![0]))),
        (1083, "000000141dd75fff", array(Time64MicrosecondArray::from(vec![86_399_999_999]))),
        (1083, "0000000a8be62608", array(Time64MicrosecondArray::from(vec![45_296_789_000]))),
        (1114, "0000000000000000", timestamp(946_684_800_000_000, None)),
        (1114, "fffca2fec4c82000", timestamp(0, None)),
        (1114, "fffca2fec4c81fff", timestamp(-1, None)),
        (1114, "fd0f7fbdaf17e000", timestamp(-210_863_520_000_000_000, None)),
        (1114, "7ffca2465aa35fff", timestamp(9_223_371_244_799_999_999, None)),
        (1114, "7ffca2fec4c81fff", timestamp(i64::MAX, None)),
        (1184, "0002b58341728608", timestamp(1_709_210_096_789_000, Some("UTC"))),
    ]
}

const X31: &str = "78787878787878787878787878787878787878787878787878787878787878";
const X32: &str = "7878787878787878787878787878787878787878787878787878787878787878";
const X33: &str = "787878787878787878787878787878787878787878787878787878787878787878";

#[test]
fn each_type_decodes_to_its_value() {
    for (oid, bytes, expected) in cases() {
        let found = decode_one(&column("c", oid, -1), TypesMode::Portable, &Some(hex(bytes)));
        let found = found.unwrap_or_else(|e| panic!("type {oid} from {bytes}: {e}"));
        assert_eq!(found.column(0), &expected, "type {oid} from {bytes}");
    }
}

#[test]
fn each_type_can_be_null() {
    for (oid, _, expected) in cases() {
        let found = decode_one(&column("c", oid, -1), TypesMode::Portable, &None).expect("the column is nullable");
        assert_eq!(found.column(0), &new_null_array(expected.data_type(), 1), "type {oid}");
    }
}

#[test]
fn floats_keep_every_bit() {
    let nan = |oid, bytes: &str| {
        let found = decode_one(&column("c", oid, -1), TypesMode::Portable, &Some(hex(bytes))).expect("a float");
        found.column(0).to_data().buffers()[0].as_slice().to_vec()
    };
    assert_eq!(nan(700, "7fc00001"), hex("0100c07f"));
    assert_eq!(nan(701, "fff8000000000001"), hex("010000000000f8ff"));
}

#[test]
fn a_uuid_is_text_or_bytes() {
    let bytes = hex("0123456789abcdeffedcba9876543210");
    let cell: Cell = Some(bytes.clone());
    let uuid = column("u", 2950, -1);
    let portable = decode_one(&uuid, TypesMode::Portable, &cell).expect("a uuid");
    assert_eq!(portable.column(0), &array(StringArray::from(vec!["01234567-89ab-cdef-fedc-ba9876543210"])));
    let native = decode_one(&uuid, TypesMode::Native, &cell).expect("a uuid");
    let expected = FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).expect("one value of 16 bytes");
    assert_eq!(native.column(0), &array(expected));
    let null = decode_one(&uuid, TypesMode::Native, &None).expect("the column is nullable");
    assert_eq!(null.column(0).null_count(), 1);
}

#[test]
fn what_has_no_place_is_refused_with_column_row_and_way_out() {
    let numeric = (15 << 16) + 2 + 4;
    let cases = [
        (1082, -1, "7fffffff", "infinity"),
        (1082, -1, "80000000", "infinity"),
        (1083, -1, "000000141dd76000", "24:00:00"),
        (1114, -1, "7fffffffffffffff", "infinity"),
        (1184, -1, "8000000000000000", "infinity"),
        (1114, -1, "7ffca2fec4c82000", "beyond the range"),
        (1184, -1, "7fffff5bb3b29fff", "beyond the range"),
        (1700, numeric, "00000000c0000000", "NaN"),
        (1700, numeric, "00000000d0000020", "infinite"),
        (1700, numeric, "00000000f0000020", "infinite"),
        (1700, numeric, "0001ffff000000030001", "more digits"),
        (1700, numeric, "0001000400000000270f", "more digits"),
    ];
    for (oid, typmod, bytes, reason) in cases {
        let found = decode_one(&column("some \"column\"", oid, typmod), TypesMode::Portable, &Some(hex(bytes)));
        let error = found.expect_err("a value without a place");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "postgres.value"), "type {oid} from {bytes}");
        assert!(error.message().contains(reason), "{}", error.message());
        assert_eq!((error.get("column"), error.get("row")), (Some("some \"column\""), Some("1")));
        let hint = error.hint_text().expect("a way out");
        assert!(hint.contains(r#"`columns: {"some \"column\"": text}`"#), "{hint}");
    }
}
