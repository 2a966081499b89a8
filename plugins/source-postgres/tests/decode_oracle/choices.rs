//! Policies and overrides against what the server itself makes of the same values.
//! Must not share code with the decoder.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use rivet_plugin_api::{
    Choices, ColumnChoice, ErrorKind, InvalidText, LogicalType, Nan, NumericUnbounded, OutOfRange, PluginError,
    Policies, TypesMode,
};

use crate::database::Database;
use crate::render::render;

fn choose(choice: ColumnChoice) -> Choices {
    Choices { columns: BTreeMap::from([("c".to_owned(), choice)]), ..Choices::default() }
}

fn policies(policies: Policies) -> Choices {
    Choices { policies, ..Choices::default() }
}

/// Texts of values, and how often each policy changed one.
type Values = (Vec<Option<String>>, Vec<(String, u64)>);

/// All values of column `c` as the server would print them, and the policy hits.
fn read(db: &Database, types: TypesMode, choices: Choices) -> Result<Values> {
    let read = db.read("t", types, choices)?;
    ensure!(read.columns.len() == 1, "one column");
    let mut values = Vec::new();
    for batch in &read.batches {
        let column = batch.column(0);
        values.extend((0..column.len()).map(|row| render(column, row, "")));
    }
    let hits = read.facts.policy_hits.into_iter().map(|(column, policy, n)| {
        assert_eq!(column, "c");
        (policy, n)
    });
    Ok((values, hits.collect()))
}

fn refusal(db: &Database, choices: Choices) -> Result<PluginError> {
    let error = db.read("t", TypesMode::Portable, choices).err().context("a refusal")?;
    error.downcast()
}

fn make(db: &Database, sql_type: &str, values: &[&str]) -> Result<()> {
    let rows: Vec<_> = values.iter().map(|v| format!("(({v})::{sql_type})")).collect();
    db.run(&format!(
        "drop table if exists t; create table t (c {sql_type} not null); insert into t values {}",
        rows.join(", ")
    ))
    .map(drop)
}

/// Type, good value, bad value, the policy's name, what each choice makes of the bad value (NULL or the nearest).
struct PolicyCase {
    sql_type: &'static str,
    good: (&'static str, &'static str),
    bad: &'static str,
    policy: &'static str,
    nearest: Option<&'static str>,
}

const POLICY_CASES: [PolicyCase; 10] = [
    case("date", ("'2024-02-29'", "2024-02-29"), "'infinity'", "infinity_timestamp", Some("5881580-07-11")),
    case("date", ("'2024-02-29'", "2024-02-29"), "'-infinity'", "infinity_timestamp", Some("5877642-06-24 BC")),
    case(
        "timestamp",
        ("'2024-02-29'", "2024-02-29 00:00:00"),
        "'infinity'",
        "infinity_timestamp",
        Some("294247-01-10 04:00:54.775807"),
    ),
    case(
        "timestamptz",
        ("'2024-02-29 00:00Z'", "2024-02-29 00:00:00+00"),
        "'-infinity'",
        "infinity_timestamp",
        Some("290309-12-21 19:59:05.224193+00 BC"),
    ),
    case(
        "timestamp",
        ("'2024-02-29'", "2024-02-29 00:00:00"),
        "'294276-12-31'",
        "out_of_range",
        Some("294247-01-10 04:00:54.775807"),
    ),
    case("time", ("'12:00'", "12:00:00"), "'24:00'", "out_of_range", Some("23:59:59.999999")),
    case("numeric(5,2)", ("1.5", "1.50"), "'NaN'", "nan", None),
    case("numeric(60,2)", ("1.5", "1.50"), "'NaN'", "nan", None),
    case("date[]", ("'{2024-02-29}'", ""), "'{infinity}'", "infinity_timestamp", None),
    case("numeric(5,2)[]", ("'{1.5}'", ""), "'{NaN}'", "nan", None),
];

const fn case(
    sql_type: &'static str,
    good: (&'static str, &'static str),
    bad: &'static str,
    policy: &'static str,
    nearest: Option<&'static str>,
) -> PolicyCase {
    PolicyCase { sql_type, good, bad, policy, nearest }
}

