//! Values that are long for the memory: exported in it, or refused with what to do; and a process that gets no more memory.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::{oracle, postgres};

use super::refused;

const MIB: u64 = 1 << 20;

/// An export of `t`, which has so many rows of a value of so many random bytes.
fn workspace(n_rows: u32, bytes: u32, tuning: &str) -> Result<Workspace> {
    let workspace = Workspace::new(&format!(
        "source: {{type: sqlite, path: data.db, tuning: {{profile: fast}}}}\n\
         exports: [{{name: t, table: t, tuning: {{{tuning}}}, destination: {{type: local, path: out}}}}]\n"
    ))?;
    const SCRIPT: &str = "import os, sqlite3, sys\n\
        c = sqlite3.connect(sys.argv[1])\n\
        c.execute('create table t (id integer primary key, v blob)')\n\
        c.executemany('insert into t values (?, ?)', ((i, os.urandom(int(sys.argv[3]))) for i in range(int(sys.argv[2]))))\n\
        c.commit()\n";
    let path = workspace.path().join("data.db").display().to_string();
    oracle::run(SCRIPT, &[&path, &n_rows.to_string(), &bytes.to_string()])?;
    Ok(workspace)
}

/// What DuckDB reads in the only part is what SQLite has.
fn must_be_equal(workspace: &Workspace) -> Result<()> {
    let read = Exported::read(&workspace.path().join("out"))?;
    let part = read.parts[0].display().to_string();
    let found = oracle::duckdb(&format!("select id, md5(v) as sum from read_parquet('{part}') order by id"))?;
    const SCRIPT: &str = "import hashlib, json, sqlite3, sys\n\
        for i, v in sqlite3.connect(sys.argv[1]).execute('select id, v from t order by id'):\n\
        \x20   print(json.dumps({'id': i, 'sum': hashlib.md5(v).hexdigest()}, separators=(',', ':')))\n";
    let expected = oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string()])?;
    let plain = |text: &str| text.replace(' ', "").trim().to_owned();
    assert_eq!(plain(&found), plain(&expected));
    Ok(())
}

#[test]
fn long_values_are_exported_and_read_back_in_the_memory_that_is_given() -> Result<()> {
    let workspace = workspace(3, 20_000_000, "memory_mb: 160")?;
    let ran = workspace.rivet(&["run", "--validate"])?.expect(0)?;
    ensure!((60 * MIB..160 * MIB).contains(&ran.peak_rss_bytes), "{} MiB", ran.peak_rss_bytes / MIB);
    must_be_equal(&workspace)
}

#[test]
fn long_values_of_postgres_are_exported_in_the_memory_that_is_given() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("long_values")?;
    // Bytes that do not compress.
    server.psql(
        &database,
        "create table t as select n as id, decode(string_agg(md5((n * 10000000 + i)::text), ''), 'hex') as v \
         from generate_series(1, 3) n, generate_series(1, 1250000) i group by n",
    )?;
    let place = super::postgres(&server.url(&database), "table: t\n    tuning: {memory_mb: 160}")?;
    let ran = place.rivet(&["run", "--validate"])?.expect(0)?;
    ensure!((60 * MIB..160 * MIB).contains(&ran.peak_rss_bytes), "{} MiB", ran.peak_rss_bytes / MIB);
    let part = Exported::read(&place.path().join("out"))?.parts[0].display().to_string();
    let found = oracle::duckdb(&format!("select id, md5(v) as sum from read_parquet('{part}') order by id"))?;
    let sums = server.psql(&database, "select md5(v) from t order by id")?;
    ensure!(
        sums.lines().count() == 3 && sums.lines().zip(found.lines()).all(|(sum, row)| row.contains(sum)),
        "{found}"
    );
    Ok(())
}

#[test]
fn a_value_that_the_memory_does_not_hold_is_refused_and_the_memory_named() -> Result<()> {
    let place = workspace(1, 6_000_000, "memory_mb: 64")?;
    let ran = refused(&place, 3, &["column 'v'", "row 1", "`memory_mb: 64` holds values of up to 4 MiB"])?;
    ensure!(ran.peak_rss_bytes < 64 * MIB, "{} MiB", ran.peak_rss_bytes / MIB);
    // More workers hold less each; and what the config says of the value, the memory follows.
    let place = workspace(1, 30_000_000, "max_value_mb: 30")?;
    place.run()?.expect(0)?;
    must_be_equal(&place)
}

