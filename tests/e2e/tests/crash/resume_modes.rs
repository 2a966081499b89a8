//! Killed in each mode at each point on each engine, and four workers killed from outside: the next run, or `--resume`, completes.
//! Must not know how a checkpoint is stored.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::{oracle, postgres};
use serde_json::Value;

use crate::reader::Seen;
use crate::resume::{N, TABLE, die, export, json_run, out, sql, warnings};
use crate::settled::{ensure_rows, ids_up_to};
use crate::wait_until;

/// The modes, by engine: what an export says beside its name and table.
const MODES: [(&str, &str); 5] = [
    ("full", "mode: full"),
    ("incremental", "mode: incremental, cursor_column: id"),
    ("chunked", "mode: chunked, chunk_column: id, chunk_size: 1000"),
    ("chunked by two", "mode: chunked, chunk_column: id, chunk_size: 1000, parallel: 2"),
    ("time_window", "mode: time_window, time_column: at, days_window: 3"),
];

const POINTS: [&str; 15] = [
    "locked",
    "planned",
    "batch_read",
    "batch_read:5",
    "part_begun",
    "part_prepared",
    "part_recorded",
    "part_recorded:3",
    "split_done",
    "split_done:5",
    "judged",
    "part_published",
    "manifest_written",
    "success_written",
    "finished",
];

/// Dies at each point in each mode, in a workspace that `make` makes for the keys of the mode. Every other one is resumed by
/// name, the even ones or not.
fn each_mode(make: impl Fn(&str) -> Result<Workspace>, even: bool) -> Result<()> {
    let mut done: Vec<(String, Workspace, Vec<PathBuf>)> = Vec::new();
    for (i, (mode, keys)) in MODES.into_iter().enumerate() {
        for (j, point) in POINTS.into_iter().enumerate() {
            let resume = (i + j).is_multiple_of(2) == even;
            let label = format!("{mode} at {point}");
            let workspace = make(keys)?;
            let ran = workspace.rivet(&["run", "--fault", point])?;
            let died = ran.code.is_none();
            ensure!(died || point.contains(':'), "{label}: {:?} {}", ran.code, ran.stderr);
            let left = died && !["locked", "finished"].contains(&point);
            let words: &[&str] = if resume && left { &["run", "--resume"] } else { &["run"] };
            workspace.rivet(words)?.expect(0).with_context(|| label.clone())?;
            let seen = Seen::look(&out(&workspace)).with_context(|| label.clone())?;
            ensure!(seen.staged.is_empty() && seen.loose.is_empty(), "{label}: {seen:?}");
            let parts = if mode == "incremental" {
                let all = rivet_test_e2e::files_below(&out(&workspace))?;
                all.into_iter().filter(|file| file.extension().is_some_and(|e| e == "parquet")).collect()
            } else {
                seen.parts
            };
            done.push((label, workspace, parts));
        }
    }
    let lists: Vec<(&str, &[PathBuf])> = done.iter().map(|(label, _, parts)| (&**label, &**parts)).collect();
    ensure_rows(&lists, &ids_up_to(N))
}

#[test]
fn each_mode_at_each_point_on_sqlite() -> Result<()> {
    let data = Workspace::new("")?;
    sql(&data, TABLE)?;
    sql(&data, "alter table t add column at text; update t set at = datetime('now', '-1 hour')")?;
    let file = data.path().join("data.db").display().to_string();
    each_mode(
        |keys| {
            Workspace::new(&format!(
                "source: {{type: sqlite, path: '{file}', tuning: {{profile: fast, batch_size: 500}}}}\n\
                 exports:\n- {{name: t, table: t, columns: {{at: timestamp}}, {keys}, destination: {{type: local, path: out}}}}\n"
            ))
        },
        true,
    )
}