#[test]
fn each_policy_stops_replaces_or_clamps_and_counts() -> Result<()> {
    let db = Database::new("policies")?;
    for PolicyCase { sql_type, good, bad, policy, nearest } in POLICY_CASES {
        make(&db, sql_type, &[good.0, bad, good.0, bad])?;
        let set = |choice: OutOfRange| match policy {
            "nan" => Policies { nan: Some(Nan::Null), ..Policies::default() },
            "out_of_range" => Policies { out_of_range: Some(choice), ..Policies::default() },
            _ => Policies { infinity_timestamp: Some(choice), ..Policies::default() },
        };
        let native = TypesMode::Native;
        let error = db.read("t", native, Choices::default()).err().context("a refusal")?.downcast::<PluginError>()?;
        assert_eq!((error.kind(), error.get("column"), error.get("row")), (ErrorKind::Data, Some("c"), Some("2")));
        assert!(error.hint_text().is_some_and(|h| h.contains(policy)), "{error:?}");
        let is_list = sql_type.ends_with("[]");
        let null = db.read("t", native, policies(set(OutOfRange::Null)))?;
        assert_eq!(null.columns[0].nullable, !is_list, "{sql_type}: what is null can be null");
        let column = null.batches[0].column(0);
        if is_list {
            let elements = column.as_list::<i32>();
            assert_eq!((column.null_count(), elements.values().null_count()), (0, 2), "{sql_type}");
        } else {
            let (values, hits) = read(&db, native, policies(set(OutOfRange::Null)))?;
            let good = Some(good.1.to_owned());
            assert_eq!(values, [good.clone(), None, good, None], "{sql_type} {bad}");
            assert_eq!(hits, [(policy.to_owned(), 2)]);
        }
        assert_eq!(null.facts.policy_hits, [("c".to_owned(), policy.to_owned(), 2)], "{sql_type} {bad}");
        if let Some(nearest) = nearest {
            let (values, hits) = read(&db, native, policies(set(OutOfRange::Clamp)))?;
            assert_eq!((values[1].as_deref(), values[3].as_deref()), (Some(nearest), Some(nearest)), "{sql_type}");
            assert_eq!(hits, [(policy.to_owned(), 2)]);
        }
    }
    Ok(())
}

