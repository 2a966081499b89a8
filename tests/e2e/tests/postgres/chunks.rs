//! Modes chunked and time_window: each row once, in chunks of the size that was asked for; the time that was read is on record.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::postgres;
use serde_json::{Value, json};

use crate::workspace;

const SPARSE: &str = "create table t (id bigint primary key, at timestamptz, day date, name text, tags json);\n\
    insert into t select i * 100000, '2024-01-01 00:00+00'::timestamptz + i * interval '1 hour', '2024-01-01'::date + i / 24, \
    case when i % 10 > 0 then 'N' || i % 50 end, '[]' from generate_series(1, 5000) i;\n\
    create index on t (name, id); create index on t (at); analyze t;";

/// The strategy of a run, rows of its parts by chunk, and the ids that they hold.
fn export(place: &Workspace) -> Result<(String, Vec<u64>, Value)> {
    let read = place.export()?;
    let strategy = read.manifest["strategy"].as_str().context("a strategy")?.to_owned();
    let parts = read.manifest["parts"].as_array().context("parts")?;
    let rows = parts.iter().map(|part| part["rows"].as_u64().context("rows")).collect::<Result<_>>()?;
    Ok((strategy, rows, ids(&read)?))
}

fn ids(read: &Exported) -> Result<Value> {
    let rows = read.rows("count(*) n, count(distinct id) d, sum(id)::varchar s", "")?;
    rows.into_iter().next().context("a row")
}

#[test]
fn a_table_comes_in_chunks_of_any_kind() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("chunks")?;
    server.psql(&database, SPARSE)?;
    let all = json!({"n": 5000, "d": 5000, "s": (1..=5000_u64).map(|i| i * 100_000).sum::<u64>().to_string()});
    let exactly = |rows: &[u64]| rows.to_vec();
    let cases: [(&str, &str, &str, Option<Vec<u64>>); 11] = [
        ("table: t", "chunk_count: 1", "chunked(id, count=1)", Some(exactly(&[5000]))),
        ("table: t", "chunk_column: id", "chunked(id, size=100000)", Some(exactly(&[5000]))),
        (
            "table: t",
            "chunk_column: id\nchunk_size: 1500\nchunk_dense: true",
            "chunked(id, size=1500)",
            Some(exactly(&[1500, 1500, 1500, 500])),
        ),
        (
            "table: t",
            "chunk_by_key: [id]\nchunk_size: 2000\nchunk_checkpoint: true",
            "chunked(id, size=2000)",
            Some(exactly(&[2000, 2000, 1000])),
        ),
        ("table: t", "chunk_column: id\nchunk_size: 500\nparallel: 4", "chunked-parallel(id, size=500, p=4)", None),
        ("table: t", "chunk_column: at\nchunk_count: 7\nparallel: 2", "chunked-parallel(at, count=7, p=2)", None),
        (
            "table: t",
            "chunk_column: day\nchunk_by_days: 100",
            "chunked(day, days=100)",
            Some(exactly(&[2399, 2400, 201])),
        ),
        (
            "table: t",
            "chunk_column: [name, id]\nchunk_size: 2000\nchunk_dense: true",
            "chunked(name, id, size=2000)",
            Some(exactly(&[2000, 2000, 500, 500])),
        ),
        ("table: t", "chunk_column: id\nchunk_size_memory_mb: 1", "chunked(id, memory=1MB)", None),
        (
            "query: select * from t",
            "chunk_column: id\nchunk_size: 3000",
            "chunked(id, size=3000)",
            Some(exactly(&[3000, 2000])),
        ),
        (
            "query: select row_number() over (order by id) as dense, t.* from t",
            "chunk_column: dense\nchunk_size: 4000\nchunk_max_attempts: 2",
            "chunked(dense, size=4000)",
            Some(exactly(&[4000, 1000])),
        ),
    ];
    for (what, keys, strategy, sizes) in cases {
        let relation = format!("mode: chunked\n{what}\n{keys}");
        let (found, rows, ids) = export(&workspace(&server.url(&database), &relation)?).context(relation.clone())?;
        assert_eq!((found.as_str(), &ids), (strategy, &all), "{relation}");
        match sizes {
            Some(sizes) => assert_eq!(rows, sizes, "{relation}"),
            None => ensure!(rows.len() < 15, "{relation}: {rows:?}"),
        }
    }
    Ok(())
}

