//! Increments, chunks and windows, queries, and what check, init and doctor say.
//! Must not know how rows travel.

use anyhow::{Result, ensure};
use rivet_test_e2e::Exported;
use rivet_test_tds::mssql::{self, Mssql};
use serde_json::json;

use crate::{with_source, workspace};

/// A table of orders: a key of an identity, a composite unique key, a moment with an index.
fn orders(server: &Mssql, name: &str, n_rows: u32) -> Result<String> {
    let database = server.fresh_database(name)?;
    let columns = [
        ("id", "int NOT NULL"),
        ("shop", "varchar(20) NOT NULL"),
        ("number", "int NOT NULL"),
        ("at", "datetime2(7) NOT NULL"),
        ("amount", "money"),
    ];
    server.create_table(&database, "orders", &columns)?;
    server.psql(
        &database,
        "alter table dbo.orders add primary key (id); create unique index by_shop on dbo.orders (shop, number); \
         create index by_at on dbo.orders (at)",
    )?;
    insert(server, &database, 1, n_rows)?;
    Ok(database)
}

fn insert(server: &Mssql, database: &str, from: u32, to: u32) -> Result<()> {
    let sql = format!(
        "set search_path = dbo, sys; insert into dbo.orders select i, 'shop ' || i % 7, i, \
         sys.moment_text('2024-01-01'::timestamp + i * interval '1 minute'), i * 1.5 from generate_series({from}, {to}) i; \
         analyze dbo.orders"
    );
    server.psql(database, &sql)?;
    Ok(())
}

#[test]
fn an_incremental_run_reads_what_is_new() -> Result<()> {
    let server = mssql::shared();
    for (name, cursor) in [("by_id", "id"), ("by_moment", "at"), ("by_text", "shop")] {
        let database = orders(server, name, 100)?;
        let url = server.url(&database);
        let place = workspace(&url, &format!("table: dbo.orders\nmode: incremental\ncursor_column: {cursor}"))?;
        ensure!(place.export()?.n_rows() == 100, "{cursor}");
        insert(server, &database, 101, 130)?;
        let read = place.export()?;
        let expected = if cursor == "shop" { read.n_rows() } else { 30 };
        ensure!(read.n_rows() >= expected && read.n_rows() < 130, "{cursor}: {}", read.n_rows());
        if cursor != "shop" {
            let rows = read.rows("min(id) as lo, max(id) as hi, count(*) as n", "where id > 100")?;
            assert_eq!(rows, [json!({"lo": 101, "hi": 130, "n": 30})]);
        }
    }
    Ok(())
}

/// What a transaction that is still open has written has a smaller version than what others have committed since.
#[test]
fn versions_of_rows_that_are_still_open_are_not_passed_by() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("versions")?;
    server.create_table(&database, "t", &[("id", "int NOT NULL"), ("v", "rowversion NOT NULL")])?;
    let insert =
        |id: u8| server.psql(&database, &format!("insert into dbo.t values ({id}, '\\x00000000000000{id:02x}')"));
    let floor = |v: u8| {
        server.psql(&database, &format!("update sys.options set min_active_rowversion = '\\x00000000000000{v:02x}'"))
    };
    let url = server.url(&database);
    let place = workspace(&url, "table: dbo.t\nmode: incremental\ncursor_column: v")?;
    insert(10)?;
    insert(101)?;
    // The one with 100 is open.
    floor(100)?;
    assert_eq!(place.export()?.rows("string_agg(id::varchar, ',' order by id) s", "")?, [json!({"s": "10"})]);
    insert(100)?;
    floor(102)?;
    place.run()?.expect(0)?;
    let all = Exported::read(&place.path().join("out"))?.rows("string_agg(id::varchar, ',' order by id) s", "")?;
    assert_eq!(all, [json!({"s": "100,101"})]);
    // Nothing new, though all that there is lies above what is settled.
    server.psql(&database, "update dbo.t set v = '\\x00000000000000fa' where id > 10")?;
    floor(103)?;
    place.run()?.expect(0)?;
    floor(251)?;
    place.run()?.expect(0)?;
    ensure!(Exported::read(&place.path().join("out"))?.n_rows() == 2);
    Ok(())
}

#[test]
fn chunks_hold_each_row_once() -> Result<()> {
    let server = mssql::shared();
    let database = orders(server, "chunks", 1_000)?;
    let url = server.url(&database);
    for keys in [
        "chunk_column: id\nchunk_size: 130",
        "chunk_by_key: [shop, number]\nchunk_size: 130",
        "chunk_column: at\nchunk_by_days: 1",
        "chunk_column: [shop, number]\nchunk_count: 4",
    ] {
        let read = workspace(&url, &format!("table: dbo.orders\nmode: chunked\n{keys}"))?.into_export()?;
        let rows = read.rows("count(*) as n, count(distinct id) as ids, sum(id)::int as s", "")?;
        assert_eq!(rows, [json!({"n": 1000, "ids": 1000, "s": 500_500})], "{keys}");
    }
    ensure!(!server.heard("OFFSET 130 ROWS FETCH NEXT 1 ROWS ONLY").is_empty());
    Ok(())
}

