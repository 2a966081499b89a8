//! `rivet check`: strategy, estimate, scan, verdict and types, without a trace.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::files_below;
use rivet_test_servers::postgres::{self, Postgres, ROLE_PASSWORD};
use serde_json::{Value, json};

use crate::workspace;

const TABLE: &str = "create table t (id bigint primary key, at timestamptz not null, amount numeric(12,2), n numeric, tod time);\n\
    insert into t select i, '2024-01-01'::timestamptz + i * interval '1 second', i, i, '12:00' from generate_series(1, 20000) i;\n\
    create index t_at on t (at); create index t_even on t (id) where id % 2 = 0; analyze t;";

/// The judgement of export `t` with these keys.
fn checked(url: &str, keys: &str, words: &[&str]) -> Result<Value> {
    let place = workspace(url, keys)?;
    let ran = place.rivet(&[&["check", "--json"], words].concat())?.expect(0)?;
    let left = files_below(place.path())?;
    ensure!(left.len() == 1, "only the config is there: {left:?}");
    Ok(ran.json()?["exports"][0].clone())
}

#[test]
fn an_export_is_judged_by_how_its_rows_are_found() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("check")?;
    server.psql(&database, TABLE)?;
    let url = server.url(&database);
    let full = checked(&url, "table: t", &[])?;
    assert_eq!((&full["strategy"], &full["verdict"]), (&json!("full-scan"), &json!("EFFICIENT")), "{full}");
    let rows = full["estimated_rows"].as_u64().context("rows")?;
    ensure!((19_000..21_000).contains(&rows), "{full}");
    ensure!(
        full["scan"] == "Seq Scan on t" && full["server"].as_str().is_some_and(|s| s.starts_with("PostgreSQL")),
        "{full}"
    );
    let by_index = checked(&url, "table: t\nwhere: \"at > '2024-01-01 05:30:00+00'\"", &[])?;
    ensure!(
        by_index["verdict"] == "EFFICIENT" && by_index["scan"].as_str().is_some_and(|s| s.contains("t_at")),
        "{by_index}"
    );
    ensure!(by_index["estimated_rows"].as_u64().is_some_and(|n| n < 1000), "{by_index}");
    let keys = "table: t\nmode: incremental\ncursor_column: n";
    let scanning = checked(&url, keys, &["--probe"])?;
    assert_eq!(scanning["index_statements"], json!([r#"CREATE INDEX CONCURRENTLY ON "public"."t" ("n");"#]));
    assert_eq!(scanning["cursor_range"], json!([null, "20000"]));
    Ok(())
}

/// Scans of table `t` that the server has counted, once all sessions of ours are gone and have told it.
fn n_scans(server: &Postgres, database: &str) -> Result<u64> {
    let ours = "select count(*) from pg_stat_activity where application_name like 'rivet/%'";
    while server.psql(database, &format!("{ours} and datname = current_database()"))?.trim() != "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let counted = server.psql(database, "select sum(seq_scan) from pg_stat_user_tables where relname = 't'")?;
    Ok(counted.trim().parse()?)
}

#[test]
fn nothing_is_scanned_unless_it_is_asked_for() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("check_scans")?;
    server.psql(&database, TABLE)?;
    let url = server.url(&database);
    let before = n_scans(server, &database)?;
    for (keys, asked, not_asked) in [
        ("table: t", json!([]), json!([])),
        ("table: t\nmode: incremental\ncursor_column: n", json!([]), json!(["rows without n", "the largest n"])),
        ("table: t\nmode: incremental\ncursor_column: id", json!(["the largest id, by index"]), json!([])),
        (
            "query: select id % 10 as k from t\nmode: incremental\ncursor_column: k",
            json!([]),
            json!(["rows without k", "the largest k"]),
        ),
        (
            "table: t\nwhere: \"n::text = 'none'\"\nmode: incremental\ncursor_column: amount\ncursor_fallback_column: n",
            json!([]),
            json!(["rows without amount, n", "the largest amount, n"]),
        ),
    ] {
        let found = checked(&url, keys, &[])?;
        let mut all = vec![json!("catalogue, statistics and planner")];
        all.extend(asked.as_array().context("a list")?.iter().cloned());
        assert_eq!((&found["asked"], &found["not_asked"]), (&json!(all), &not_asked), "{keys} {found}");
        let dry = workspace(&url, keys)?.rivet(&["run", "--dry-run"])?.expect(0)?;
        let said = dry.text()?;
        assert_eq!(said.contains("--probe asks, by a scan"), not_asked != json!([]), "{keys} {said}");
    }
    assert_eq!(n_scans(server, &database)?, before, "the table was scanned");
    let probed = checked(&url, "table: t\nmode: incremental\ncursor_column: n", &["--probe"])?;
    assert_eq!(probed["not_asked"], json!([]));
    ensure!(probed["asked"].to_string().contains("the largest n, by a scan"), "{probed}");
    ensure!(n_scans(server, &database)? > before, "a probe scans");
    Ok(())
}

#[test]
fn an_incremental_export_is_judged_by_its_next_run() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("check_next")?;
    server.psql(
        &database,
        "create table t (id bigint primary key, a timestamptz, b timestamptz not null, c timestamp, v text);\n\
         insert into t select i, case when i % 2 = 0 then '2024-01-01'::timestamptz + i * interval '1 second' end, \
           '2023-01-01'::timestamptz + i * interval '1 second', '2024-01-01', repeat('v', 40) \
           from generate_series(1, 150000) i; create index t_block on t using brin (b); analyze t;",
    )?;
    let url = server.url(&database);
    let of = |keys: &str| checked(&url, &format!("table: t\nmode: incremental\n{keys}"), &[]);
    let by_key = of("cursor_column: id")?;
    assert_eq!((&by_key["verdict"], &by_key["reason"]), (&json!("EFFICIENT"), &json!("an index finds what is new")));
    ensure!(by_key["scan"].as_str().is_some_and(|scan| scan.contains("t_pkey")), "{by_key}");
    ensure!(by_key["estimated_rows"].as_u64().is_some_and(|n| n > 100_000), "the first run reads all: {by_key}");
    assert_eq!((&by_key["suggestions"], &by_key["cursor_range"]), (&json!([]), &json!([null, "150000"])));
    // No index that has an order, but one that finds the newest rows by what the statistics know of them.
    let by_block = of("cursor_column: b")?;
    assert_eq!((&by_block["verdict"], &by_block["not_asked"]), (&json!("EFFICIENT"), &json!(["the largest b"])));
    let two = "cursor_column: a\ncursor_fallback_column: b";
    let scanned = of(two)?;
    assert_eq!(scanned["verdict"], "DEGRADED", "{scanned}");
    let advice = scanned["index_statements"][0].as_str().context("an index that would help")?;
    ensure!(scanned["suggestions"][0].as_str().is_some_and(|said| said.ends_with(advice)), "{scanned}");
    server.psql(&database, advice)?;
    let followed = of(two)?;
    assert_eq!((&followed["verdict"], &followed["suggestions"]), (&json!("EFFICIENT"), &json!([])), "{followed}");
    // Two types have no expression that an index takes.
    let mixed = of("cursor_column: c\ncursor_fallback_column: b")?;
    assert_eq!(mixed["index_statements"], json!([]), "{mixed}");
    ensure!(mixed["suggestions"][0].as_str().is_some_and(|said| said.contains("give them one type")), "{mixed}");
    Ok(())
}

