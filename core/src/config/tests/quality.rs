//! The `quality` block: what it becomes, how it lies over defaults, and what is said when it is wrong.
//! It must not know how rules are judged.

use expect_test::expect;

use super::values::fields;
use super::{SOURCE, export, read};

#[test]
fn rules_of_an_export_lie_over_those_of_defaults() {
    let text = format!(
        "{SOURCE}defaults: {{quality: {{row_count_min: 1, null_ratio_max: {{a: 0.5, b: 0}}, unique_columns: [id]}}}}\n\
         exports: [{{name: x, table: t, destination: {{type: d}}, quality: {{row_count_min: 1, row_count_max: 1, \
         null_ratio_max: {{a: 1}}}}}}]"
    );
    let config = read(&text).expect("it is right");
    expect![[r#"
        Quality { row_count_min: Some(1)
        row_count_max: Some(1)
        null_ratio_max: {"a": 1.0
        "b": 0.0}
        unique_columns: ["id"] }"#]]
    .assert_eq(&fields(&config.exports[0].quality));
}

#[test]
fn what_is_wrong_with_a_rule() {
    let texts = [
        "table: t, quality: {row_count_mim: 1}",
        "table: t, quality: {row_count_min: -1}",
        "table: t, quality: {row_count_min: 2, row_count_max: 1}",
        "table: t, quality: {null_ratio_max: {a: 1.01, b: -0.1, c: 5%}}",
        "table: t, quality: {null_ratio_max: 0.1}",
        "table: t, quality: {unique_columns: id}",
        "table: t, quality: {unique_columns: [id, id, '']}",
        "table: t, quality: {unique_columns: []}",
        "table: t, quality: [row_count_min]",
    ];
    export(
        &texts,
        expect![[r#"
        "table: t, quality: {row_count_mim: 1}"
        config.unknown_key: unknown key exports.orders.quality.row_count_mim (line 2)
          hint: did you mean 'row_count_min'?
        "table: t, quality: {row_count_min: -1}"
        config.bad_value: exports.orders.quality.row_count_min (line 2) must be at least 0
        "table: t, quality: {row_count_min: 2, row_count_max: 1}"
        config.bad_value: exports.orders.quality.row_count_min (line 2) is more than `row_count_max`
          hint: the larger number is `row_count_max`
        "table: t, quality: {null_ratio_max: {a: 1.01, b: -0.1, c: 5%}}"
        config.bad_value: exports.orders.quality.null_ratio_max.a (line 2) must be between 0 and 1
        config.bad_value: exports.orders.quality.null_ratio_max.b (line 2) must be between 0 and 1
        config.wrong_type: exports.orders.quality.null_ratio_max.c (line 2) must be a number, not text
        "table: t, quality: {null_ratio_max: 0.1}"
        config.wrong_type: exports.orders.quality.null_ratio_max (line 2) must be a block of keys, not a fraction
        "table: t, quality: {unique_columns: id}"
        config.wrong_type: exports.orders.quality.unique_columns (line 2) must be a list, not text
        "table: t, quality: {unique_columns: [id, id, '']}"
        config.bad_value: exports.orders.quality.unique_columns[1] (line 2) is in the list already
        config.bad_value: exports.orders.quality.unique_columns[2] (line 2) is empty
          hint: give it a value, or remove the key
        "table: t, quality: {unique_columns: []}"
        config.bad_value: exports.orders.quality.unique_columns (line 2) is empty
          hint: give it a value, or remove the key
        "table: t, quality: [row_count_min]"
        config.wrong_type: exports.orders.quality (line 2) must be a block of keys, not a list
    "#]],
    );
}
