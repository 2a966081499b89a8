//! Reading by several workers, and reading slower than the server's own limits allow.
//! Must not know how a table is cut.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::postgres::{self, ROLE_PASSWORD};
use serde_json::json;

use crate::workspace;

#[test]
fn a_query_slower_than_the_timeout_is_fetched_in_pieces() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("pieces")?;
    server.psql(
        &database,
        "create table t as select i id, repeat('x', 100) v from generate_series(1, 20000) i; analyze t",
    )?;
    // 20 batches, each followed by 0.2 s: twice the limit of a statement.
    let text = "source:\n\
                \x20 type: postgres\n\
                \x20 url_env: TEST_URL\n\
                \x20 tuning: {statement_timeout_s: 2, throttle_ms: 200, batch_size: 1000, max_retries: 0}\n\
                exports: [{name: t, query: 'select id, v from t', destination: {type: local, path: out}}]\n";
    let place = Workspace::new(text)?.with_variable("TEST_URL", &server.url(&database));
    let ran = place.run()?.expect(0)?;
    ensure!(ran.took.as_secs_f64() > 2.5, "the throttle was obeyed: {:?}", ran.took);
    let document = ran.json()?;
    let longest_ms = document["exports"][0]["longest_statement_ms"].as_u64().context("a time")?;
    ensure!(longest_ms < 2000, "{document}");
    let read = Exported::read(&place.path().join("out"))?;
    assert_eq!(read.rows("count(*) n, count(distinct id) ids", "")?, [json!({"n": 20_000, "ids": 20_000})]);
    Ok(())
}

#[test]
fn a_query_that_never_answers_is_ended_by_the_limit() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("never")?;
    let text = "source: {type: postgres, url_env: TEST_URL, tuning: {statement_timeout_s: 1, max_retries: 0}}\n\
                exports: [{name: t, query: 'select 1 id from pg_sleep(60)', destination: {type: local, path: out}}]\n";
    let place = Workspace::new(text)?.with_variable("TEST_URL", &server.url(&database));
    let ran = place.rivet(&["run"])?.expect(2)?;
    ensure!(ran.took.as_secs() < 15, "{:?}", ran.took);
    ensure!(ran.stderr.contains("timeout") && ran.stderr.contains("hint:"), "{}", ran.stderr);
    Ok(())
}

/// Partitions in two levels, of all sizes; and a table with a child of plain inheritance.
const TREES: &str = "
create table parted (id int not null, kind int not null, v text) partition by list (kind);
create table parted_1 partition of parted for values in (1) partition by range (id);
create table parted_1_low partition of parted_1 for values from (0) to (1000);
create table parted_1_high partition of parted_1 for values from (1000) to (1000000);
create table parted_1_more partition of parted_1 for values from (1000000) to (2000000);
create table parted_2 partition of parted for values in (2);
create table parted_none partition of parted for values in (3);
create table parted_rest partition of parted default;
insert into parted select i, case when i % 20 = 0 then 7 else 1 + i % 2 end, 'v' from generate_series(1, 150000) i;
create table parent (id int not null, v text); create table child (more int) inherits (parent);
insert into parent select i, 'p' from generate_series(1, 40000) i;
insert into child select i, 'c', i from generate_series(40001, 150000) i;
create table reader (like parent); analyze;";

#[test]
fn partitions_and_children_are_read_by_several_workers_each_row_once() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("trees")?;
    server.psql(&database, TREES)?;
    // Whoever may read the whole needs no right to its parts.
    let grants = format!(
        "create role {database} login password '{ROLE_PASSWORD}'; grant select on parted, parent to {database}"
    );
    server.psql(&database, &grants)?;
    for (table, of) in [("parted", "of 6 tables"), ("parent", "of 2 tables")] {
        let place = workspace(&server.url_as(&database, &database), &format!("table: {table}\nparallel: 2"))?;
        let plan = place.rivet(&["run", "--dry-run", "--output", "json"])?.expect(0)?.json()?["exports"][0].clone();
        ensure!(plan["splits"].as_array().is_some_and(|splits| splits.len() >= 2), "{plan}");
        ensure!(plan["splits"][0]["label"].as_str().is_some_and(|label| label.ends_with(of)), "{plan}");
        let ran = place.run()?.expect(0)?.json()?["exports"][0].clone();
        assert_eq!((&ran["strategy"], &ran["warnings"]), (&json!("full-parallel(2)"), &json!([])), "{table}");
        let read = Exported::read(&place.path().join("out"))?;
        let splits = read.manifest["parts"].as_array().context("parts")?;
        let splits: std::collections::BTreeSet<_> = splits.iter().map(|part| part["split"].to_string()).collect();
        ensure!(splits.len() >= 2, "{table}: {splits:?}");
        let counted = read.rows("count(*) AS n, count(DISTINCT id) AS ids, min(id) AS low, max(id) AS high", "")?;
        assert_eq!(counted, [json!({"n": 150_000, "ids": 150_000, "low": 1, "high": 150_000})], "{table}");
    }
    Ok(())
}

#[test]
fn who_asks_for_workers_in_vain_is_told() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("one_worker")?;
    server.psql(
        &database,
        "create table t as select i as id from generate_series(1, 200000) i; create view w as table t; analyze t",
    )?;
    let url = server.url(&database);
    for (keys, said) in [
        ("query: select id from t", "one worker reads, since a query cannot be cut"),
        ("table: w", "one worker reads, since the source cannot cut w into splits"),
        ("table: t\ntuning: {max_connections: 2}", "one worker reads, since `max_connections: 2` leaves no more"),
    ] {
        let place = workspace(&url, &format!("{keys}\nparallel: 4"))?;
        for words in [&["check", "--json"][..], &["run", "--output", "json"]] {
            let told = place.rivet(words)?.expect(0)?.json()?["exports"][0]["warnings"].to_string();
            ensure!(told.contains("`parallel: 4`: ") && told.contains(said), "{keys} {words:?}: {told}");
        }
    }
    // So little is no matter for a warning of each run.
    let small = workspace(&url, "table: t\nwhere: id < 10\nparallel: 4")?;
    let told = small.rivet(&["check", "--json"])?.expect(0)?.json()?["exports"][0]["warnings"].to_string();
    ensure!(told.contains("`parallel: 4`: one worker reads, since about "), "{told}");
    assert_eq!(small.run()?.expect(0)?.json()?["exports"][0]["warnings"], json!([]));
    Ok(())
}
