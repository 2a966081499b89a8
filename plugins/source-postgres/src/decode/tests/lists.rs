//! Arrays and enums: what a server sent against lists written down by hand, and what no server sends.
//! It must not test elements, which are columns like any other.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch};
use rivet_plugin_api::{ErrorKind, PluginError, TypesMode};

use super::{BatchDecoder, Cell, array, column, decoder, hex, mood, schema, tuple};

/// `{1,NULL}`
const TWO: &str = "00000001000000010000001700000002000000010000000400000001ffffffff";
/// `{}`
const NONE: &str = "000000000000000000000017";

fn one_and_null() -> Vec<u8> {
    hex(TWO)
}

/// `{{7,8},{9,10}}` with these lengths of its dimensions, which may be lies.
fn square(outer: &str, inner: &str) -> Vec<u8> {
    let elements: String = (7..11).map(|n| format!("00000004{n:08x}")).collect();
    hex(&format!("000000020000000000000017{outer}00000001{inner}00000001{elements}"))
}

fn read(columns: &[crate::types::ColumnPlan], rows: &[Cell]) -> Result<RecordBatch, PluginError> {
    let mut decoder = decoder(columns, TypesMode::Native);
    for row in rows {
        decoder.push(&tuple(std::slice::from_ref(row)))?;
    }
    decoder.finish()
}

#[test]
fn null_empty_and_null_elements_differ() {
    let rows = [Some(one_and_null()), None, Some(hex(NONE)), Some(one_and_null())];
    let found = read(&[array("a", 23, 1)], &rows).expect("arrays of one dimension");
    let lists = found.column(0).as_list::<i32>();
    let one = Some(vec![Some(1), None]);
    let expected = ListArray::from_iter_primitive::<Int32Type, _, _>([one.clone(), None, Some(vec![]), one]);
    assert_eq!(lists.offsets(), expected.offsets());
    assert_eq!((lists.values(), lists.nulls()), (expected.values(), expected.nulls()));
}

#[test]
fn dimensions_are_levels() {
    let two = array("a", 23, 2);
    let found = read(std::slice::from_ref(&two), &[Some(hex(NONE)), Some(square("00000002", "00000002")), None])
        .expect("a square");
    let outer = found.column(0).as_list::<i32>();
    assert_eq!((outer.value_length(0), outer.value_length(1), outer.is_null(2)), (0, 2, true));
    let inner: ArrayRef = outer.value(1);
    let expected: ArrayRef = Arc::new(arrow_array::Int32Array::from(vec![9, 10]));
    assert_eq!(&inner.as_list::<i32>().value(1), &expected);
    for (plan, value) in [(two, one_and_null()), (array("a", 23, 1), square("00000002", "00000002"))] {
        let error = read(&[plan], &[None, Some(value)]).expect_err("other dimensions");
        assert_eq!((error.kind(), error.get("column"), error.get("row")), (ErrorKind::Data, Some("a"), Some("2")));
        assert!(error.message().contains("dimensions"), "{error}");
    }
}

#[test]
fn lengths_that_lie_are_refused_before_they_cost_memory() {
    for (outer, inner) in
        [("00000003", "00000002"), ("00000001", "00000002"), ("7fffffff", "7fffffff"), ("7fffffff", "00000000")]
    {
        let error = read(&[array("a", 23, 2)], &[Some(square(outer, inner))]).expect_err("not the length");
        assert_eq!(error.code(), "postgres.protocol", "{outer} {inner}");
    }
}

#[test]
fn a_row_that_fails_late_leaves_no_element() {
    let columns = [array("a", 23, 1), array("b", 1082, 1), column("c", 23, -1)];
    let mut decoder = decoder(&columns, TypesMode::Portable);
    let day = |bytes: &str| Some(hex(&format!("00000001000000000000043a000000010000000100000004{bytes}")));
    let int = |n: i32| Some(n.to_be_bytes().to_vec());
    let good = tuple(&[Some(one_and_null()), day("00000000"), int(1)]);
    let infinite = tuple(&[Some(one_and_null()), day("7fffffff"), int(2)]);
    let cut = &good[..good.len() - 1];
    decoder.push(&good).expect("a good row");
    for bad in [&infinite[..], cut] {
        decoder.push(bad).expect_err("a bad row");
    }
    decoder.push(&good).expect("a good row");
    let batch = decoder.finish().expect("two good rows");
    assert_eq!(batch.num_rows(), 2);
    let lists = batch.column(0).as_list::<i32>();
    let values = lists.values().as_primitive::<Int32Type>().iter().collect::<Vec<_>>();
    assert_eq!(values, [Some(1), None, Some(1), None]);
    assert_eq!(batch.column(1).as_list::<i32>().values().len(), 2);
}

#[test]
fn text_of_an_element_that_is_not_utf8_names_its_row() {
    let good = "000000010000000000000019000000010000000100000001";
    let rows = [format!("{good}61"), "000000000000000000000019".to_owned(), format!("{good}ff"), format!("{good}62")];
    let rows: Vec<Cell> = rows.iter().map(|bytes| Some(hex(bytes))).collect();
    let error = read(&[array("t", 25, 1)], &rows).expect_err("an element that is not UTF-8");
    assert_eq!((error.get("column"), error.get("row")), (Some("t"), Some("3")));
}

#[test]
fn elements_count_as_bytes_of_the_batch() {
    let columns = [array("a", 23, 1)];
    let mut decoder =
        BatchDecoder::new(&columns, schema(&columns, TypesMode::Portable), 1_000_000, 10_000).expect("a decoder");
    while !decoder.is_full() {
        decoder.push(&tuple(&[Some(one_and_null())])).expect("a good row");
    }
    let claimed = decoder.bytes();
    let batch = decoder.finish().expect("good rows");
    let held = batch.column(0).to_data().get_slice_memory_size().expect("a known layout");
    assert!(claimed.abs_diff(held) < claimed / 10, "{claimed} claimed, {held} held");
}

#[test]
fn labels_are_the_same_dictionary_in_every_batch() {
    let columns = [mood("m")];
    let label = |text: &str| tuple(&[Some(text.as_bytes().to_vec())]);
    let mut decoder = decoder(&columns, TypesMode::Native);
    let mut batches = Vec::new();
    for rows in [["ok", "ok"], ["sad", "ok"]] {
        rows.iter().for_each(|text| decoder.push(&label(text)).expect("a label"));
        decoder.push(&tuple(&[None])).expect("the column is nullable");
        batches.push(decoder.finish().expect("labels"));
    }
    let keys = |batch: &RecordBatch| batch.column(0).as_dictionary::<Int32Type>().keys().iter().collect::<Vec<_>>();
    assert_eq!(keys(&batches[0]), [Some(1), Some(1), None]);
    assert_eq!(keys(&batches[1]), [Some(0), Some(1), None]);
    let words = |batch: &RecordBatch| batch.column(0).as_dictionary::<Int32Type>().values().clone();
    assert_eq!(&words(&batches[0]), &words(&batches[1]));
    let error = decoder.push(&label("new")).expect_err("a label that was not described");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "postgres.unknown_label"));
}