#[test]
fn chunks_of_a_condition_hold_its_rows_alone() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("chunks_where")?;
    server.psql(&database, SPARSE)?;
    let keys = "mode: chunked\ntable: t\nwhere: name is null or name = 'N1' -- half\nchunk_column: [id]\nchunk_size: 250\nchunk_dense: true";
    let (_, rows, ids) = export(&workspace(&server.url(&database), keys)?)?;
    assert_eq!((rows, &ids["n"]), (vec![250, 250, 100], &json!(600)));
    Ok(())
}

#[test]
fn sparse_keys_cost_few_scans() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("sparse")?;
    server.psql(&database, SPARSE)?;
    let scans = "select coalesce(seq_scan, 0) + coalesce(idx_scan, 0) from pg_stat_user_tables where relname = 't'";
    let count = || -> Result<u64> { Ok(server.psql(&database, scans)?.trim().parse()?) };
    let before = count()?;
    let relation = "mode: chunked\ntable: t\nchunk_column: id\nchunk_size: 100000";
    export(&workspace(&server.url(&database), relation)?)?;
    let spent = count()? - before;
    ensure!((1..=20).contains(&spent), "{spent} scans of 5000 rows");
    Ok(())
}

/// With a value of the histogram to each chunk no row is read for the borders.
#[test]
fn borders_by_statistics_cost_no_scan() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("chunks_known")?;
    server.psql(
        &database,
        "create table t (id bigint primary key, pad text); \
         insert into t select i * i, repeat('x', 100) from generate_series(1, 30000) i; vacuum analyze t",
    )?;
    let place = workspace(&server.url(&database), "table: t\nmode: chunked\nchunk_size: 450")?;
    let (_, rows, _) = export(&place)?;
    ensure!(rows.iter().sum::<u64>() == 30_000 && (40..=80).contains(&rows.len()), "{rows:?}");
    ensure!(rows.iter().all(|n| (150..=900).contains(n)), "{rows:?}");
    let scans = "select coalesce(seq_scan, 0) + coalesce(idx_scan, 0) from pg_stat_user_tables where relname = 't'";
    let scans: usize = server.psql(&database, scans)?.trim().parse()?;
    ensure!(scans <= rows.len() + 5, "{scans} scans for {} chunks", rows.len());
    Ok(())
}

/// Two borders of a key of several columns are a range to its index, and not a reason to read the table for each chunk.
#[test]
fn chunks_of_a_composite_key_go_by_its_index() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("chunks_composite")?;
    server.psql(
        &database,
        "create table t (id bigint, line int, pad text, primary key (id, line)); \
         insert into t select i / 4, i % 4, repeat('x', 200) from generate_series(1, 100000) i; vacuum analyze t",
    )?;
    // On a table of some gigabytes the planner comes to that by itself.
    server.psql(&database, &format!("alter database {database} set enable_bitmapscan = off"))?;
    let place = workspace(&server.url(&database), "table: t\nmode: chunked\nchunk_count: 20")?;
    ensure!(export(&place)?.1.iter().sum::<u64>() == 100_000, "all rows");
    let scanned = "select seq_tup_read from pg_stat_user_tables where relname = 't'";
    let scanned: u64 = server.psql(&database, scanned)?.trim().parse()?;
    // The table itself was made without a scan; some borders may cost one.
    ensure!(scanned <= 200_000, "{scanned} rows were read in scans of the whole table");
    Ok(())
}

