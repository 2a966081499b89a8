//! Batches: when they are full, what they weigh, how rows are numbered, and that each starts anew.
//! It must not test single values.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type};
use arrow_schema::{DataType, Field, Schema};
use rivet_plugin_api::{ErrorKind, TypesMode};

use super::{BatchDecoder, Cell, Random, column, decimal, decoder, schema, tuple};

fn text(text: &str) -> Cell {
    Some(text.as_bytes().to_vec())
}

fn int4(n: i32) -> Cell {
    Some(n.to_be_bytes().to_vec())
}

#[test]
fn rows_of_many_batches_come_out_in_order() {
    let columns = [column("id", 20, -1), column("name", 25, -1), column("flag", 16, -1), decimal(9, 2)];
    let schema = schema(&columns, TypesMode::Portable);
    let mut decoder = BatchDecoder::new(&columns, schema.clone(), 100, usize::MAX).expect("a decoder");
    let mut random = Random(3);
    let mut expected: Vec<[Option<u64>; 4]> = Vec::new();
    let mut batches = Vec::new();
    for row in 0..1_234_u64 {
        let mut some = |n: u64| (random.below(3) != 0).then_some(n);
        let values = [some(row), some(row * row), some(row % 2), some(row % 10_000)];
        decoder
            .push(&tuple(&[
                values[0].map(|n| n.to_be_bytes().to_vec()),
                values[1].map(|n| "é".repeat(n as usize % 40).into_bytes()),
                values[2].map(|n| vec![n as u8]),
                // Whole numbers below 10 000 have one group.
                values[3].map(|n| [&[0, 1, 0, 0, 0, 0, 0, 2], &(n as u16).to_be_bytes()[..]].concat()),
            ]))
            .expect("the tuple is well formed");
        expected.push(values);
        if decoder.is_full() {
            assert_eq!(decoder.rows(), 100);
            batches.push(decoder.finish().expect("the text is valid"));
            assert!(decoder.is_empty());
            assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
        }
    }
    assert!(!decoder.is_empty());
    batches.push(decoder.finish().expect("the text is valid"));
    assert_eq!(batches.len(), 13);
    let mut rows = expected.into_iter();
    for batch in batches {
        assert_eq!(batch.schema(), schema);
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let names = batch.column(1).as_string::<i32>();
        let flags = batch.column(2).as_boolean();
        let amounts = batch.column(3).as_primitive::<Decimal128Type>();
        for i in 0..batch.num_rows() {
            let [id, name, flag, amount] = rows.next().expect("no more rows than were pushed");
            assert_eq!(ids.is_valid(i).then(|| ids.value(i) as u64), id);
            assert_eq!(names.is_valid(i).then(|| names.value(i).to_owned()), name.map(|n| "é".repeat(n as usize % 40)));
            assert_eq!(flags.is_valid(i).then(|| u64::from(flags.value(i))), flag);
            assert_eq!(amounts.is_valid(i).then(|| amounts.value(i) as u64), amount.map(|n| 100 * n));
        }
    }
    assert_eq!(rows.next(), None);
}

#[test]
fn a_batch_is_cut_by_bytes_and_says_what_it_weighs() {
    let columns = [
        column("id", 23, -1),
        column("name", 25, -1),
        column("raw", 17, -1),
        column("u", 2950, -1),
        column("doc", 3802, -1),
        column("n", 1700, -1),
    ];
    let schema = schema(&columns, TypesMode::Portable);
    let mut decoder = BatchDecoder::new(&columns, schema, usize::MAX, 100_000).expect("a decoder");
    let mut n_rows = 0;
    while !decoder.is_full() {
        let before = decoder.bytes();
        let json = Some(b"\x01{\"a\": \"some text\"}".to_vec());
        // 7 × 10 000^5, twenty digits more than it has bytes.
        let numeric = Some(vec![0, 1, 0, 5, 0, 0, 0, 0, 0, 7]);
        let row = [int4(n_rows), text(&"x".repeat(n_rows as usize % 90)), None, Some(vec![1; 16]), json, numeric];
        decoder.push(&tuple(&row)).expect("the tuple is well formed");
        assert!(decoder.bytes() - before <= 250, "no row is that wide");
        n_rows += 1;
    }
    let claimed = decoder.bytes();
    assert!((100_000..100_250).contains(&claimed), "{claimed}");
    let batch = decoder.finish().expect("the text is valid");
    assert_eq!(batch.num_rows(), n_rows as usize);
    // What the arrays hold, without room to spare.
    let held: usize =
        batch.columns().iter().map(|c| c.to_data().get_slice_memory_size().expect("a known layout")).sum();
    assert!(claimed.abs_diff(held) < claimed / 100, "{claimed} claimed, {held} held");
}

