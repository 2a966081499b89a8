//! Database snapshots: one state for all workers, made and dropped by the run, and what dead runs leave of them.
//! Must not know how the stand-in makes one.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use rivet_test_e2e::{Exported, Workspace, finish_within};
use rivet_test_servers::postgres;
use rivet_test_tds::mssql::{self, Encryption, Mssql};
use serde_json::json;

const N: u32 = 4_000;
const SNAPSHOTS: &str = "select coalesce(string_agg(name, ','), '') from sys.snapshots";

/// A server of its own, and a database with a table of [`N`] rows whose balance is 10 each.
fn server(name: &str) -> Result<(Mssql, String)> {
    ensure!(postgres::shared().port() > 0);
    let server = Mssql::start(Encryption::Offered)?;
    let database = table(&server, name)?;
    Ok((server, database))
}

fn table(server: &Mssql, name: &str) -> Result<String> {
    let database = server.fresh_database(name)?;
    server.create_table(&database, "t", &[("id", "int NOT NULL"), ("balance", "int NOT NULL")])?;
    let sql = format!(
        "alter table dbo.t add primary key (id); insert into dbo.t select i, 10 from generate_series(1, {N}) i"
    );
    server.psql(&database, &sql)?;
    Ok(database)
}

/// Four workers that read in small pieces, slowly where `pause_ms` is not 0.
fn workspace(url: &str, name: &str, pause_ms: u32) -> Result<Workspace> {
    let config = format!(
        "source: {{type: mssql, url_env: TEST_URL, snapshot: database, \
           tuning: {{profile: fast, batch_size: 100, throttle_ms: {pause_ms}, max_retries: 1, retry_backoff_ms: 50}}}}\n\
         exports: [{{name: {name}, table: dbo.t, mode: chunked, chunk_column: id, chunk_size: 500, parallel: 4, \
           destination: {{type: local, path: out}}}}]\n"
    );
    Ok(Workspace::new(&config)?.with_variable("TEST_URL", url))
}

/// How a statement that reads rows begins: those that look for borders between chunks have other columns.
const ROWS: &str = "SELECT \"id\" AS \"id\"";

