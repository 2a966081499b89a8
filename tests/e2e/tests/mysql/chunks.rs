//! Modes chunked and time_window: each row once, in chunks of the size that was asked for; the time that was read is on record.
//! Must not know any crate of the product.

use anyhow::{Result, ensure};
use rivet_test_servers::mariadb;
use serde_json::json;

use crate::{numbers, servers, workspace};

#[test]
fn chunks_of_every_kind_hold_each_row_once() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("chunks")?;
        server.sql(
            &database,
            &format!(
                "create table t (id int primary key, name varchar(20) collate utf8mb4_general_ci, a int not null, \
                   b int not null, at timestamp null, day date, unique (a, b)); \
                 insert into t select seq * 1000, if(seq % 9 = 0, null, concat(if(seq % 2 = 0, 'n', 'N'), seq % 50)), seq % 7, seq, \
                   '2024-01-01' + interval seq hour, '2024-01-01' + interval (seq div 24) day from {}; analyze table t",
                numbers(2000)
            ),
        )?;
        for keys in [
            "chunk_column: id\nchunk_size: 300\nchunk_dense: true",
            "chunk_column: id\nchunk_count: 7",
            "chunk_column: name\nchunk_size: 300",
            "chunk_by_key: [a, b]\nchunk_size: 300",
            "chunk_column: at\nchunk_size: 300\nparallel: 2",
            "chunk_column: day\nchunk_by_days: 10",
        ] {
            let read = workspace(&server.url(&database), &format!("mode: chunked\ntable: t\n{keys}"))?.into_export()?;
            let found = read.rows("count(*) n, count(distinct id) as d", "")?;
            assert_eq!(found, [json!({"n": 2000, "d": 2000})], "{keys}");
            ensure!(read.parts.len() > 3, "{keys}: {:?}", read.parts);
        }
        let query = "mode: chunked\nquery: select id, upper(name) as name from t\nchunk_column: id\nchunk_size: 500\nchunk_dense: true";
        assert_eq!(workspace(&server.url(&database), query)?.into_export()?.n_rows(), 2000);
    }
    Ok(())
}

#[test]
fn a_time_window_ends_now_by_the_servers_clock() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("window")?;
    server.sql(
        &database,
        "create table t (id int, at timestamp(6) null, local datetime(6), unix bigint, ms decimal(20,3)); \
         insert into t select seq, a, convert_tz(a, '+00:00', '+09:00'), unix_timestamp(a), unix_timestamp(a) * 1000 \
         from (select seq, utc_timestamp() - interval (cast(seq as signed) - 2) * 36 hour + interval 20 minute as a from seq_1_to_12) r; \
         insert into t (id) values (100)",
    )?;
    for (keys, ids) in [
        ("time_column: at\ndays_window: 7", "3,4,5,6"),
        ("time_column: local\ndays_window: 7\ntime_zone: '+09:00'", "3,4,5,6"),
        ("time_column: unix\ntime_column_type: unix\ndays_window: 7", "3,4,5,6"),
        ("time_column: ms\ntime_column_type: unix_ms\ndays_window: 7", "3,4,5,6"),
        ("time_column: at\ndays_window: 4294967295", "3,4,5,6,7,8,9,10,11,12"),
    ] {
        let read = workspace(&server.url(&database), &format!("mode: time_window\ntable: t\n{keys}"))?.into_export()?;
        let rows = read.rows("string_agg(id::varchar, ',' order by id) s", "")?;
        assert_eq!(rows[0]["s"], json!(ids), "{keys}");
    }
    let keys = "mode: time_window\ntable: t\ntime_column: at\ndays_window: 3\nalign: day\ntime_zone: Mars/Base";
    let ran = workspace(&server.url(&database), keys)?.rivet(&["run"])?.expect(1)?;
    ensure!(ran.stderr.contains("does not know the time zone 'Mars/Base'"), "{}", ran.stderr);
    Ok(())
}

/// MariaDB ends a recursion, and a query that looked at many rows, as if there were no more.
#[test]
fn a_result_that_the_server_cuts_off_is_no_end() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("cut_off")?;
        let recursion =
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000) select i from n";
        server.sql(
            &database,
            &format!(
                "create view deep as {recursion}; create table t (id int primary key); insert into t select seq from {}",
                numbers(2000)
            ),
        )?;
        let url = server.url(&database);
        for relation in [format!("query: {recursion}"), "table: deep".to_owned()] {
            if server.is_mariadb() {
                assert_eq!(workspace(&url, &relation)?.into_export()?.n_rows(), 3000, "{relation}");
            } else {
                let ran = workspace(&url, &relation)?.rivet(&["run"])?;
                ensure!(ran.code != Some(0) && ran.stderr.contains("hint:"), "{:?} {}", ran.code, ran.stderr);
            }
        }
        if server.is_mariadb() {
            let cut = "query: select id from t limit 1500 rows examined 300";
            let ran = workspace(&url, cut)?.rivet(&["run", "--output", "json"])?.expect(3)?;
            let error = &ran.json()?["exports"][0]["error"];
            ensure!(error["code"] == "mysql.incomplete" && error.to_string().contains("ROWS EXAMINED"), "{error}");
        }
    }
    Ok(())
}

/// A chunk along several columns reads its own rows, not all that share the first column's value.
#[test]
fn chunks_of_a_composite_key_read_each_row_about_once() -> Result<()> {
    let server = mariadb::start(&[])?;
    let database = server.fresh_database("composite")?;
    server.sql(
        &database,
        "create table t (tenant int, id int, v int, primary key (tenant, id)); \
         insert into t select seq div 19000, seq, seq from seq_1_to_20000; analyze table t",
    )?;
    let read = |_: ()| -> Result<u64> {
        let told = server.sql(
            &database,
            "select sum(variable_value) from information_schema.global_status \
            where variable_name in ('handler_read_next', 'handler_read_rnd_next')",
        )?;
        Ok(told.trim().parse::<f64>()? as u64)
    };
    let before = read(())?;
    let keys = "mode: chunked\ntable: t\nchunk_by_key: [tenant, id]\nchunk_size: 500";
    let exported = workspace(&server.url(&database), keys)?.into_export()?;
    assert_eq!(exported.rows("count(*) n, count(distinct id) as d", "")?, [json!({"n": 20_000, "d": 20_000})]);
    ensure!(exported.parts.len() >= 40, "{}", exported.parts.len());
    // Once for the borders, once for the rows, and the catalogue.
    let n = read(())? - before;
    ensure!(n < 100_000, "{n} rows were read");
    server.stop()
}
