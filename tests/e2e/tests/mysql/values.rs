//! Floats bit by bit, values without an exact place, and what policies and overrides make of values.
//! Must not know how a value travels.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::mariadb;
use serde_json::{Value, json};

use crate::{config, servers, workspace};

#[test]
fn floats_keep_every_bit() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("floats")?;
        let singles = ["0", "0.1", "-1e-37", "3.4028234e38", "1.17549435e-38", "16777217", "1.1"];
        let doubles = ["0", "0.1", "-1e-300", "1.7976931348623157e308", "4.9e-324", "0.30000000000000004", "1.1"];
        let rows: Vec<String> =
            singles.iter().zip(doubles).enumerate().map(|(i, (f, d))| format!("({i}, {f}, {d})")).collect();
        server.sql(
            &database,
            &format!(
                "create table t (id int primary key, f4 float, f8 double); insert into t values {}",
                rows.join(", ")
            ),
        )?;
        let read = workspace(&server.url(&database), "table: t")?.into_export()?;
        let ours = read.rows("f4::varchar f4, f8::varchar f8", "order by id")?;
        for (ours, (single, double)) in ours.iter().zip(singles.iter().zip(doubles)) {
            let text = |name: &str| ours[name].as_str().context("a number").map(str::to_owned);
            assert_eq!(text("f4")?.parse::<f32>()?.to_bits(), single.parse::<f32>()?.to_bits(), "{ours}");
            assert_eq!(text("f8")?.parse::<f64>()?.to_bits(), double.parse::<f64>()?.to_bits(), "{ours}");
        }
        let keys = "table: t\ncolumns: {f4: text, f8: text}";
        let texts = workspace(&server.url(&database), keys)?.into_export()?.rows("f4, f8", "order by id")?;
        for (ours, (single, double)) in texts.iter().zip(singles.iter().zip(doubles)) {
            let text = |name: &str| ours[name].as_str().context("a text").map(str::to_owned);
            assert_eq!(text("f4")?.parse::<f32>()?.to_bits(), single.parse::<f32>()?.to_bits(), "{ours}");
            assert_eq!(text("f8")?.parse::<f64>()?.to_bits(), double.parse::<f64>()?.to_bits(), "{ours}");
        }
    }
    Ok(())
}

/// Whoever has such a default has such rows: it is said before the first of them stops a run.
#[test]
fn a_default_of_zero_dates_is_told_by_check() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("zeros")?;
        server.sql(
            &database,
            "create table t (id int primary key, day date not null default '0000-00-00', \
               noted datetime not null default '0000-00-00 00:00:00', due date not null default '2024-01-01')",
        )?;
        for (keys, told) in [
            ("", Some("the default of 'day', 'noted' is a zero date")),
            ("\ncolumns: {day: text}", Some("the default of 'noted' is a zero date")),
            ("\nexclude: [day, noted]", None),
            ("\npolicies: {zero_date: null}", None),
        ] {
            let ran = workspace(&server.url(&database), &format!("table: t{keys}"))?.rivet(&["check"])?;
            let said = format!("{}{}", ran.text()?, ran.stderr);
            ensure!(told.is_none_or(|told| said.contains(told)), "{keys}: {said}");
            ensure!(told.is_some() || !said.contains("zero date"), "{keys}: {said}");
        }
    }
    Ok(())
}

const NO_PLACE: [(&str, &str); 8] = [
    ("date", "'0000-00-00'"),
    ("date", "'2024-00-10'"),
    ("date", "'2024-02-00'"),
    ("datetime", "'0000-00-00 00:00:00'"),
    ("timestamp null", "'0000-00-00 00:00:00'"),
    ("time", "'-00:00:01'"),
    ("time", "'24:00:00'"),
    ("time(6)", "'838:59:59'"),
];

