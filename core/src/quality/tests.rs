//! Limits and what is just beyond them; what is measured in batches of all shapes.
//! They must not know a run.

use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float32Array, Float64Array, Int64Array, NullArray, RecordBatch, StringArray,
};
use expect_test::expect;
use rivet_plugin_api::{Column, ColumnChoice, SubMicrosecond, TypesMode};

use super::*;

fn quality(min: Option<u64>, max: Option<u64>, nulls: Option<f64>, unique: &[&str]) -> Quality {
    Quality {
        row_count_min: min,
        row_count_max: max,
        null_ratio_max: nulls.into_iter().map(|ratio| ("a".to_owned(), ratio)).collect(),
        unique_columns: unique.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn passed(quality: Quality, rows: u64, figures: &Figures) -> bool {
    Rules { quality, ..Rules::default() }.judge(rows, figures).iter().all(|rule| rule.passed)
}

#[test]
fn a_limit_is_kept_and_one_more_is_too_much() {
    let none = Figures::default();
    for (min, max, rows, expected) in [
        (Some(10), None, 10, true),
        (Some(10), None, 9, false),
        (None, Some(10), 10, true),
        (None, Some(10), 11, false),
        (Some(0), Some(0), 0, true),
        (None, Some(0), 1, false),
        (Some(1), None, 0, false),
    ] {
        assert_eq!(passed(quality(min, max, None, &[]), rows, &none), expected, "{min:?} {max:?} {rows}");
    }
    // Ratios that no double holds exactly, at the limit and one NULL beyond.
    for (limit, nulls, rows) in [(0.0, 0, 10), (0.1, 1, 10), (0.07, 7, 100), (0.3, 3, 10), (0.001, 29, 29_000)] {
        let figures = |nulls| Figures { nulls: vec![nulls], ..Figures::default() };
        assert!(passed(quality(None, None, Some(limit), &[]), rows, &figures(nulls)), "{limit} {nulls} {rows}");
        assert!(!passed(quality(None, None, Some(limit), &[]), rows, &figures(nulls + 1)), "{limit} {nulls} {rows}");
    }
    let no_rows = Figures { nulls: vec![0], repeated: vec![0] };
    assert!(passed(quality(None, None, Some(0.0), &["a"]), 0, &no_rows));
    let figures = |n| Figures { repeated: vec![n], ..Figures::default() };
    assert!(passed(quality(None, None, None, &["a"]), 9, &figures(0)));
    assert!(!passed(quality(None, None, None, &["a"]), 9, &figures(1)));
}

#[test]
fn each_rule_says_its_limit_and_its_figure() {
    let rules = Rules { quality: quality(Some(3), Some(1), Some(0.25), &["p", "u"]), proved: vec!["p".to_owned()] };
    let said = |rows, figures: &Figures| -> String {
        rules.judge(rows, figures).iter().map(|rule| format!("{} {rule}\n", rule.passed)).collect()
    };
    expect![[r#"
        false row_count_min 3: 2 rows
        false row_count_max 1: 2 rows
        false null_ratio_max a 0.25: 1 row is NULL, 0.5 of all
        true unique_columns p: 0 rows repeat a value
        false unique_columns u: 1 row repeats a value
    "#]]
    .assert_eq(&said(2, &Figures { nulls: vec![1], repeated: vec![1] }));
    let rule = &rules.judge(1, &Figures { nulls: vec![0], repeated: vec![0] })[3];
    let json = serde_json::to_string(rule).expect("it is JSON");
    assert_eq!(json, r#"{"rule":"unique_columns","column":"p","limit":0,"figure":0,"proved":true,"passed":true}"#);
    assert_eq!(serde_json::from_str::<Checked>(&json).expect("it comes back"), *rule);
}

fn described(logical: LogicalType, fidelity: Fidelity) -> TableSchema {
    let column = Column { fidelity, ..Column::new("a", "native", logical) };
    let b = Column::new("b", "text", LogicalType::Text);
    TableSchema {
        keys: vec![vec!["a".to_owned()], vec!["a".to_owned(), "b".to_owned()]],
        ..TableSchema::of(vec![column, b])
    }
}

fn table() -> Relation {
    Relation::Table { schema: None, name: "t".to_owned() }
}

#[test]
fn the_catalogue_proves_keys_of_one_column_and_one_form_that_are_read_as_they_are() {
    let int = || LogicalType::Int { bits: 64, signed: true };
    let proved = |schema: &TableSchema, relation: &Relation, choices: &Choices, one_snapshot| {
        let written = schema.arrow_schema(TypesMode::Portable);
        let quality = quality(None, None, None, &["a", "b"]);
        let reading = Reading { relation, choices, one_snapshot };
        Rules::of(&quality, schema, &written, &reading).expect("the columns are there").proved
    };
    let plain = Choices::default();
    let exact = described(int(), Fidelity::Exact);
    assert_eq!(proved(&exact, &table(), &plain, true), ["a"]);
    let nothing: [String; 0] = [];
    assert_eq!(proved(&exact, &table(), &plain, false), nothing, "each statement reads its own state");
    let query = Relation::Query { sql: "select".to_owned() };
    assert_eq!(proved(&exact, &query, &plain, true), nothing);
    assert_eq!(proved(&described(int(), Fidelity::Text), &table(), &plain, true), nothing);
    let at = LogicalType::Timestamp { utc: false, nanos: false };
    assert_eq!(proved(&described(at, Fidelity::Exact), &table(), &plain, true), nothing);
    let column = ColumnChoice { logical: Some(LogicalType::Text), ..ColumnChoice::default() };
    let chosen = Choices { columns: [("a".to_owned(), column)].into(), ..Choices::default() };
    assert_eq!(proved(&exact, &table(), &chosen, true), nothing);
    let policies = Policies { sub_microsecond: Some(SubMicrosecond::Truncate), ..Policies::default() };
    assert_eq!(proved(&exact, &table(), &Choices { policies, ..Choices::default() }, true), nothing);
}

#[test]
fn a_column_that_is_not_exported_is_refused() {
    let schema = described(LogicalType::Text, Fidelity::Exact);
    let written = schema.arrow_schema(TypesMode::Portable);
    let refused = |quality: Quality| {
        let reading = Reading { relation: &table(), choices: &Choices::default(), one_snapshot: true };
        let error = Rules::of(&quality, &schema, &written, &reading).expect_err("it is refused");
        format!("{error}; {}", error.hint().unwrap_or_default())
    };
    assert_eq!(
        refused(quality(None, None, None, &["B"])),
        "`quality.unique_columns` names the column 'B', which is not exported from t; did you mean 'b'?"
    );
    let ratio = Quality { null_ratio_max: [("email".to_owned(), 0.1)].into(), ..Quality::default() };
    assert_eq!(
        refused(ratio),
        "`quality.null_ratio_max` names the column 'email', which is not exported from t; it exports a, b"
    );
}

/// Batches of column `a`, each an attempt, of which the last one fails.
fn measured(batches: Vec<ArrayRef>) -> Figures {
    let dir = tempfile::tempdir().expect("a folder");
    let schema = Schema::new(vec![arrow_schema::Field::new("a", batches[0].data_type().clone(), true)]);
    let rules = Rules { quality: quality(None, None, Some(1.0), &["a"]), ..Rules::default() };
    let observed = Observed::new(&rules, &schema, (1 << 20, 2), Scratch::new(dir.path().join("scratch")));
    let n = batches.len();
    for (i, column) in batches.into_iter().enumerate() {
        let mut attempt = observed.attempt();
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), vec![column]).expect("a batch");
        attempt.add(&batch).expect("it is measured");
        if i + 1 < n {
            attempt.keep().expect("it is kept");
        }
    }
    observed.figures(&|| false).expect("they are there")
}

#[test]
fn nulls_and_repeats_are_counted_over_attempts_and_only_of_those_that_succeeded() {
    let text = |values: &[Option<&str>]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let found = measured(vec![
        text(&[Some("x"), None, Some("")]),
        text(&[None, Some("x"), Some("y")]),
        text(&[Some("y"), None]),
    ]);
    assert_eq!(found, Figures { nulls: vec![2], repeated: vec![1] });
    let int = |values: &[Option<i64>]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let sliced = int(&[Some(9), Some(1), None, Some(1), Some(9)]).slice(1, 3);
    assert_eq!(measured(vec![sliced, int(&[Some(9)])]), Figures { nulls: vec![1], repeated: vec![1] });
    // A dictionary may have NULL among what it stands for; a column of nothing but NULLs has no bitmap of them.
    let values = StringArray::from(vec![Some("x"), None]);
    let keys = arrow_array::Int8Array::from(vec![Some(0), Some(1), None, Some(0)]);
    let coded: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::try_new(keys, Arc::new(values)).expect("it fits"));
    assert_eq!(measured(vec![coded.clone(), coded]), Figures { nulls: vec![2], repeated: vec![1] });
    let nothing: ArrayRef = Arc::new(NullArray::new(3));
    assert_eq!(measured(vec![nothing.clone(), nothing]), Figures { nulls: vec![3], repeated: vec![0] });
}

#[test]
fn numbers_that_are_equal_repeat_whatever_their_bytes() {
    let other_nan = f64::from_bits(f64::NAN.to_bits() ^ 1 | 1 << 63);
    let doubles = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let found = measured(vec![doubles(&[0.0, 1.0, f64::NAN]), doubles(&[-0.0, -1.0, other_nan]), doubles(&[])]);
    assert_eq!(found.repeated, [2]);
    let singles: ArrayRef = Arc::new(Float32Array::from(vec![Some(-0.0), Some(0.0), None, Some(f32::MIN_POSITIVE)]));
    assert_eq!(measured(vec![singles.clone(), singles.slice(0, 0)]), Figures { nulls: vec![1], repeated: vec![1] });
    // Texts are what is exported.
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1.0", "1.00", "0", "-0"]));
    assert_eq!(measured(vec![texts.clone(), texts.slice(0, 0)]).repeated, [0]);
}