/// Type, values, chosen type, lossy, the server's expression for the same, or a part of the error.
type OverrideCase = (&'static str, &'static [&'static str], LogicalType, bool, Result<&'static str, &'static str>);

fn override_cases() -> Vec<OverrideCase> {
    use LogicalType::{Date, Json, Text};
    let int = |bits| LogicalType::Int { bits, signed: true };
    let decimal = |precision, scale| LogicalType::Decimal { precision, scale };
    let timestamp = |utc| LogicalType::Timestamp { utc, nanos: false };
    vec![
        ("timestamptz", &["'2024-01-01 00:00+03'", "'infinity'"], Text, false, Ok("c::text")),
        ("bool", &["true"], Text, false, Ok("c::text")),
        ("int4[]", &["'{{1,2},{3,NULL}}'", "'[0:1]={1,2}'"], Text, false, Ok("c::text")),
        ("inet", &["'::1'"], Text, false, Ok("inet_out(c)::text")),
        ("interval", &["'1 mon -3 days'"], Text, false, Ok("c::text")),
        ("float8", &["0.1", "'NaN'", "1e300"], Text, false, Ok("c::text")),
        ("bytea", &["'\\x00ff'"], Text, false, Ok("c::text")),
        ("numeric", &["12.5", "-0.005"], decimal(10, 3), false, Ok("round(c, 3)::text")),
        ("numeric", &["12.5", "-0.0055"], decimal(10, 3), false, Err("more digits after the point")),
        ("numeric", &["12345678.5", "-0.0055", "0.0005", "2.0005"], decimal(11, 3), true, Ok("round(c, 3)::text")),
        ("numeric", &["123456789"], decimal(10, 3), true, Err("more digits than")),
        ("numeric(10,2)", &["12.5"], decimal(60, 9), false, Ok("round(c, 9)::text")),
        ("int8", &["9223372036854775807", "-1"], decimal(38, 2), false, Ok("round(c, 2)::text")),
        ("money", &["-1234.56"], decimal(19, 2), false, Ok("c::numeric::text")),
        ("float8", &["0.1", "1e-9", "2.5"], decimal(18, 2), true, Ok("round(c::text::numeric, 2)::text")),
        ("float8", &["0.1"], decimal(18, 2), false, Err("without changing values")),
        ("int4", &["-2147483648", "1"], int(64), false, Ok("c::text")),
        ("int8", &["-2147483648", "1"], int(32), false, Ok("c::text")),
        ("int8", &["2147483648"], int(32), false, Err("beyond the range")),
        ("int8", &["9223372036854775807", "0"], LogicalType::Int { bits: 64, signed: false }, false, Ok("c::text")),
        ("int8", &["-1"], LogicalType::Int { bits: 64, signed: false }, false, Err("beyond the range")),
        (
            "numeric(20,0)",
            &["18446744073709551615"],
            LogicalType::Int { bits: 64, signed: false },
            false,
            Ok("c::text"),
        ),
        ("numeric(20,0)", &["-1"], LogicalType::Int { bits: 64, signed: false }, false, Err("beyond the range")),
        ("numeric", &["7", "-7.0"], int(64), false, Ok("c::int8::text")),
        ("numeric", &["7.5"], int(64), false, Err("more digits after the point")),
        ("numeric", &["7.5", "-8.5"], int(64), true, Ok("c::int8::text")),
        ("bool", &["true", "false"], int(64), false, Ok("c::int::text")),
        ("date", &["'0044-03-15 BC'"], timestamp(false), false, Ok("c::timestamp::text")),
        ("timestamptz", &["'2024-07-01 00:00+03'"], timestamp(false), true, Ok("c::timestamp::text")),
        ("timestamp", &["'2024-07-01 23:59'"], Date, true, Ok("c::date::text")),
        ("text", &["'{\"a\":  1}'"], Json, false, Ok("c::text")),
        ("text", &["'{'"], Json, false, Err("invalid input syntax")),
        ("text", &["'1'"], int(64), false, Err("cannot be delivered")),
    ]
}

#[test]
fn an_override_is_what_the_server_makes_of_it_or_an_error() -> Result<()> {
    let db = Database::new("overrides")?;
    for (sql_type, values, wanted, lossy, expected) in override_cases() {
        make(&db, sql_type, values)?;
        let choice = ColumnChoice { logical: Some(wanted.clone()), lossy, ..ColumnChoice::default() };
        let context = || format!("{sql_type} {values:?} as {wanted}");
        match expected {
            Ok(expression) => {
                let theirs = db.run(&format!("select {expression} from t"))?;
                for types in [TypesMode::Portable, TypesMode::Native] {
                    let (ours, hits) = read(&db, types, choose(choice.clone())).with_context(context)?;
                    let ours: Vec<_> = ours.into_iter().flatten().collect();
                    assert_eq!(ours, theirs.lines().collect::<Vec<_>>(), "{}", context());
                    assert!(hits.is_empty());
                }
            }
            Err(part) => {
                let error = refusal(&db, choose(choice)).with_context(context)?;
                assert!(error.message().contains(part), "{}: {error}", context());
                assert!(error.kind() == ErrorKind::Unsupported || error.kind() == ErrorKind::Data, "{error:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_number_beyond_an_override_can_be_null_or_the_nearest() -> Result<()> {
    let db = Database::new("nearest")?;
    let cases = [
        ("int8", "70000", LogicalType::Int { bits: 16, signed: true }, "32767"),
        ("int8", "-70000", LogicalType::Int { bits: 16, signed: true }, "-32768"),
        ("numeric", "-12345", LogicalType::Decimal { precision: 5, scale: 2 }, "-999.99"),
        ("numeric", "1e40", LogicalType::Decimal { precision: 5, scale: 2 }, "999.99"),
        ("numeric", "-1e50", LogicalType::Decimal { precision: 45, scale: 0 }, &format!("-{}", "9".repeat(45))),
        ("numeric", "-1e50", LogicalType::Int { bits: 16, signed: true }, "-32768"),
    ];
    for (sql_type, value, logical, nearest) in cases {
        make(&db, sql_type, &["7", value])?;
        let with = |out_of_range| {
            let policies = Policies { out_of_range, ..Policies::default() };
            choose(ColumnChoice { logical: Some(logical.clone()), policies, ..ColumnChoice::default() })
        };
        for types in [TypesMode::Portable, TypesMode::Native] {
            let (values, hits) = read(&db, types, with(Some(OutOfRange::Clamp)))?;
            assert_eq!(values[1].as_deref(), Some(nearest), "{value} as {logical}");
            assert_eq!(hits, [("out_of_range".to_owned(), 1)]);
            let (values, _) = read(&db, types, with(Some(OutOfRange::Null)))?;
            assert_eq!(values[1], None, "{value} as {logical}");
        }
        refusal(&db, with(None))?;
    }
    Ok(())
}

#[test]
fn a_numeric_without_precision_is_text_a_decimal_or_refused() -> Result<()> {
    let db = Database::new("unbounded")?;
    make(&db, "numeric", &["1.10", "-7"])?;
    let with = |numeric_unbounded| policies(Policies { numeric_unbounded, ..Policies::default() });
    let text = |values: [&str; 2]| values.map(|v| Some(v.to_owned())).to_vec();
    let decimal = Some(NumericUnbounded::Decimal { precision: 38, scale: 9 });
    assert_eq!(read(&db, TypesMode::Portable, with(None))?.0, text(["1.10", "-7"]));
    assert_eq!(read(&db, TypesMode::Portable, with(decimal))?.0, text(["1.100000000", "-7.000000000"]));
    let error = refusal(&db, with(Some(NumericUnbounded::Error)))?;
    assert_eq!((error.code(), error.get("column")), ("postgres.numeric_unbounded", Some("c")));
    Ok(())
}

#[test]
fn arrays_of_other_shapes_are_refused_with_a_way_out() -> Result<()> {
    let db = Database::new("shapes")?;
    let int = LogicalType::Int { bits: 32, signed: true };
    let list = |element| LogicalType::List { element: Box::new(element) };
    make(&db, "int4[]", &["'{1}'", "'{{1,2},{3,4}}'"])?;
    let error = refusal(&db, Choices::default())?;
    assert!(error.message().contains("dimensions") && error.get("row") == Some("2"), "{error:?}");
    make(&db, "int4[]", &["'{{1,2},{3,4}}'", "'{}'"])?;
    let two = ColumnChoice { logical: Some(list(list(int))), ..ColumnChoice::default() };
    let read_back = db.read("t", TypesMode::Portable, choose(two))?;
    let outer = read_back.batches[0].column(0).as_list::<i32>().clone();
    assert_eq!((outer.value_length(0), outer.value_length(1)), (2, 0));
    make(&db, "int4[]", &["'[0:1]={5,6}'"])?;
    let error = refusal(&db, Choices::default())?;
    assert!(error.message().contains("subscripts"), "{error:?}");
    let lossy = ColumnChoice { lossy: true, ..ColumnChoice::default() };
    assert_eq!(db.read("t", TypesMode::Portable, choose(lossy))?.batches[0].column(0).len(), 1);
    Ok(())
}

#[test]
fn text_of_a_database_without_an_encoding() -> Result<()> {
    let db = Database::encoded("ascii", "SQL_ASCII")?;
    db.run(
        "set client_encoding = 'SQL_ASCII';
         create table t (c text); insert into t values ('fine'), (E'caf\\xe9'), (E'\\xc3\\xa4'), (null)",
    )?;
    let with = |invalid_text| policies(Policies { invalid_text, ..Policies::default() });
    let error = refusal(&db, with(None))?;
    assert_eq!((error.kind(), error.get("column"), error.get("row")), (ErrorKind::Data, Some("c"), Some("2")));
    assert!(error.hint_text().is_some_and(|h| h.contains("invalid_text")), "{error:?}");
    let (values, hits) = read(&db, TypesMode::Portable, with(Some(InvalidText::Replace)))?;
    assert_eq!(values, [Some("fine".to_owned()), Some("caf\u{fffd}".to_owned()), Some("ä".to_owned()), None]);
    assert_eq!(hits, [("invalid_text".to_owned(), 1)]);
    let bytes = db.read("t", TypesMode::Portable, with(Some(InvalidText::Binary)))?;
    assert_eq!(bytes.columns[0].logical, LogicalType::Binary);
    let values: Vec<_> = bytes.batches[0].column(0).as_binary::<i32>().iter().collect();
    assert_eq!(values, [Some(&b"fine"[..]), Some(b"caf\xe9"), Some(b"\xc3\xa4"), None]);
    Ok(())
}

#[test]
fn a_geometry_is_well_known_binary_where_the_server_can_make_it() -> Result<()> {
    let db = Database::new("shapes")?;
    // What PostGIS has, as far as the catalogue goes.
    db.run(
        "create schema gis; create domain gis.unrelated as text;
         create type gis.geometry;
         create function gis.geometry_in(cstring) returns gis.geometry language internal immutable strict as 'byteain';
         create function gis.geometry_out(gis.geometry) returns cstring language internal immutable strict as 'byteaout';
         create type gis.geometry (input = gis.geometry_in, output = gis.geometry_out, internallength = variable);
         create function gis.st_asbinary(gis.geometry) returns bytea language sql as
           $$select '\\x0101'::bytea || gis.geometry_out($1)::text::bytea$$;
         create table t (c gis.geometry); insert into t values ('\\x07'), (null)",
    )?;
    let read_back = db.read("t", TypesMode::Portable, Choices::default())?;
    assert_eq!(read_back.columns[0].logical, LogicalType::Binary);
    let values: Vec<_> = read_back.batches[0].column(0).as_binary::<i32>().iter().collect();
    assert_eq!(values, [Some(&[1, 1, 7][..]), None]);
    Ok(())
}