#[test]
fn each_mode_at_each_point_on_postgres() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("resume")?;
    server.psql(
        &database,
        &format!(
            "create table t as select i::bigint as id, 'old'::text as h, now() - interval '1 hour' as at from \
             generate_series(1, {N}) i; alter table t add primary key (id); analyze t"
        ),
    )?;
    let url = server.url(&database);
    each_mode(
        |keys| {
            let config = format!(
                "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, batch_size: 500}}}}\n\
                 exports:\n- {{name: t, table: public.t, {keys}, destination: {{type: local, path: out}}}}\n"
            );
            Ok(Workspace::new(&config)?.with_variable("TEST_URL", &url))
        },
        false,
    )
}

/// Killed from outside as an operator would, in the middle of four workers.
#[test]
fn four_workers_on_postgres_go_on_where_they_were() -> Result<()> {
    const ROWS: u64 = 200_000;
    let server = postgres::shared();
    let database = server.fresh_database("resume4")?;
    let table = format!(
        "create table t as select i::bigint as id, 'old'::text as h from generate_series(1, {ROWS}) i; \
         alter table t add primary key (id); analyze t"
    );
    server.psql(&database, &table)?;
    let config = "source: {type: postgres, url_env: TEST_URL, tuning: {profile: fast, batch_size: 1000, throttle_ms: 60}}\n\
         exports:\n- {name: t, table: public.t, mode: chunked, chunk_size: 10000, parallel: 4, \
         destination: {type: local, path: out}}\n";
    let workspace = Workspace::new(config)?.with_variable("TEST_URL", &server.url(&database));
    let mut child = workspace.spawn(&["run"])?;
    let parts = || Ok(out(&workspace).exists() && rivet_test_e2e::files_below(&out(&workspace))?.len() > 8);
    wait_until("some chunks are done", Duration::from_secs(60), parts)?;
    child.kill()?;
    child.wait()?;
    server.psql(&database, "update t set h = 'new'")?;
    workspace.configure(&config.replace("chunk_size: 10000", "chunk_size: 15000"))?;
    let ran = workspace.rivet(&["run", "--resume"])?.expect(1)?;
    ensure!(ran.stderr.contains("chunk plan fingerprint mismatch"), "{}", ran.stderr);
    workspace.configure(&config.replace("throttle_ms: 60", "throttle_ms: 0"))?;
    let told = export(&json_run(&workspace, &["--resume"])?.expect(0)?)?;
    let kept = told["splits_kept"].as_u64().context("a number")?;
    ensure!(kept > 0 && told["rows"] == ROWS, "{told}");
    let seen = Seen::look(&out(&workspace))?;
    ensure!(seen.staged.is_empty() && seen.loose.is_empty() && seen.parts.len() == 20, "{seen:?}");
    ensure_rows(&[("resumed", &seen.parts)], &ids_up_to(ROWS))?;
    assert_eq!(kept, count_chunks(&seen, "old")?, "what was finished was not read again");
    // A table of that name that is another one.
    die(&workspace, &[], "split_done:3")?;
    server.psql(&database, &format!("drop table t; {table}"))?;
    let ran = workspace.rivet(&["run", "--resume"])?.expect(1)?;
    ensure!(ran.stderr.contains("dropped and made again"), "{}", ran.stderr);
    let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
    ensure!(told["splits_kept"] == 0 && warnings(&told).contains("all is read again"), "{told}");
    ensure_rows(&[("anew", &Seen::look(&out(&workspace))?.parts)], &ids_up_to(ROWS))
}

/// Files of which all rows have this `h`; none has another beside it.
fn count_chunks(seen: &Seen, h: &str) -> Result<u64> {
    let files: Vec<String> = seen.parts.iter().map(|p| format!("'{}'", p.display())).collect();
    let select = format!(
        "select count(*) filter (low = '{h}') as n, count(*) filter (low <> high) as mixed from (select filename, min(h) as \
         low, max(h) as high from read_parquet([{}], filename = true) group by filename)",
        files.join(", ")
    );
    let line: Value = serde_json::from_str(oracle::duckdb(&select)?.trim())?;
    ensure!(line["mixed"] == 0, "a file is of two states: {line}");
    line["n"].as_u64().context("a number")
}
