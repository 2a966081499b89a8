//! Ends of results that are none: early, silent, with a number that is wrong; and ends of the process.
//! Must not know packets.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rivet_test_e2e::{files_below, finish_within};
use rivet_test_servers::postgres;
use rivet_test_tds::mssql::{Encryption, Fault, Mssql};

use crate::workspace;

const N_ROWS: u64 = 5_000;

/// A server of its own, with a table whose SELECT it can spoil.
fn server(name: &str) -> Result<(Mssql, String)> {
    ensure!(postgres::shared().port() > 0);
    let server = Mssql::start(Encryption::Offered)?;
    let database = server.fresh_database(name)?;
    server.create_table(&database, "fault", &[("id", "int NOT NULL"), ("v", "nvarchar(20)")])?;
    server
        .psql(&database, &format!("insert into dbo.fault select i, 'row ' || i from generate_series(1, {N_ROWS}) i"))?;
    let url = server.url(&database);
    Ok((server, url))
}

#[test]
fn an_end_that_does_not_count_the_rows_is_none() -> Result<()> {
    let (server, url) = server("ends")?;
    for (fault, code) in [
        (Fault::Count(1), "mssql.incomplete"),
        (Fault::Count(-1), "mssql.incomplete"),
        (Fault::NoCount, "mssql.incomplete"),
        (Fault::HangUp(4_000), "mssql.closed"),
    ] {
        server.misbehave(fault);
        let place = workspace(&url, "table: dbo.fault")?;
        let ran = place.rivet(&["run", "--output", "json"])?.expect(2)?;
        let error = &ran.json()?["exports"][0]["error"];
        ensure!(error["code"] == code, "{fault:?}: {error}");
        ensure!(files_below(&place.path().join("out"))?.is_empty(), "{fault:?}: nothing is published");
    }
    server.misbehave(Fault::None);
    ensure!(workspace(&url, "table: dbo.fault")?.into_export()?.n_rows() == N_ROWS);
    Ok(())
}

#[test]
fn a_statement_that_takes_too_long_is_cancelled() -> Result<()> {
    let (server, url) = server("silent")?;
    server.misbehave(Fault::Silence(4_000));
    for (relation, code) in [
        ("table: dbo.fault", "mssql.no_progress"),
        ("query: SELECT id FROM dbo.fault WHERE pg_sleep(60) IS NOT NULL", "mssql.statement_timeout"),
    ] {
        let place = workspace(&url, &format!("{relation}\ntuning: {{statement_timeout_s: 2}}"))?;
        let before = server.heard("ATTENTION").len();
        let ran = place.rivet(&["run", "--output", "json"])?.expect(2)?;
        let error = &ran.json()?["exports"][0]["error"];
        ensure!(error["code"] == code, "{error}");
        // The stand-in hears nothing while PostgreSQL works for it.
        let hears = code == "mssql.no_progress";
        ensure!(!hears || server.heard("ATTENTION").len() > before, "{code}: the server was not asked to stop");
    }
    Ok(())
}

/// Runs until the server was asked for rows, then ends the process by a signal.
fn signalled(server: &Mssql, url: &str, signal: &str) -> Result<rivet_test_e2e::Workspace> {
    server.misbehave(Fault::Silence(4_000));
    let place = workspace(url, "table: dbo.fault")?;
    let child = place.spawn(&["run"])?;
    let asked = Instant::now();
    while !server.heard("dbo\".\"fault\"").iter().any(|s| s.starts_with("SELECT \"id\"")) {
        ensure!(asked.elapsed() < Duration::from_secs(20), "no rows were asked for");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    ensure!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status()?.success());
    let ran = finish_within(child, Duration::from_secs(30))?;
    ensure!(ran.code == if signal == "INT" { Some(130) } else { None }, "{:?}: {}", ran.code, ran.stderr);
    server.misbehave(Fault::None);
    Ok(place)
}

#[test]
fn ctrl_c_ends_the_statement_on_the_server() -> Result<()> {
    let (server, url) = server("cancel")?;
    let place = signalled(&server, &url, "INT")?;
    ensure!(!server.heard("ATTENTION").is_empty(), "the server was not asked to stop");
    ensure!(files_below(&place.path().join("out"))?.iter().all(|f| f.extension().is_some_and(|e| e == "staged")));
    Ok(())
}

#[test]
fn after_kill_9_the_next_run_has_all() -> Result<()> {
    let (server, url) = server("killed")?;
    let place = signalled(&server, &url, "KILL")?;
    ensure!(place.export()?.n_rows() == N_ROWS);
    Ok(())
}
