//! Overrides: what each type can be delivered as, and how a refusal reads.
//! It must not test values.

use std::collections::BTreeMap;

use rivet_plugin_api::{
    Choices, ColumnChoice, ErrorKind, Fidelity, LogicalType, Nan, NumericUnbounded, OutOfRange, PluginError, Policies,
};

use super::{array, base, list, typmod};
use crate::types::{CatalogType, ColumnPlan};

fn chosen(t: &CatalogType, choice: ColumnChoice) -> Result<ColumnPlan, PluginError> {
    let t = CatalogType { formatted: "native".into(), ..t.clone() };
    let columns = BTreeMap::from([("c".to_owned(), choice)]);
    ColumnPlan::chosen("c", false, &t, &Choices { columns, ..Choices::default() })
}

fn as_type(t: &CatalogType, logical: LogicalType, lossy: bool) -> Result<ColumnPlan, PluginError> {
    chosen(t, ColumnChoice { logical: Some(logical), lossy, ..ColumnChoice::default() })
}

/// What the SELECT list says when the override is exact, when it is lossy; `-` = refused.
type Case = (u32, LogicalType, &'static str, &'static str);

fn cases() -> Vec<Case> {
    use LogicalType::{Binary, Date, Json, Text, Uuid};
    let int = |bits| LogicalType::Int { bits, signed: true };
    let uint = |bits| LogicalType::Int { bits, signed: false };
    let float = |bits| LogicalType::Float { bits };
    let decimal = LogicalType::Decimal { precision: 18, scale: 2 };
    let timestamp = |utc| LogicalType::Timestamp { utc, nanos: false };
    let int8_numeric = "@::pg_catalog.int8::pg_catalog.numeric";
    vec![
        (16, Text, "@::pg_catalog.text", "@::pg_catalog.text"),
        (16, int(8), "@::pg_catalog.int4::pg_catalog.int8", "@::pg_catalog.int4::pg_catalog.int8"),
        (20, Text, "@::pg_catalog.text", "@::pg_catalog.text"),
        (20, int(32), "@::pg_catalog.int8", "@::pg_catalog.int8"),
        (20, uint(64), "@::pg_catalog.int8", "@::pg_catalog.int8"),
        (21, int(32), "@::pg_catalog.int4", "@::pg_catalog.int4"),
        (23, int(64), "@::pg_catalog.int8", "@::pg_catalog.int8"),
        (23, decimal.clone(), int8_numeric, "pg_catalog.round(@::pg_catalog.int8::pg_catalog.numeric, 2)"),
        (23, float(64), "@::pg_catalog.float8", "@::pg_catalog.float8"),
        (20, float(64), "-", "@::pg_catalog.float8"),
        (701, decimal.clone(), "-", "pg_catalog.round(@::pg_catalog.text::pg_catalog.numeric, 2)"),
        (701, int(64), "-", "pg_catalog.round(@::pg_catalog.text::pg_catalog.numeric, 0)"),
        (701, float(32), "-", "@::pg_catalog.float4"),
        (700, float(64), "@::pg_catalog.float8", "@::pg_catalog.float8"),
        (790, decimal.clone(), "@::pg_catalog.numeric", "pg_catalog.round(@::pg_catalog.numeric, 2)"),
        (1700, decimal.clone(), "@", "pg_catalog.round(@, 2)"),
        (1700, int(64), "@", "pg_catalog.round(@, 0)"),
        (1184, Text, "@::pg_catalog.text", "@::pg_catalog.text"),
        (1184, timestamp(false), "-", "@"),
        (1114, Date, "-", "@::pg_catalog.date"),
        (1082, timestamp(false), "@::pg_catalog.timestamp", "@::pg_catalog.timestamp"),
        (1082, timestamp(true), "-", "-"),
        (2950, Text, "@", "@"),
        (3802, Text, "@", "@"),
        (17, Text, "@::pg_catalog.text", "@::pg_catalog.text"),
        (25, Binary, "@", "@"),
        (25, Json, "@::pg_catalog.text::pg_catalog.json", "@::pg_catalog.text::pg_catalog.json"),
        (25, decimal.clone(), "-", "-"),
        (25, Uuid, "-", "-"),
        (2950, decimal, "-", "-"),
    ]
}

#[test]
fn an_override_is_delivered_exactly_or_refused() {
    for (oid, wanted, exact, lossy) in cases() {
        for (expected, is_lossy) in [(exact, false), (lossy, true)] {
            let found = as_type(&base(oid, -1), wanted.clone(), is_lossy);
            if expected == "-" {
                let error = found.expect_err("a refusal");
                assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "postgres.override"));
                assert!(error.message().contains(&format!("native and cannot be delivered as {wanted}")), "{error}");
                assert!(error.hint_text().is_some(), "{error:?}");
                assert_eq!(error.hint_text().is_some_and(|h| h.contains("lossy")), lossy != "-", "{error:?}");
                continue;
            }
            let plan = found.unwrap_or_else(|e| panic!("{oid} as {wanted}: {e}"));
            assert_eq!((plan.select.0.as_ref(), &plan.column.logical), (expected, &wanted), "{oid} as {wanted}");
            assert_eq!(plan.column.fidelity == Fidelity::Text, wanted == LogicalType::Text, "{oid} as {wanted}");
        }
    }
}

#[test]
fn an_array_can_have_other_dimensions_or_be_text() {
    let int = LogicalType::Int { bits: 32, signed: true };
    let ints = array(base(23, -1), 1);
    let plan = as_type(&ints, list(list(int)), false).expect("two dimensions");
    assert_eq!(plan.select.0, "@");
    assert_eq!(as_type(&ints, LogicalType::Text, false).expect("text").select.0, "@::pg_catalog.text");
    as_type(&ints, list(LogicalType::Text), true).expect_err("other elements");
}

#[test]
fn what_a_policy_makes_null_can_be_null() {
    let null = Some(OutOfRange::Null);
    let infinity = Policies { infinity_timestamp: null, ..Policies::default() };
    let range = Policies { out_of_range: null, ..Policies::default() };
    let nan = Policies { nan: Some(Nan::Null), ..Policies::default() };
    let decimal = typmod(9, 2);
    let cases = [
        (1082, -1, infinity, true),
        (1114, -1, range, true),
        (1083, -1, range, true),
        (1083, -1, infinity, false),
        (1700, decimal, nan, true),
        (1700, -1, nan, false),
        (1700, decimal, infinity, false),
        (20, -1, range, false),
        (701, -1, nan, false),
    ];
    for (oid, typmod, policies, nullable) in cases {
        let plan = chosen(&base(oid, typmod), ColumnChoice { policies, ..ColumnChoice::default() }).expect("a plan");
        assert_eq!(plan.column.nullable, nullable, "{oid} {policies:?}");
    }
}

#[test]
fn a_numeric_without_precision_is_refused_where_the_policy_says_so() {
    let with = |numeric_unbounded| {
        let policies = Policies { numeric_unbounded: Some(numeric_unbounded), ..Policies::default() };
        chosen(&array(base(1700, -1), 1), ColumnChoice { policies, ..ColumnChoice::default() })
    };
    let error = with(NumericUnbounded::Error).expect_err("a refusal");
    assert_eq!((error.code(), error.get("column")), ("postgres.numeric_unbounded", Some("c")));
    with(NumericUnbounded::Decimal { precision: 77, scale: 2 }).expect_err("no such decimal");
    with(NumericUnbounded::Decimal { precision: 10, scale: 11 }).expect_err("no such decimal");
    with(NumericUnbounded::Text).expect("text");
}