#[test]
fn a_large_value_does_not_grow_later_batches() {
    let columns = [column("name", 25, -1)];
    let mut decoder =
        BatchDecoder::new(&columns, schema(&columns, TypesMode::Portable), 2, 1 << 20).expect("a decoder");
    decoder.push(&tuple(&[text(&"x".repeat(3 << 20))])).expect("any single value is taken");
    assert!(decoder.is_full());
    assert_eq!(decoder.finish().expect("the text is valid").num_rows(), 1);
    decoder.push(&tuple(&[text("a")])).expect("the tuple is well formed");
    let batch = decoder.finish().expect("the text is valid");
    assert!(batch.get_array_memory_size() < 10_000, "{}", batch.get_array_memory_size());
}

#[test]
fn rows_are_numbered_over_all_batches_and_bad_ones_are_taken_back() {
    let columns = [column("id", 23, -1), column("day", 1082, -1), column("name", 25, -1)];
    let mut decoder = decoder(&columns, TypesMode::Portable);
    let good = tuple(&[int4(1), int4(0), text("a")]);
    let null = tuple(&[None, None, None]);
    let infinite = tuple(&[None, int4(i32::MAX), text("b")]);
    for _ in 0..3 {
        decoder.push(&good).expect("the tuple is well formed");
    }
    decoder.finish().expect("the text is valid");
    for push in [&good, &null] {
        decoder.push(push).expect("the tuple is well formed");
    }
    let error = decoder.push(&infinite).expect_err("infinity has no place");
    assert_eq!((error.get("column"), error.get("row")), (Some("day"), Some("6")));
    let error = decoder.push(&good[..good.len() - 1]).expect_err("the tuple is cut");
    assert_eq!((error.get("column"), error.get("row")), (Some("name"), Some("6")));
    decoder.push(&good).expect("the tuple is well formed");
    let batch = decoder.finish().expect("the text is valid");
    assert_eq!(batch.num_rows(), 3);
    let ids = batch.column(0).as_primitive::<Int32Type>().iter().collect::<Vec<_>>();
    assert_eq!(ids, [Some(1), None, Some(1)], "the bad rows left no trace");
    assert_eq!(batch.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some("a")]);
}

#[test]
fn text_that_is_not_utf8_is_refused_by_row() {
    // Once broken by itself, once such that only the two together are valid.
    for (before, bad) in [(&b"fine"[..], &b"\xff\xfe"[..]), (b"\xc3", b"\xa4"), (b"ok", b"\xe2\x82")] {
        let first_bad = if before == b"\xc3" { "4" } else { "5" };
        let mut decoder = decoder(&[column("name", 25, -1)], TypesMode::Portable);
        for _ in 0..2 {
            decoder.push(&tuple(&[text("before")])).expect("the tuple is well formed");
        }
        decoder.finish().expect("the text is valid");
        for cell in [Some(&b"x"[..]), Some(before), Some(bad), None] {
            decoder.push(&tuple(&[cell.map(<[u8]>::to_vec)])).expect("text is checked at the end");
        }
        let error = decoder.finish().expect_err("the text is not valid");
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!((error.get("column"), error.get("row")), (Some("name"), Some(first_bad)));
        assert!(
            error.hint_text().is_some_and(|hint| hint.ends_with("`policies: {invalid_text: replace}` or `binary`")),
            "{error:?}"
        );
    }
}

#[test]
fn a_null_in_a_not_null_column_is_drift() {
    let mut plan = column("id", 23, -1);
    plan.column.nullable = false;
    let mut decoder = decoder(&[plan], TypesMode::Portable);
    decoder.push(&tuple(&[int4(1)])).expect("the tuple is well formed");
    let error = decoder.push(&tuple(&[None])).expect_err("NULL in NOT NULL");
    assert_eq!((error.kind(), error.get("column"), error.get("row")), (ErrorKind::Schema, Some("id"), Some("2")));
    assert_eq!(decoder.finish().expect("one good row").num_rows(), 1);
}

#[test]
fn a_schema_of_other_columns_is_refused() {
    let plan = [column("id", 23, -1)];
    for fields in [
        vec![],
        vec![Field::new("id", DataType::Int64, true)],
        vec![Field::new("id", DataType::Int32, true), Field::new("x", DataType::Int32, true)],
    ] {
        let error = BatchDecoder::new(&plan, Schema::new(fields).into(), 1, 1).expect_err("not the columns' schema");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "postgres.plan"));
    }
}

#[test]
fn limits_of_zero_mean_one_row() {
    let columns = [column("id", 23, -1)];
    let mut decoder = BatchDecoder::new(&columns, schema(&columns, TypesMode::Portable), 0, 0).expect("a decoder");
    assert!(!decoder.is_full());
    decoder.push(&tuple(&[int4(7)])).expect("the tuple is well formed");
    assert!(decoder.is_full());
}