#[test]
fn a_value_without_an_exact_place_is_refused_by_name_and_its_hint_works() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("no_place")?;
    for (n, (kind, value)) in NO_PLACE.into_iter().enumerate() {
        server.sql(
            &database,
            &format!("create table t{n} (id int, `the Value` {kind}); insert into t{n} values (1, null), (2, {value})"),
        )?;
        let url = server.url(&database);
        let ran = workspace(&url, &format!("table: t{n}"))?.rivet(&["run"])?.expect(3)?;
        for part in ["the Value", "row 2", "hint:", "columns: {\"the Value\": text}"] {
            ensure!(ran.stderr.contains(part), "{kind} {value}: {part} in {}", ran.stderr);
        }
        let read = workspace(&url, &format!("table: t{n}\ncolumns: {{\"the Value\": text}}"))?.into_export()?;
        let text = read.rows("\"the Value\" as v", "where id = 2")?;
        let printed = server.sql(&database, &format!("select `the Value` from t{n} where id = 2"))?;
        assert_eq!(text, [json!({"v": printed.trim()})]);
        let policy =
            if kind.starts_with("time") && !kind.starts_with("timestamp") { "out_of_range" } else { "zero_date" };
        let read = workspace(&url, &format!("table: t{n}\npolicies: {{{policy}: null}}"))?.into_export()?;
        assert_eq!(read.manifest["policy_hits"], json!([["the Value", policy, 1]]), "{kind} {value}");
        assert_eq!(read.rows("count(\"the Value\") as n", "")?, [json!({"n": 0})]);
    }
    Ok(())
}

#[test]
fn policies_and_overrides_reach_the_file_and_the_manifest() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("chosen")?;
        server.sql(
            &database,
            "create table t (id int, at timestamp(6) null, price decimal(20,8), day date, n bigint, flag tinyint(1), b bit(9), \
               ti time, u binary(16), raw varbinary(40)); \
             insert into t values (1, '2024-07-01 10:00:00', 12.345, '0000-00-00', 70000, 1, 300, '-10:00:00', \
               X'00112233445566778899aabbccddeeff', '{\"a\": 1}'), (2, null, -0.0005, '2024-02-29', 7, 0, 1, '23:00:00', null, null)",
        )?;
        let choices = "columns: {at: text, price: {type: 'decimal(9,2)', lossy: true}, n: {type: int16, out_of_range: clamp}, \
                       b: int32, ti: {out_of_range: clamp}, u: uuid, raw: json}\n\
                       policies: {zero_date: null, tinyint1: bool}";
        let read = workspace(&server.url(&database), &format!("table: t\n{choices}"))?.into_export()?;
        let columns = "\"at\" as moment, price::varchar price, day::varchar as d, n, flag, b, ti::varchar ti, u, raw::varchar as raw";
        let expected = [
            json!({"moment": "2024-07-01 10:00:00.000000", "price": "12.35", "d": null, "n": 32767, "flag": true, "b": 300,
                   "ti": "00:00:00", "u": "00112233-4455-6677-8899-aabbccddeeff", "raw": "{\"a\": 1}"}),
            json!({"moment": null, "price": "0.00", "d": "2024-02-29", "n": 7, "flag": false, "b": 1, "ti": "23:00:00",
                   "u": null, "raw": null}),
        ];
        assert_eq!(read.rows(columns, "order by id")?, expected);
        let hits = read.manifest["policy_hits"].as_array().context("the manifest counts what policies changed")?;
        for hit in [json!(["day", "zero_date", 1]), json!(["n", "out_of_range", 1]), json!(["ti", "out_of_range", 1])] {
            assert!(hits.contains(&hit), "{hit} in {hits:?}");
        }
        let shown = workspace(&server.url(&database), &format!("table: t\n{choices}"))?.rivet(&["run"])?.expect(0)?;
        let told = "policies:    day zero_date 1, n out_of_range 1, ti out_of_range 1\n";
        ensure!(shown.stderr.contains(told), "{}", shown.stderr);
        let refused = workspace(&server.url(&database), "table: t\ncolumns: {at: int64}")?.rivet(&["run"])?;
        ensure!(refused.code != Some(0), "a timestamp is no number");
        for part in ["column 'at'", "cannot be delivered as int64", "hint:"] {
            ensure!(refused.stderr.contains(part), "{part} in {}", refused.stderr);
        }
        let lossy =
            workspace(&server.url(&database), "table: t\ncolumns: {price: float64}")?.rivet(&["run"])?.expect(1)?;
        ensure!(lossy.stderr.contains("lossy: true"), "{}", lossy.stderr);
    }
    Ok(())
}

/// Bytes of a character set that no character of it has.
const NO_TEXT: [(&str, &str); 3] = [("ascii", "41e9"), ("sjis", "81ad"), ("greek", "41d2")];

