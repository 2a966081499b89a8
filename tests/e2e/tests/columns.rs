//! Which columns and rows an export holds: select, exclude, where, query files, parameters, meta columns.
//! Must not know any crate of the product.

use std::fs;

use anyhow::{Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::oracle;
use serde_json::json;

fn place(keys: &str) -> Result<Workspace> {
    let config = format!(
        "source: {{type: sqlite, path: data.db}}\nexports:\n  - {{name: t, destination: {{type: local, path: out}}, {keys}}}\n"
    );
    let place = Workspace::new(&config)?;
    const SCRIPT: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
    let sql = "create table t (id integer primary key, a text, b text, n integer); insert into t values \
               (1, 'a', 'b', 1), (2, 'ab', '', 1), (3, '', 'ab', 1), (4, null, 'ab', 1), (5, 'ab', null, 2), (6, 'a', 'b', 1);";
    oracle::run(SCRIPT, &[&place.path().join("data.db").display().to_string(), sql])?;
    Ok(place)
}

fn read(place: &Workspace, words: &[&str]) -> Result<Exported> {
    place.rivet(&[&["run"], words].concat())?.expect(0)?;
    Exported::read(&place.path().join("out"))
}

fn names(exported: &Exported) -> Result<Vec<String>> {
    Ok(exported.schema()?.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect())
}

#[test]
fn columns_are_selected_in_order_or_excluded() -> Result<()> {
    for (keys, expected) in [
        ("table: t, select: [n, id]", ["n", "id"]),
        ("table: t, exclude: [a, n]", ["id", "b"]),
        ("query: 'select id, n * 2 as twice, a from t', exclude: [a]", ["id", "twice"]),
    ] {
        let place = place(keys)?;
        assert_eq!(names(&read(&place, &[])?)?, expected, "{keys}");
    }
    for (keys, word) in [
        ("table: t, select: [nn]", "'nn'"),
        ("table: t, exclude: [id, a, b, n]", "no columns"),
        ("table: t, select: [a], exclude: [b]", "both select and exclude"),
        ("table: t, columns: {a: int32}", "int32"),
        ("table: t, policies: {nan: null}", "`nan`"),
        ("query: 'select 1 as a', where: a = 1", "both query and where"),
        ("table: t, where: 'n > 1) or (n > 0'", "do not match"),
    ] {
        let ran = place(keys)?.rivet(&["run"])?.expect(1)?;
        ensure!(ran.stderr.contains(word) && ran.stderr.contains("hint:"), "{keys}: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn rows_are_those_of_the_condition_the_file_and_the_parameters() -> Result<()> {
    let ids = |exported: &Exported| exported.rows("list(id order by id) ids", "");
    let filtered = place("table: t, where: \"a = 'ab' or n = 2 -- not all\", parallel: 2")?;
    assert_eq!(ids(&read(&filtered, &[])?)?, [json!({"ids": [2, 5]})]);
    let place = place("query_file: sql/t.sql")?;
    fs::create_dir(place.path().join("sql"))?;
    fs::write(
        place.path().join("sql/t.sql"),
        "select id, a from t -- all\nwhere id >= ${low} and id <= ${HIGH:-5};\n",
    )?;
    assert_eq!(ids(&read(&place, &["-p", "low=4"])?)?, [json!({"ids": [4, 5]})]);
    let place = place.with_variable("HIGH", "1").with_variable("low", "9");
    assert_eq!(ids(&read(&place, &["--param", "low=1"])?)?, [json!({"ids": [1]})], "a parameter beats the environment");
    for (path, word) in [("../t.sql", "leaves"), ("/etc/passwd", "leaves"), ("sql/none.sql", "no such file")] {
        place.configure(&format!(
            "source: {{type: sqlite, path: data.db}}\n\
             exports: [{{name: t, query_file: '{path}', destination: {{type: local, path: out}}}}]\n"
        ))?;
        let ran = place.rivet(&["run"])?.expect(1)?;
        ensure!(ran.stderr.contains(word) && ran.stderr.contains("query_file"), "{}", ran.stderr);
    }
    Ok(())
}

#[test]
fn meta_columns_tell_when_and_which() -> Result<()> {
    let here = place("table: t, select: [a, b], meta_columns: true, parallel: 2")?;
    let exported = read(&here, &[])?;
    let schema = exported.schema()?;
    let meta = "_rivet_exported_at: timestamp[us, tz=UTC] not null\n_rivet_row_hash: int64 not null";
    ensure!(schema.trim_end().ends_with(meta), "{schema}");
    let counted = exported
        .rows("count(*) n, count(distinct _rivet_row_hash) hashes, count(distinct _rivet_exported_at) times", "")?;
    // Rows 1 and 6 are equal; the others differ in where a text ends and in what is NULL.
    assert_eq!(counted, [json!({"n": 6, "hashes": 5, "times": 1})]);
    let planned = exported.manifest["planned_at"].as_str().unwrap_or_default()[..19].replace('T', " ");
    let at = exported.rows("min(_rivet_exported_at)::varchar t", "")?[0]["t"].to_string();
    ensure!(at.contains(&planned), "{at} is when the run was planned: {planned}");
    let there = place("table: t, select: [a, b], meta_columns: [row_hash]")?;
    let again = read(&there, &[])?;
    let hashes = |e: &Exported| e.rows("_rivet_row_hash h", "order by 1");
    assert_eq!(hashes(&exported)?, hashes(&again)?, "a row has the same hash in every run");
    Ok(())
}
