//! `rivet check`: strategy, estimate, scan, verdict and types, without a trace.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::files_below;
use rivet_test_servers::postgres;
use serde_json::{Value, json};

use crate::workspace;

const TABLE: &str = "create table t (id bigint primary key, at timestamptz not null, amount numeric(12,2), n numeric, tod time);\n\
    insert into t select i, '2024-01-01'::timestamptz + i * interval '1 second', i, i, '12:00' from generate_series(1, 20000) i;\n\
    create index t_at on t (at); create index t_even on t (id) where id % 2 = 0; analyze t;";

#[test]
fn an_export_is_judged_by_how_its_rows_are_found() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("check")?;
    server.psql(&database, TABLE)?;
    let url = server.url(&database);
    let checked = |keys: &str, words: &[&str]| -> Result<Value> {
        let place = workspace(&url, keys)?;
        let ran = place.rivet(&[&["check", "--output", "json"], words].concat())?.expect(0)?;
        let left = files_below(place.path())?;
        ensure!(left.len() == 1, "only the config is there: {left:?}");
        Ok(ran.json()?["exports"][0].clone())
    };
    let full = checked("table: t", &[])?;
    assert_eq!((&full["strategy"], &full["verdict"]), (&json!("full-scan"), &json!("DEGRADED")), "{full}");
    let rows = full["estimated_rows"].as_u64().context("rows")?;
    ensure!((19_000..21_000).contains(&rows), "{full}");
    ensure!(
        full["scan"] == "Seq Scan on t" && full["server"].as_str().is_some_and(|s| s.starts_with("PostgreSQL")),
        "{full}"
    );
    let by_index = checked("table: t\nwhere: \"at > '2024-01-01 05:30:00+00'\"", &[])?;
    ensure!(
        by_index["verdict"] == "EFFICIENT" && by_index["scan"].as_str().is_some_and(|s| s.contains("t_at")),
        "{by_index}"
    );
    ensure!(by_index["estimated_rows"].as_u64().is_some_and(|n| n < 1000), "{by_index}");
    let scanning = checked("table: t\nmode: incremental\ncursor_column: n", &[])?;
    ensure!(scanning["suggestions"].to_string().contains("index n"), "{scanning}");
    assert_eq!(scanning["cursor_range"], json!([null, "20000"]));
    Ok(())
}

#[test]
fn types_are_reported_and_strictly_refused() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("check_types")?;
    server.psql(&database, TABLE)?;
    let place = workspace(&server.url(&database), "table: t")?;
    let ran = place.rivet(&["check", "--type-report", "--target", "spark"])?.expect(0)?;
    let text = ran.text()?;
    for words in
        [["amount", "numeric(12,2)", "exact"], ["n ", "numeric", "text"], ["tod", "time without time zone", "TIME"]]
    {
        let found = text.lines().any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(found, "{words:?} in\n{text}");
    }
    ensure!(text.contains("column 'tod': Spark refuses"), "{text}");
    place.rivet(&["check", "--strict"])?.expect(3)?;
    let plain = workspace(&server.url(&database), "table: t\nselect: [id, at, amount]")?;
    plain.rivet(&["check", "--strict", "--target", "spark"])?.expect(0)?;
    let missing = workspace(&server.url(&database), "table: nowhere")?;
    let ran = missing.rivet(&["check"])?.expect(1)?;
    ensure!(ran.stderr.contains("nowhere") && ran.stderr.contains("hint:"), "{}", ran.stderr);
    Ok(())
}