#[test]
fn text_that_is_none_is_refused_and_its_bytes_are_there() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("no_text")?;
    for (charset, bytes) in NO_TEXT {
        let table = format!("create table {charset} (id int, v varchar(9) character set {charset})");
        server
            .sql(&database, &format!("{table}; insert into {charset} values (1, 'a?'), (2, X'{bytes}'), (3, null)"))?;
        let url = server.url(&database);
        let ran = workspace(&url, &format!("table: {charset}"))?.rivet(&["run"])?.expect(3)?;
        for part in ["not valid utf-8", "row 2", "invalid_text: replace"] {
            ensure!(ran.stderr.contains(part), "{charset}: {part} in {}", ran.stderr);
        }
        for keys in ["policies: {invalid_text: binary}", "columns: {v: binary}"] {
            let read = workspace(&url, &format!("table: {charset}\n{keys}"))?.into_export()?;
            let found = read.rows("lower(hex(v)) as v", "order by id")?;
            assert_eq!(found, [json!({"v": "613f"}), json!({"v": bytes}), json!({"v": null})], "{charset} {keys}");
        }
        let replaced =
            workspace(&url, &format!("table: {charset}\npolicies: {{invalid_text: replace}}"))?.into_export()?;
        assert_eq!(replaced.manifest["policy_hits"], json!([["v", "invalid_text", 1]]), "{charset}");
    }
    Ok(())
}

#[test]
fn a_text_is_a_uuid_only_in_the_form_of_one() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("text_uuid")?;
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    for (n, (text, is_uuid)) in [(uuid, true), ("sixteen letters!", false)].into_iter().enumerate() {
        server.sql(&database, &format!("create table t{n} (v varchar(40)); insert into t{n} values ('{text}')"))?;
        let place = workspace(&server.url(&database), &format!("table: t{n}\ncolumns: {{v: uuid}}"))?;
        if is_uuid {
            assert_eq!(place.into_export()?.rows("v::varchar as v", "")?, [json!({"v": text})]);
        } else {
            let ran = place.rivet(&["run"])?.expect(3)?;
            ensure!(ran.stderr.contains("is no uuid"), "{}", ran.stderr);
        }
    }
    Ok(())
}

#[test]
fn a_bool_that_is_none_and_an_enum_that_grew_are_refused() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("refused")?;
    server.sql(&database, "create table t (flag tinyint(1)); insert into t values (1), (2)")?;
    let keys = "table: t\npolicies: {tinyint1: bool}";
    let ran = workspace(&server.url(&database), keys)?.rivet(&["run"])?.expect(3)?;
    ensure!(ran.stderr.contains("flag") && ran.stderr.contains("row 2"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn a_row_beyond_the_limit_names_its_column() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("large")?;
        server.sql(
            &database,
            "create table t (id int primary key, small text, big longtext); \
             insert into t values (1, 'a', 'b'), (2, 'a', repeat('x', 3000000))",
        )?;
        let limited = "table: t\ntuning: {max_value_mb: 1}";
        let ran = workspace(&server.url(&database), limited)?.rivet(&["run"])?.expect(3)?;
        for part in ["big", "max_value_mb: 3", "row 2"] {
            ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
        }
        let enough = "table: t\ntuning: {max_value_mb: 3}";
        assert_eq!(workspace(&server.url(&database), enough)?.into_export()?.n_rows(), 2);
    }
    Ok(())
}

#[test]
fn check_reports_the_types() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("report")?;
    server.sql(
        &database,
        "create table t (id int unsigned primary key, j json, u uuid, e enum('a'), wide decimal(65,30))",
    )?;
    let place = workspace(&server.url(&database), "table: t")?;
    let ran = place.rivet(&["check", "--type-report", "--output", "json"])?.expect(0)?;
    let found = ran.json()?;
    let columns = found["exports"][0]["columns"].as_array().context("columns are reported")?;
    let told: Vec<(&Value, &Value)> = columns.iter().map(|c| (&c["native_type"], &c["logical_type"])).collect();
    assert_eq!(
        told,
        [
            (&json!("int(10) unsigned"), &json!("uint32")),
            (&json!("longtext"), &json!("json")),
            (&json!("uuid"), &json!("uuid")),
            (&json!("enum('a')"), &json!("enum")),
            (&json!("decimal(65,30)"), &json!("decimal(65,30)")),
        ]
    );
    let doctor = Workspace::new(&config("", "table: t"))?.with_variable("TEST_URL", &server.url(&database));
    let ran = doctor.rivet(&["doctor"])?.expect(0)?;
    ensure!(String::from_utf8_lossy(&ran.stdout).contains("MariaDB 10.11"), "{}", String::from_utf8_lossy(&ran.stdout));
    Ok(())
}