/// Starts a run and waits until its workers read.
fn reading(server: &Mssql, place: &Workspace) -> Result<Child> {
    let n_before = server.heard(ROWS).len();
    let mut child = place.spawn(&["run", "--output", "json"])?;
    let asked = Instant::now();
    while server.heard(ROWS).len() < n_before + 2 {
        if child.try_wait()?.is_some() || asked.elapsed() > Duration::from_secs(30) {
            child.kill()?;
            let ran = finish_within(child, Duration::from_secs(5))?;
            bail!("no rows were asked for: {:?} {} {:?}", ran.code, ran.stderr, server.heard("connection: "));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

fn whole(place: &Workspace) -> Result<Exported> {
    let read = Exported::read(&place.path().join("out"))?;
    let found = read.rows("count(*) as n, count(distinct id) as ids, sum(balance)::int as total", "")?;
    assert_eq!(found, [json!({"n": N, "ids": N, "total": N * 10})]);
    Ok(read)
}

#[test]
fn all_workers_read_the_state_of_one_database_snapshot() -> Result<()> {
    let (server, database) = server("frozen")?;
    let place = workspace(&server.url(&database), "t", 200)?;
    let child = reading(&server, &place)?;
    ensure!(server.psql(&database, SNAPSHOTS)?.starts_with("rivet/t/"), "{}", server.psql(&database, SNAPSHOTS)?);
    server.psql(
        &database,
        "update dbo.t set balance = 7; delete from dbo.t where id % 3 = 0; insert into dbo.t values (-1, 1)",
    )?;
    let ran = finish_within(child, Duration::from_secs(60))?.expect(0)?;
    let read = whole(&place)?;
    assert_eq!(
        (&read.manifest["consistency"], &read.manifest["strategy"]),
        (&json!("snapshot"), &json!("chunked-parallel(id, size=500, p=4)"),)
    );
    ensure!(read.manifest.to_string().contains("database snapshot rivet/t/"), "{}", read.manifest);
    ensure!(!ran.stderr.contains("ALLOW_SNAPSHOT"), "{}", ran.stderr);
    assert_eq!(server.psql(&database, SNAPSHOTS)?.trim(), "", "it is dropped");
    let made = server.heard("CREATE DATABASE [");
    let made = made.first().map(String::as_str).unwrap_or_default();
    for part in [
        "(NAME = [data], FILENAME = N'C:\\Data\\rivet_t_",
        "(NAME = [more], FILENAME = N'D:\\Data\\rivet_t_",
        "_3.ss')",
    ] {
        ensure!(made.contains(part) && !made.contains("[log]"), "{part} in {made}");
    }
    // Where there is less to read, nobody says that it could not be shared.
    let config = std::fs::read_to_string(place.path().join("rivet.yaml"))?.replace("throttle_ms: 200, ", "");
    place.configure(&config.replace("chunk_size: 500", "chunk_size: 2000"))?;
    let ran = place.run()?.expect(0)?;
    ensure!(!ran.stderr.contains("cannot"), "{}", ran.stderr);
    // The relation is the same as before, in whichever snapshot.
    server.psql(&database, "delete from dbo.t where id = -1; update dbo.t set balance = 10")?;
    let config = std::fs::read_to_string(place.path().join("rivet.yaml"))?;
    let config =
        config.replace("mode: chunked, chunk_column: id, chunk_size: 500", "mode: incremental, cursor_column: id");
    place.configure(&config.replace("parallel: 4, ", ""))?;
    place.run()?.expect(0)?;
    let again = place.run()?.expect(0)?;
    ensure!(!again.stderr.contains("another"), "{}", again.stderr);
    Ok(())
}

#[test]
fn who_may_make_none_is_told_before_a_row_is_read() -> Result<()> {
    let server = mssql::shared();
    let database = table(server, "not_allowed")?;
    let place = workspace(&server.url(&database), "t", 0)?;
    for (lacks, code, says) in [
        ("may_create_database = 0", "mssql.262", "GRANT CREATE ANY DATABASE TO [sa]"),
        (
            "may_create_database = 1, engine_edition = 5",
            "mssql.no_database_snapshots",
            "leave `snapshot: database` out",
        ),
    ] {
        server.psql(&database, &format!("update sys.options set {lacks}"))?;
        let ran = place.rivet(&["run", "--output", "json"])?.expect(1)?;
        let error = &ran.json()?["exports"][0]["error"];
        ensure!(error["code"] == code && error["hint"].to_string().contains(says), "{error}");
        for command in ["check", "doctor"] {
            let ran = place.rivet(&[command])?;
            let said = format!("{}{}", ran.text()?, ran.stderr);
            ensure!(ran.code != Some(0) && said.contains(says), "{command} {:?}: {said}", ran.code);
        }
    }
    ensure!(server.heard("CREATE DATABASE [").iter().all(|sql| !sql.contains(&database)));
    Ok(())
}

/// Without the lock, a run that comes later would take the snapshot for one that a dead run left.
#[test]
fn without_the_lock_on_its_name_none_is_made() -> Result<()> {
    let server = mssql::shared();
    let database = table(server, "no_lock")?;
    server.psql(&database, "update sys.options set gives_locks = false")?;
    let ran = workspace(&server.url(&database), "t", 0)?.rivet(&["run", "--output", "json"])?;
    let error = &ran.json()?["exports"][0]["error"];
    ensure!(ran.code != Some(0) && error["code"] == "mssql.snapshot_lock", "{error}");
    assert_eq!(server.psql(&database, SNAPSHOTS)?.trim(), "");
    Ok(())
}

#[test]
fn one_that_the_server_does_not_drop_is_in_the_summary() -> Result<()> {
    let (server, database) = server("kept")?;
    server.psql(&database, "update sys.options set drops_snapshots = false")?;
    let place = workspace(&server.url(&database), "t", 0)?;
    let ran = place.rivet(&["run", "--output", "json"])?.expect(0)?;
    whole(&place)?;
    let warnings = ran.json()?["exports"][0]["warnings"].to_string();
    for part in [
        "the database snapshot rivet/t/",
        "was not dropped",
        "the next run of the export drops it; or run `DROP DATABASE [",
    ] {
        ensure!(warnings.contains(part), "{part} in {warnings} {}", ran.stderr);
    }
    server.psql(&database, "update sys.options set drops_snapshots = true")?;
    place.run()?.expect(0)?;
    assert_eq!(server.psql(&database, SNAPSHOTS)?.trim(), "");
    Ok(())
}

#[test]
fn what_a_killed_run_leaves_is_found_and_dropped_by_the_next() -> Result<()> {
    let (server, database) = server("left")?;
    let url = server.url(&database);
    // It is to live until it is killed, and the next has no time to lose.
    let place = workspace(&url, "t", 5000)?;
    let mut child = reading(&server, &place)?;
    let living = server.psql(&database, SNAPSHOTS)?.trim().to_owned();
    let doctor =
        || -> Result<String> { Ok(workspace(&url, "t", 0)?.rivet(&["doctor"])?.expect(0)?.text()?.to_owned()) };
    ensure!(!doctor()?.contains("rivet/t/"), "that of a run that lives is no leftover: {}", doctor()?);
    child.kill()?;
    child.wait()?;
    let killed = Instant::now();
    while !doctor()?.contains(&living) {
        ensure!(
            killed.elapsed() < Duration::from_secs(30),
            "the server does not notice that {living} has lost its run"
        );
    }
    // Those of another export, of another login, and what only looks alike.
    server.psql(
        &database,
        "insert into sys.snapshots values ('rivet/tt/1/9', 8, 'sa', now()), ('rivet/t/1/9', 9, 'else', now()), ('rivet', 7, 'sa', now())",
    )?;
    let said = doctor()?;
    for part in [
        format!("the database snapshot {living} of 20"),
        format!("the next run of export 't' drops it, or run `DROP DATABASE [{living}]`"),
        "the next run of export 'tt' drops it".to_owned(),
        "run `DROP DATABASE [rivet/t/1/9]`".to_owned(),
    ] {
        ensure!(said.contains(&part), "{part} in {said}");
    }
    let n_made = server.heard("CREATE DATABASE [").len();
    let ran = workspace(&url, "t", 0)?.rivet(&["check"])?;
    ensure!(format!("{}{}", ran.text()?, ran.stderr).contains(&living), "{} {}", ran.text()?, ran.stderr);
    assert_eq!(server.heard("CREATE DATABASE [").len(), n_made, "who only looks makes none");
    let config = std::fs::read_to_string(place.path().join("rivet.yaml"))?;
    place.configure(&config.replace("throttle_ms: 5000", "throttle_ms: 0"))?;
    let ran = place.run()?.expect(0)?;
    ensure!(ran.stderr.contains(&format!("dropped the database snapshot {living}")), "{}", ran.stderr);
    whole(&place)?;
    let left = server.psql(&database, "select string_agg(name, ',' order by name) from sys.snapshots")?;
    assert_eq!(left.trim(), "rivet,rivet/t/1/9,rivet/tt/1/9");
    Ok(())
}

#[test]
fn a_run_that_is_interrupted_or_fails_leaves_none() -> Result<()> {
    let (server, database) = server("interrupted")?;
    let place = workspace(&server.url(&database), "t", 200)?;
    let child = reading(&server, &place)?;
    ensure!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status()?.success());
    let ran = finish_within(child, Duration::from_secs(30))?;
    ensure!(ran.code == Some(130), "{:?} {}", ran.code, ran.stderr);
    assert_eq!(server.psql(&database, SNAPSHOTS)?.trim(), "");
    place.run()?.expect(0)?;
    server.psql(&database, "alter table dbo.t rename column balance to b")?;
    let config = std::fs::read_to_string(place.path().join("rivet.yaml"))?;
    place.configure(&config.replace("table: dbo.t", "table: dbo.t, where: 'balance > 1'"))?;
    let ran = place.rivet(&["run"])?;
    ensure!(ran.code == Some(1), "{:?} {}", ran.code, ran.stderr);
    assert_eq!(server.psql(&database, SNAPSHOTS)?.trim(), "");
    Ok(())
}

#[test]
fn one_that_somebody_drops_is_made_anew() -> Result<()> {
    let (server, database) = server("dropped")?;
    let url = server.url(&database);
    let place = workspace(&url, "t", 300)?;
    // More splits than the workers have open at a time: some are asked for when it is gone.
    let config = std::fs::read_to_string(place.path().join("rivet.yaml"))?;
    place.configure(&config.replace("chunk_size: 500", "chunk_size: 100"))?;
    let child = reading(&server, &place)?;
    let name = server.psql(&database, SNAPSHOTS)?.trim().to_owned();
    server.drop_snapshot(&database, &name)?;
    let ran = finish_within(child, Duration::from_secs(60))?.expect(0)?;
    ensure!(ran.stderr.contains("the snapshot was lost"), "{} {}", ran.text()?, ran.stderr);
    let read = whole(&place)?;
    ensure!(!read.manifest.to_string().contains("\"error\""), "{}", read.manifest);
    assert_eq!(server.psql(&database, SNAPSHOTS)?.trim(), "");
    Ok(())
}
