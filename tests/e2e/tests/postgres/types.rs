//! Floats bit by bit, values without an exact place, and what policies and overrides make of values.
//! Must not know how a value travels.

use anyhow::{Context, Result, ensure};
use rivet_test_servers::postgres;
use serde_json::{Value, json};

use crate::{psql_json, workspace};

#[test]
fn floats_keep_every_bit() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("floats")?;
    let values =
        "('0'), ('-0'), ('0.1'), ('1e-37'), ('3.4028234e38'), ('NaN'), ('Infinity'), ('-Infinity'), ('1.17549435e-38')";
    server.psql(
        &database,
        &format!(
            "create table t as select row_number() over ()::int id, v::float4 f4, v::float8 f8 from (values {values}) x(v); \
             insert into t values (10, null, 4.9e-324), (11, null, 1.7976931348623157e308), (12, null, 0.30000000000000004); \
             alter database {database} set extra_float_digits = -10"
        ),
    )?;
    let read = workspace(&server.url(&database), "table: t")?.into_export()?;
    let sql = "set extra_float_digits = 3; select json_build_array(f4::text, f8::text) from t order by id";
    let theirs = psql_json(server, &database, sql)?;
    let ours = read.rows("f4::varchar f4, f8::varchar f8", "order by id")?;
    assert_eq!((ours.len(), theirs.len()), (12, 12));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let single = |v: &Value| v.as_str().map(|text| text.parse::<f32>().map(f32::to_bits)).transpose();
        let double = |v: &Value| v.as_str().map(|text| text.parse::<f64>().map(f64::to_bits)).transpose();
        assert_eq!(single(&ours["f4"])?, single(&theirs[0])?, "{ours} {theirs}");
        assert_eq!(double(&ours["f8"])?, double(&theirs[1])?, "{ours} {theirs}");
    }
    Ok(())
}

#[test]
fn a_value_without_an_exact_place_is_refused_by_name() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("no_place")?;
    for (n, (kind, value)) in [
        ("timestamp", "'infinity'"),
        ("timestamptz", "'-infinity'"),
        ("date", "'infinity'"),
        ("numeric(5,2)", "'NaN'"),
        ("time", "'24:00:00'"),
        // Microseconds since 2000 hold it, microseconds since 1970 do not.
        ("timestamp", "'294276-12-31 23:59:59.999999'"),
    ]
    .into_iter()
    .enumerate()
    {
        server.psql(
            &database,
            &format!(
                "create table t{n} as select 1 id, null::{kind} \"the Value\" union all select 2, {value}::{kind}"
            ),
        )?;
        let place = workspace(&server.url(&database), &format!("table: t{n}"))?;
        let ran = place.rivet(&["run"])?.expect(3)?;
        for part in ["the Value", "row 2", "hint:"] {
            ensure!(ran.stderr.contains(part), "{kind} {value}: {part} in {}", ran.stderr);
        }
        let left = rivet_test_e2e::files_below(&place.path().join("out"))?;
        ensure!(left.is_empty(), "{left:?}");
    }
    Ok(())
}

#[test]
fn policies_and_overrides_reach_the_file_and_the_manifest() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("chosen")?;
    server.psql(
        &database,
        "create table t (id int, at timestamptz, price numeric, ratio numeric(5,2), day date, n int8); \
         insert into t values (1, '2024-07-01 12:00+02', 12.345, 'NaN', 'infinity', 70000), \
           (2, null, -0.0005, 1.5, '2024-02-29', 7)",
    )?;
    let choices = "columns: {at: text, price: {type: 'decimal(9,2)', lossy: true}, n: {type: int16, out_of_range: clamp}}\n\
                   policies: {nan: null, infinity_timestamp: null}";
    let place = workspace(&server.url(&database), &format!("table: t\n{choices}"))?;
    let read = place.export()?;
    let found =
        read.rows("\"at\" as moment, price::varchar price, ratio::varchar ratio, day::varchar as d, n", "order by id")?;
    let expected = [
        json!({"moment": "2024-07-01 10:00:00+00", "price": "12.35", "ratio": null, "d": null, "n": 32767}),
        json!({"moment": null, "price": "0.00", "ratio": "1.50", "d": "2024-02-29", "n": 7}),
    ];
    assert_eq!(found, expected);
    let hits = read.manifest["policy_hits"].as_array().context("the manifest counts what policies changed")?;
    for hit in [json!(["ratio", "nan", 1]), json!(["day", "infinity_timestamp", 1]), json!(["n", "out_of_range", 1])] {
        assert!(hits.contains(&hit), "{hit} in {hits:?}");
    }
    let schema = read.schema()?;
    for line in ["at: string", "price: decimal128(9, 2)", "n: int16"] {
        assert!(schema.lines().any(|found| found == line), "{line} in {schema}");
    }
    let place = workspace(&server.url(&database), "table: t\ncolumns: {at: int64}")?;
    let ran = place.rivet(&["run"])?;
    ensure!(ran.code != Some(0), "a timestamp is no number");
    for part in ["column 'at'", "timestamp with time zone and cannot be delivered as int64", "hint:"] {
        ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn hits_of_a_policy_are_summed_over_splits() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("summed")?;
    let fill = "create table t as select i id, case i % 2 when 0 then 'NaN'::numeric else 1 end::numeric(5,2) r, repeat('x', 60) v \
                from generate_series(1, 240000) i; analyze t";
    server.psql(&database, fill)?;
    let place = workspace(&server.url(&database), "table: t\nparallel: 2\npolicies: {nan: null}")?;
    let manifest = place.export()?.manifest;
    ensure!(manifest["strategy"] == "full-parallel(2)", "{}", manifest["strategy"]);
    assert_eq!(manifest["policy_hits"], json!([["r", "nan", 120_000]]));
    Ok(())
}

#[test]
fn a_column_that_is_left_out_is_not_in_the_way() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("left_out")?;
    server.psql(&database, "create table t as select 1 id, 1.5::numeric n")?;
    let url = server.url(&database);
    let refused = workspace(&url, "table: t\npolicies: {numeric_unbounded: error}")?.rivet(&["run"])?.expect(1)?;
    ensure!(refused.stderr.contains("'n'") || refused.stderr.contains("\"n\""), "{}", refused.stderr);
    for leave_out in ["select: [id]", "exclude: [n]"] {
        let keys = format!("table: t\n{leave_out}\npolicies: {{numeric_unbounded: error}}");
        assert_eq!(workspace(&url, &keys)?.export()?.n_rows(), 1, "{leave_out}");
    }
    Ok(())
}

#[test]
fn what_is_no_type_of_a_table_is_read_as_text() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("pseudo")?;
    let query = "query: select row(1, 'a b') r, pg_sleep(0) v, null n, 'x' u, array[row(1, 2)] a, array[null] e, '1'::cstring c";
    let read = workspace(&server.url(&database), query)?.into_export()?;
    let found = read.rows("*", "")?;
    let expected = json!({"r": "(1,\"a b\")", "v": "", "n": null, "u": "x", "a": ["(1,2)"], "e": [null], "c": "1"});
    assert_eq!(found, [expected]);
    // Nothing of the system's own catalogue is refused: types that no table can have, of all kinds.
    for table in ["pg_stats", "pg_class", "pg_type", "pg_index", "pg_proc", "pg_settings", "pg_operator"] {
        let place = workspace(&server.url(&database), &format!("table: pg_catalog.{table}"))?;
        ensure!(place.export()?.n_rows() > 0, "{table}");
    }
    Ok(())
}