#[test]
fn what_cannot_be_cut_is_said() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("chunk_errors")?;
    server.psql(&database, SPARSE)?;
    for (relation, said) in [
        ("mode: chunked\ntable: t\nchunk_column: idd", "did you mean 'id'?"),
        ("mode: chunked\ntable: t\nchunk_column: tags", "has a type that the server cannot order"),
        (
            "mode: chunked\nquery: select lower(name) as name from t where ${rivet.filter}\nchunk_column: name\nchunk_size: 100",
            "cuts a query in chunks that has ${rivet.filter}",
        ),
        ("mode: chunked\ntable: t\nchunk_column: id\nchunk_by_days: 3", "but id is no date or timestamp"),
        (
            "mode: chunked\ntable: t\nchunk_column: id\nchunk_size: 3\nchunk_count: 4",
            "has both chunk_size and chunk_count",
        ),
        ("mode: chunked\ntable: t\nchunk_column: id\nchunk_by_key: id", "has both chunk_column and chunk_by_key"),
        ("table: t\nchunk_size: 7", "chunk_size (line 6) means nothing in mode 'full'"),
        ("mode: time_window\ntable: t\ndays_window: 7", "name the column that says when a row is from"),
        ("mode: time_window\ntable: t\ndays_window: 7\ntime_column: id", "say what its numbers count"),
        ("mode: time_window\ntable: t\ndays_window: 7\ntime_column: name", "name a date or timestamp"),
        (
            "mode: time_window\ntable: t\ndays_window: 7\ntime_column: at\nalign: day\ntime_zone: Mars/Base",
            "does not know the time zone 'Mars/Base'",
        ),
    ] {
        let ran = workspace(&server.url(&database), relation)?.rivet(&["run"])?.expect(1)?;
        ensure!(ran.stderr.contains(said), "{relation}: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_time_window_ends_now_by_the_servers_clock() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("window")?;
    server.psql(
        &database,
        "create table t (id int, at timestamptz, local timestamp, day date, unix bigint, ms numeric(20,3));\n\
         insert into t select i, a, a at time zone 'Asia/Tokyo', a::date, extract(epoch from a), extract(epoch from a) * 1000 \
         from (select i, now() - (i - 2) * interval '36 hours' + interval '20 minutes' as a from generate_series(1, 12) i) r;\n\
         insert into t (id) values (100);",
    )?;
    // Of 1 and 2 the time is still to come: by some minutes for one of them.
    for (keys, ids) in [
        ("time_column: at\ndays_window: 7", "3,4,5,6"),
        ("time_column: local\ndays_window: 7\ntime_zone: Asia/Tokyo", "3,4,5,6"),
        ("time_column: local\ndays_window: 7\ntime_zone: '+09:00'", "3,4,5,6"),
        ("time_column: unix\ntime_column_type: unix\ndays_window: 7", "3,4,5,6"),
        ("time_column: ms\ntime_column_type: unix_ms\ndays_window: 7", "3,4,5,6"),
        ("time_column: at\ndays_window: 4294967295", "3,4,5,6,7,8,9,10,11,12"),
        ("time_column: unix\ntime_column_type: unix\ndays_window: 4294967295", "3,4,5,6,7,8,9,10,11,12"),
    ] {
        let read = workspace(&server.url(&database), &format!("mode: time_window\ntable: t\n{keys}"))?.into_export()?;
        let rows = read.rows("string_agg(id::varchar, ',' order by id) s", "")?;
        assert_eq!(rows[0]["s"], json!(ids), "{keys}");
        let strategy = read.manifest["strategy"].as_str().unwrap_or_default();
        ensure!(strategy.starts_with("time-window(") && strategy.ends_with("d)"), "{strategy}");
        let window = &read.manifest["window"];
        ensure!(window["to"]["text"].is_string() && window["column"].is_string(), "{window}");
        assert_eq!(window["from"].is_null(), keys.contains("4294967295"), "{window}");
    }
    // Whole days are those of the zone.
    let keys = "mode: time_window\nquery: select * from t where ${rivet.filter}\ntime_column: at\ndays_window: 3\nalign: day\ntime_zone: Asia/Tokyo";
    let read = workspace(&server.url(&database), keys)?.into_export()?;
    let midnight = "date_trunc('day', now() at time zone 'Asia/Tokyo')";
    let expected = server.psql(
        &database,
        &format!("select string_agg(id::text, ',' order by id) from t where at at time zone 'Asia/Tokyo' >= {midnight} - interval '3 days' \
                  and at at time zone 'Asia/Tokyo' < {midnight}"),
    )?;
    let rows = read.rows("string_agg(id::varchar, ',' order by id) s", "")?;
    assert_eq!(rows[0]["s"], json!(expected.trim()));
    ensure!(
        read.manifest["window"]["to"]["text"].as_str().is_some_and(|to| to.contains(" 15:00:00")),
        "{}",
        read.manifest["window"]
    );
    Ok(())
}

/// A server holds a foreign partition to no constraint of its table: its rows may have no key.
#[test]
fn rows_without_a_key_in_a_foreign_partition_are_in_a_chunk() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("foreign")?;
    let files = tempfile::tempdir()?;
    let file = files.path().join("old.csv");
    std::fs::write(&file, ",1,no key\n7,1,seven\n")?;
    // The server may run as another user.
    std::fs::set_permissions(files.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    server.psql(
        &database,
        &format!(
            "create extension file_fdw; create server files foreign data wrapper file_fdw;\n\
             create table t (id bigint not null, part int not null, name text) partition by list (part);\n\
             create table t_new partition of t for values in (2) partition by list (id);\n\
             create table t_new_all partition of t_new default;\n\
             create foreign table t_old partition of t for values in (1) server files options (filename '{}', format 'csv');\n\
             insert into t select i, 2, 'n' || i from generate_series(100, 199) i;",
            file.display()
        ),
    )?;
    for keys in ["chunk_size: 40", "chunk_size: 40\nchunk_dense: true", "chunk_count: 3\nparallel: 2"] {
        let place = workspace(&server.url(&database), &format!("mode: chunked\ntable: t\nchunk_column: id\n{keys}"))?;
        let read = place.export().context(keys)?;
        let rows = read.rows("count(*) as n, count(id) as ids, count(distinct name) as named", "")?;
        assert_eq!(rows, [json!({"n": 102, "ids": 101, "named": 102})], "{keys}");
    }
    // Without the foreign one, NOT NULL is believed.
    server.psql(&database, "alter table t detach partition t_old")?;
    let place = workspace(&server.url(&database), "table: t")?;
    let types = place.rivet(&["run", "--dry-run", "--output", "json"])?.expect(0)?.json()?;
    let columns = types["exports"][0]["columns"].as_array().context("columns")?;
    assert_eq!(columns[0]["nullable"], json!(false), "{types}");
    Ok(())
}

/// A type that is sorted by one order and compared by another: as text under a collation that changed, or a sort that looks
/// at the beginning alone.
#[test]
fn borders_that_do_not_rise_are_refused() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("falls")?;
    server.psql(
        &database,
        "create domain backwards as int;\n\
         create function after(backwards, backwards) returns boolean language sql immutable as 'select $1::int < $2::int';\n\
         create operator > (leftarg = backwards, rightarg = backwards, function = after);\n\
         create table t as select i as id, i::backwards as k from generate_series(1, 1000) i;",
    )?;
    let chunked = |key: &str| format!("mode: chunked\ntable: t\nchunk_column: {key}\nchunk_size: 300");
    let ran = workspace(&server.url(&database), &chunked("k"))?.rivet(&["run"])?.expect(3)?;
    ensure!(ran.stderr.contains("the rows ordered by k do not rise by k"), "{}", ran.stderr);
    let read = workspace(&server.url(&database), &chunked("id"))?.into_export()?;
    ensure!(read.parts.len() == 4 && read.n_rows() == 1000, "{:?}", read.parts);
    Ok(())
}