#[test]
fn of_a_partitioned_table_every_partition_counts() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("check_parts")?;
    server.psql(
        &database,
        "create table t (id bigint not null, kind int not null, v text) partition by list (kind);\n\
         create table t_1 partition of t for values in (1); create table t_2 partition of t for values in (2);\n\
         create table t_none partition of t default; create index on t_1 (id);\n\
         insert into t select i, 1 + i % 2, repeat('v', 40) from generate_series(1, 240000) i; analyze t;",
    )?;
    let url = server.url(&database);
    let keys = "table: t\nmode: incremental\ncursor_column: id";
    let half = checked(&url, keys, &[])?;
    assert_eq!((&half["verdict"], &half["not_asked"]), (&json!("DEGRADED"), &json!(["the largest id"])), "{half}");
    ensure!(half["scan"].as_str().is_some_and(|s| s.contains("Seq Scan on t_2") && s.contains("on t_1")), "{half}");
    assert_eq!(half["index_statements"], json!([r#"CREATE INDEX ON "public"."t" ("id");"#]));
    server.psql(&database, half["index_statements"][0].as_str().context("a statement")?)?;
    let all = checked(&url, keys, &[])?;
    assert_eq!((&all["verdict"], &all["not_asked"]), (&json!("EFFICIENT"), &json!([])), "{all}");
    Ok(())
}

#[test]
fn a_verdict_has_its_reason_and_what_to_do() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("check_words")?;
    server.psql(
        &database,
        "create table five as select i, 'a'::text as v from generate_series(1, 5) i; create table empty (id int, v text);\n\
         create table large as select i as id, now() as updated_at from generate_series(1, 150000) i; analyze large",
    )?;
    let url = server.url(&database);
    for (table, reason) in [("five", "rows are read whole"), ("empty", "there is nothing to read")] {
        for mode in ["", "\nmode: incremental\ncursor_column: v"] {
            let found = checked(&url, &format!("table: {table}{mode}"), &[])?;
            assert_eq!(
                (&found["verdict"], &found["recommended_profile"]),
                (&json!("EFFICIENT"), &json!("fast")),
                "{found}"
            );
            ensure!(found["reason"].as_str().is_some_and(|r| r.contains(reason)), "{found}");
            assert_eq!((&found["warnings"], &found["suggestions"]), (&json!([]), &json!([])), "{found}");
        }
    }
    let place = workspace(&url, "table: large")?;
    let ran = place.rivet(&["check"])?.expect(0)?;
    let text = ran.text()?;
    for words in [
        "t: DEGRADED",
        "reason       each run reads all of about 150 thousand rows",
        " s at profile fast; the snapshot is held as long",
        "recommended  profile balanced",
        "asked        catalogue, statistics and planner",
        "suggestion   `mode: incremental` with `cursor_column: updated_at`",
    ] {
        ensure!(text.contains(words), "{words:?} in\n{text}");
    }
    let help = place.rivet(&["check", "--help"])?.expect(0)?;
    for word in ["EFFICIENT", "ACCEPTABLE", "DEGRADED", "UNSAFE", "--probe", "Nothing is scanned"] {
        ensure!(help.text()?.contains(word), "{word} in\n{}", help.text()?);
    }
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
    let line = |column: &str| text.lines().find(|line| line.trim_start().starts_with(column)).unwrap_or_default();
    ensure!(text.contains("SPARK TYPE") && text.contains("STATUS"), "{text}");
    let end = |column: &str| line(column).split_whitespace().rev().take(2).collect::<Vec<_>>();
    assert_eq!((end("amount "), end("tod ")), (vec!["ok", "decimal(12,2)"], vec!["refused", "none"]), "{text}");
    let ran = place.rivet(&["check", "--type-report", "--target", "bigquery", "--json"])?.expect(0)?;
    let columns = ran.json()?["exports"][0]["columns"].clone();
    assert_eq!(
        (&columns[2]["target_type"], &columns[2]["target_status"]),
        (&json!("NUMERIC"), &json!("ok")),
        "{columns}"
    );
    let failed = place.rivet(&["check", "--strict", "--target", "spark"])?.expect(3)?;
    for words in [
        "export 't': --strict fails on 2 columns: ",
        "column 'n' is numeric, held as text",
        "column 'tod': Spark",
        "hint: ",
    ] {
        ensure!(failed.stderr.contains(words), "{words:?} in {}", failed.stderr);
    }
    let document = place.rivet(&["check", "--strict", "--json"])?.expect(3)?.json()?;
    assert_eq!(document["exports"][0]["strict"], json!(["column 'n' is numeric, held as text"]));
    let plain = workspace(&server.url(&database), "table: t\nselect: [id, at, amount]")?;
    plain.rivet(&["check", "--strict", "--target", "spark"])?.expect(0)?;
    let missing = workspace(&server.url(&database), "table: nowhere")?;
    let ran = missing.rivet(&["check"])?.expect(1)?;
    ensure!(ran.stderr.contains("nowhere") && ran.stderr.contains("hint:"), "{}", ran.stderr);
    Ok(())
}

/// What a run needs of the server, by what the server counts anyway; where it suffices nothing is said.
#[test]
fn connections_and_sorts_are_told_before_a_run() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("check_room")?;
    server.psql(&database, TABLE)?;
    server.psql(
        &database,
        "create table wide as select i id, -i away from generate_series(1, 150000) i; \
        create unique index on wide (id); analyze wide; analyze t",
    )?;
    let login = format!(
        "create role {database} login password '{ROLE_PASSWORD}' connection limit 3; grant select on t, wide to {database}"
    );
    server.psql(&database, &login)?;
    let url = server.url_as(&database, &database);
    let warnings = |url: &str, keys: &str| -> Result<Vec<String>> {
        let found = checked(url, keys, &[])?;
        Ok(found["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    let chunked = "table: t\nmode: chunked\nchunk_column: id\nchunk_size: 1000\nparallel: ";
    let told = warnings(&url, &format!("{chunked}4"))?;
    ensure!(
        told.iter().any(|w| w.starts_with("4 workers need 4 more connections, and the server has room for 2:")),
        "{told:?}"
    );
    for keys in [format!("{chunked}2"), format!("{chunked}1"), "table: t".to_owned()] {
        assert_eq!(warnings(&url, &keys)?, Vec::<String>::new(), "{keys}");
    }
    // The role's limit is what a run meets.
    let four = workspace(&url, &format!("{chunked}4"))?.rivet(&["run"])?;
    ensure!(four.code != Some(0) && four.stderr.contains("connection"), "{}", four.stderr);
    workspace(&url, &format!("{chunked}2"))?.rivet(&["run"])?.expect(0)?;
    let dense = |column: &str| {
        format!("table: wide\nmode: chunked\nchunk_column: {column}\nchunk_size: 10000\nchunk_dense: true")
    };
    let all = server.url(&database);
    let told = warnings(&all, &dense("away"))?;
    ensure!(
        told.iter().any(|w| w.starts_with("no index has away in its order: to count `chunk_size` rows")),
        "{told:?}"
    );
    for keys in [dense("id"), dense("away").replace("\nchunk_dense: true", "")] {
        assert_eq!(warnings(&all, &keys)?, Vec::<String>::new(), "{keys}");
    }
    let found = checked(&all, &format!("{chunked}4"), &[])?;
    assert_eq!(
        (&found["strategy"], &found["recommended_parallel"], &found["parallel_reason"]),
        (
            &json!("chunked-parallel(id, size=1000, p=4)"),
            &json!(1),
            &json!("about 20 thousand rows are read fast enough by one worker")
        )
    );
    Ok(())
}
