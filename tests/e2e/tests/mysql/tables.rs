//! Whole tables, views, queries: each row once, NULLs where they are, whatever the engine calls the relation.
//! Must not know types.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Exported;
use rivet_test_servers::mariadb;
use serde_json::json;

use crate::{numbers, servers, workspace};

#[test]
fn a_table_is_in_the_file_as_it_is_in_the_database() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("whole")?;
        server.sql(
            &database,
            "create table t (id int primary key, name varchar(30) not null, price decimal(12,2), at datetime(6), note text); \
             insert into t values (1, 'Ünï \\' \" \\\\ 😀', 12.50, '2024-02-29 23:59:59.999999', null), \
               (2, '', -0.01, '1000-01-01', ''), (3, 'x', null, null, repeat('long ', 5000))",
        )?;
        let place = workspace(&server.url_as("reader", &database), "table: t")?;
        let read = place.export()?;
        let found =
            read.rows("id, name, price::varchar price, \"at\"::varchar \"at\", length(note) as n", "order by id")?;
        let expected = [
            json!({"id": 1, "name": "Ünï ' \" \\ 😀", "price": "12.50", "at": "2024-02-29 23:59:59.999999", "n": null}),
            json!({"id": 2, "name": "", "price": "-0.01", "at": "1000-01-01 00:00:00", "n": 0}),
            json!({"id": 3, "name": "x", "price": null, "at": null, "n": 25_000}),
        ];
        assert_eq!(found, expected);
        let schema = read.schema()?;
        for line in ["id: int32 not null", "name: string not null", "price: decimal128(12, 2)"] {
            ensure!(schema.lines().any(|found| found == line), "{line} in {schema}");
        }
    }
    Ok(())
}

#[test]
fn a_hostile_limit_for_rows_ends_nothing_early() -> Result<()> {
    let server = mariadb::start(&[])?;
    let database = server.fresh_database("limits")?;
    server.sql(&database, "create table t (id int primary key); insert into t select seq from seq_1_to_20000")?;
    server.sql(
        "",
        "set global sql_select_limit = 7; set global max_join_size = 5; set global group_concat_max_len = 4",
    )?;
    let read = workspace(&server.url(&database), "table: t")?.into_export()?;
    assert_eq!(read.n_rows(), 20_000);
    let query = "query: select group_concat(id order by id) as ids, count(*) as n from t where id <= 1000";
    let read = workspace(&server.url(&database), query)?.into_export()?;
    assert_eq!(read.rows("length(ids) l, n", "")?, [json!({"l": 3892, "n": 1000})]);
    server.stop()
}

#[test]
fn every_kind_of_relation_can_be_read() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("kinds")?;
    server.sql(
        &database,
        "create table base (id int primary key, hidden int invisible default 7, twice int as (id * 2) stored, \
           once int as (id + 1) virtual); insert into base (id) values (1), (2); \
         create view seen as select id, twice from base; \
         create table versioned (id int primary key, v int) with system versioning; \
         insert into versioned values (1, 1); update versioned set v = 2; \
         create sequence counter start with 5; \
         create table parts (id int primary key) partition by hash (id) partitions 3; \
         insert into parts select seq from seq_1_to_100; \
         create table aria (id int) engine=aria; insert into aria values (1); \
         create table `odd ``name.x` (`a b``c` int, `select` int); insert into `odd ``name.x` values (1, 2)",
    )?;
    for (table, columns, expected) in [
        (
            "base",
            "id, hidden, twice, once",
            vec![
                json!({"id": 1, "hidden": 7, "twice": 2, "once": 2}),
                json!({"id": 2, "hidden": 7, "twice": 4, "once": 3}),
            ],
        ),
        ("seen", "id, twice", vec![json!({"id": 1, "twice": 2}), json!({"id": 2, "twice": 4})]),
        ("versioned", "id, v", vec![json!({"id": 1, "v": 2})]),
        ("counter", "next_not_cached_value as n", vec![json!({"n": 5})]),
        ("parts", "count(*) as n", vec![json!({"n": 100})]),
        ("aria", "id", vec![json!({"id": 1})]),
        ("'\"odd `name.x\"'", "\"a b`c\" as a, \"select\" as s", vec![json!({"a": 1, "s": 2})]),
    ] {
        let place = workspace(&server.url(&database), &format!("table: {table}"))?;
        let order = if table == "parts" { "" } else { "order by 1" };
        assert_eq!(place.export().with_context(|| table.to_owned())?.rows(columns, order)?, expected, "{table}");
    }
    let place = workspace(&server.url(&database), "table: aria")?;
    let ran = place.rivet(&["run"])?.expect(0)?;
    ensure!(ran.stderr.contains("Aria, which has no snapshots"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn what_does_not_exist_is_said_with_what_was_meant() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("missing")?;
    server.sql(&database, "create table orders (id int primary key)")?;
    for (relation, said) in [
        ("table: ordres", ".orders'?"),
        ("table: nowhere.orders", "nowhere.orders does not exist"),
        ("query: select nothing from orders", "nothing"),
        ("query: select id, id from orders", "Duplicate column name"),
        ("query: select id form orders", "check the query's text"),
        ("query: select 1 as a; drop table orders", "check the query's text"),
    ] {
        let ran = workspace(&server.url(&database), relation)?.rivet(&["run"])?.expect(1)?;
        ensure!(ran.stderr.contains(said) && ran.stderr.contains("hint:"), "{relation}: {}", ran.stderr);
    }
    assert_eq!(server.sql(&database, "select count(*) from orders")?.trim(), "0");
    Ok(())
}

#[test]
fn workers_read_one_snapshot_or_say_that_they_do_not() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("workers")?;
        server.sql(
            &database,
            &format!(
                "create table t (id int primary key, v varchar(60)); \
                 insert into t select seq, repeat('x', 60) from {}; analyze table t",
                numbers(200_000)
            ),
        )?;
        let place = workspace(&server.url(&database), "table: t\nparallel: 2")?;
        let read = place.export()?;
        assert_eq!(read.n_rows(), 200_000);
        assert_eq!(read.manifest["consistency"], "snapshot", "{}", read.manifest);
        let parallel = read.manifest["strategy"] == "full-parallel(2)";
        assert_eq!(parallel, server.is_mariadb(), "{}", read.manifest["strategy"]);
        let place = rivet_test_e2e::Workspace::new(&crate::config(", workers: per-split", "table: t\nparallel: 2"))?;
        let read = place.with_variable("TEST_URL", &server.url(&database)).into_export()?;
        assert_eq!((read.n_rows(), &read.manifest["consistency"]), (200_000, &json!("per-split")));
        assert_eq!(read.rows("count(distinct id) as n", "")?, [json!({"n": 200_000})]);
    }
    Ok(())
}

#[test]
fn a_table_without_snapshots_is_no_snapshot() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("no_snapshot")?;
        server.sql(&database, "create table t (id int primary key) engine = MyISAM; insert into t values (1), (2)")?;
        let place = workspace(&server.url(&database), "table: t")?;
        let ran = place.run()?.expect(0)?;
        ensure!(ran.stderr.contains("has no snapshots"), "{}", ran.stderr);
        let read = Exported::read(&place.path().join("out"))?;
        assert_eq!((&read.manifest["consistency"], read.n_rows()), (&json!("per-split"), 2));
    }
    Ok(())
}