/// `datetime` begins in 1753: the day before all days must be of a type that the column is converted to.
#[test]
fn days_of_a_datetime_are_asked_for_in_a_type_that_holds_them() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("days")?;
    server.create_table(&database, "old", &[("id", "int NOT NULL"), ("noted at", "datetime NOT NULL")])?;
    server.psql(
        &database,
        "insert into dbo.old values (1, '1753-01-01 00:00:00.000'), (2, '1753-01-02 23:59:59.997'), (3, '1753-01-05 00:00:00.003')",
    )?;
    let keys = "table: dbo.old\nmode: chunked\nchunk_column: noted at\nchunk_by_days: 1";
    let read = workspace(&server.url(&database), keys)?.into_export()?;
    assert_eq!(read.rows("count(*) as n, count(distinct id) as ids", "")?, [json!({"n": 3, "ids": 3})]);
    let heard = server.heard("\"noted at\" >= ");
    ensure!(heard.iter().any(|sql| sql.contains("CONVERT(datetime2(0), N'0001-01-01', 121)")), "{heard:?}");
    ensure!(heard.iter().all(|sql| !sql.contains("CONVERT(date,") && !sql.contains("CONVERT(datetime,")), "{heard:?}");
    Ok(())
}

#[test]
fn a_window_ends_at_the_servers_clock() -> Result<()> {
    let server = mssql::shared();
    let database = orders(server, "window", 5)?;
    let sql = "set search_path = dbo, sys; update dbo.orders set at = sys.moment_text((now() at time zone 'utc') \
               - interval '36 hours') where id <= 3";
    server.psql(&database, sql)?;
    let url = server.url(&database);
    let keys = "table: dbo.orders\nmode: time_window\ntime_column: at\ndays_window: 3\ntime_zone: '+02:00'";
    ensure!(workspace(&url, keys)?.into_export()?.n_rows() == 3);
    Ok(())
}

#[test]
fn queries_are_read_as_they_are_or_around() -> Result<()> {
    let server = mssql::shared();
    let database = orders(server, "queries", 50)?;
    let url = server.url(&database);
    for (relation, n) in [
        ("query: WITH o AS (SELECT [id], [shop] FROM dbo.orders) SELECT id, shop FROM o WHERE id <= 7", 7),
        ("query: SELECT TOP (5) id, amount FROM dbo.orders ORDER BY id", 5),
        ("query: SELECT id AS [the id], amount FROM dbo.orders\nwhere: '[the id] > 40'", 10),
        ("query: 'SELECT id FROM dbo.orders WHERE ${rivet.filter} -- and nothing else'\nwhere: id < 4", 3),
    ] {
        let place = workspace(&url, relation)?;
        let ran = place.rivet(&["run"])?;
        if relation.contains("where: ") && relation.starts_with("query") && ran.code == Some(1) {
            // `where` belongs to `table` only.
            ensure!(ran.stderr.contains("where"), "{}", ran.stderr);
            continue;
        }
        let ran = ran.expect(0)?;
        let read = Exported::read(&place.path().join("out"))?;
        ensure!(read.n_rows() == n, "{relation}: {} {}", read.n_rows(), ran.stderr);
    }
    Ok(())
}

#[test]
fn one_state_is_read_where_the_database_allows_it() -> Result<()> {
    let server = mssql::shared();
    let database = orders(server, "one_state", 10)?;
    let url = server.url(&database);
    let read = workspace(&url, "table: dbo.orders")?.into_export()?;
    ensure!(read.manifest.to_string().contains("transaction "), "{}", read.manifest);
    server.psql(&database, "update sys.options set snapshot_isolation_state = 0")?;
    let ran = workspace(&url, "table: dbo.orders")?.run()?.expect(0)?;
    ensure!(ran.stderr.contains("ALLOW_SNAPSHOT_ISOLATION"), "{}", ran.stderr);
    let required = workspace(&url, "table: dbo.orders\nconsistency: required")?;
    for words in [["check"], ["run"]] {
        let refused = required.rivet(&words)?.expect(1)?;
        let told = refused.stderr.clone() + refused.text()?;
        ensure!(told.contains("`consistency: required`") && told.contains("gives no snapshot"), "{told}");
    }
    server.psql(&database, "update sys.options set is_read_committed_snapshot_on = 1")?;
    let ran = workspace(&url, "table: dbo.orders")?.run()?.expect(0)?;
    ensure!(!ran.stderr.contains("ALLOW_SNAPSHOT_ISOLATION"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn check_doctor_and_init_know_the_tables() -> Result<()> {
    let server = mssql::shared();
    let database = orders(server, "words", 300)?;
    let url = server.url(&database);
    let place = workspace(&url, "table: dbo.orders\nmode: incremental\ncursor_column: amount")?;
    let ran = place.rivet(&["check"])?;
    ensure!(ran.text()?.contains("300"), "{} {}", ran.text()?, ran.stderr);
    let ran = with_source(&url, "", "table: dbo.orders")?.rivet(&["check", "--type-report"])?.expect(0)?;
    for part in ["datetime2(7)", "money", "decimal(19,4)"] {
        ensure!(ran.text()?.contains(part), "{part} in {}", ran.text()?);
    }
    let ran = place.rivet(&["doctor"])?.expect(0)?;
    ensure!(ran.text()?.contains("SQL Server 2022 (stand-in)"), "{}", ran.text()?);
    let place = place.with_variable("DATABASE_URL", &url);
    std::fs::remove_file(place.path().join("rivet.yaml"))?;
    place.rivet(&["init", "--url-env", "DATABASE_URL"])?.expect(0)?;
    let written = std::fs::read_to_string(place.path().join("rivet.yaml"))?;
    for part in ["type: mssql", "table: dbo.orders", "key id"] {
        ensure!(written.contains(part), "{part} in {written}");
    }
    Ok(())
}