#[test]
fn a_value_and_a_memory_that_contradict_each_other_are_refused_before_anything_is_read() -> Result<()> {
    let place = Workspace::new(
        "source: {type: sqlite, path: missing.db, tuning: {memory_mb: 64}}\n\
         exports: [{name: t, table: t, parallel: 2, tuning: {max_value_mb: 64}, destination: {type: local, path: out}}]\n",
    )?;
    refused(
        &place,
        1,
        &["export 't'", "64 MiB (`max_value_mb`)", "2 workers", "`memory_mb: 680` or `max_value_mb: 2`"],
    )?;
    Ok(())
}

#[test]
fn a_process_without_memory_says_so_and_ends_with_2() -> Result<()> {
    let mut workspace = workspace(2, 30_000_000, "max_value_mb: 30")?;
    let mut n_out_of_memory = 0;
    for mib in [60, 100, 140, 180, 220] {
        workspace = workspace.with_address_space_kib(Some(mib * 1024));
        let ran = workspace.rivet(&["run"])?;
        let code = ran.code.with_context(|| format!("{mib} MiB: a signal ended it: {}", ran.stderr))?;
        ensure!([0, 2].contains(&code) && (code == 0 || ran.stderr.contains("error: ")), "{mib} MiB: {}", ran.stderr);
        n_out_of_memory += u32::from(ran.stderr.contains("error: out of memory: 30") && code == 2);
    }
    ensure!(n_out_of_memory >= 2, "the limits are too wide");
    workspace.with_address_space_kib(None).run()?.expect(0).map(drop)
}

/// The keys of a million rows are 16 MB: more than the rule may keep in memory here, so most of them go to disk.
#[test]
fn keys_that_are_compared_stay_in_the_memory_that_is_given() -> Result<()> {
    for (also, code, figure) in [("", 0, 0), (" union all select 1", 3, 1)] {
        let workspace = Workspace::new(&format!(
            "source: {{type: sqlite, path: data.db, tuning: {{profile: fast, memory_mb: 64}}}}\nexports:\n\
             - {{name: t, query: 'select a from t{also}', quality: {{unique_columns: [a]}}, destination: {{type: local, path: out}}}}\n"
        ))?;
        let script = "import sqlite3, sys\n\
            c = sqlite3.connect(sys.argv[1])\n\
            c.execute('create table t (a integer)')\n\
            c.executemany('insert into t values (?)', ((i * 7919 % 1000003,) for i in range(1, 1000001)))\n\
            c.commit()\n";
        oracle::run(script, &[&workspace.path().join("data.db").display().to_string()])?;
        let ran = workspace.run()?.expect(code)?;
        let rule = ran.json()?["exports"][0]["quality"][0].clone();
        assert_eq!(rule["figure"], figure, "{rule}");
        ensure!((16 * MIB..64 * MIB).contains(&ran.peak_rss_bytes), "{} MiB", ran.peak_rss_bytes / MIB);
        let locks =
            std::fs::read_dir(workspace.path().join(".rivet_state.db.locks"))?.collect::<Result<Vec<_>, _>>()?;
        let scratch = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "scratch");
        ensure!(!locks.iter().any(scratch), "what was on disk is gone: {locks:?}");
    }
    Ok(())
}

#[test]
fn what_the_process_or_a_batch_holds_beyond_its_limit_is_told_or_ends_the_run() -> Result<()> {
    let limits = "memory_mb: 160, memory_threshold_mb: 32, max_batch_memory_mb: 4";
    let place = workspace(3, 20_000_000, limits)?;
    let warnings = place.run()?.expect(0)?.json()?["exports"][0]["warnings"].to_string();
    for told in ["`memory_threshold_mb: 32`", "`max_batch_memory_mb: 4`, for a single long row"] {
        ensure!(warnings.matches(told).count() == 1, "{told} in {warnings}");
    }
    must_be_equal(&place)?;
    let place = workspace(1, 8_000_000, "max_batch_memory_mb: 4, on_batch_memory_exceeded: fail")?;
    refused(&place, 1, &["t: a batch is larger than `max_batch_memory_mb: 4`", "on_batch_memory_exceeded: warn"])?;
    Ok(())
}
