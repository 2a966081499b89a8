//! Ends in the middle: of rivet, of the server, of a statement; and tables that are replaced while we wait.
//! Must not know any crate of the product.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, finish};
use rivet_test_servers::mariadb::{self, MyServer};
use serde_json::json;

use crate::{servers, workspace};

const ROWS: &str = "create table t (id int primary key, v varchar(200)); \
     insert into t select seq, repeat('x', 200) from seq_1_to_200000; analyze table t";

/// How many statements of the database run for longer than none.
fn running(server: &MyServer, database: &str) -> Result<u64> {
    let sql = format!(
        "select count(*) from information_schema.processlist where db = '{database}' and command in ('Query', 'Execute') \
         and id <> connection_id()"
    );
    Ok(server.sql(database, &sql)?.trim().parse()?)
}

/// Whether a statement of the database is in the middle of a sleep.
fn sleeps(server: &MyServer, database: &str) -> Result<bool> {
    let sql =
        format!("select count(*) from information_schema.processlist where db = '{database}' and state = 'User sleep'");
    Ok(server.sql(database, &sql)?.trim() != "0")
}

fn wait(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    while !done()? {
        ensure!(Instant::now() < until, "{what} within 20 s");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_killed_run_leaves_nothing_half_and_the_next_is_whole() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("killed")?;
    server.sql(&database, ROWS)?;
    let slow = "table: t\ntuning: {batch_size: 1000, throttle_ms: 60}";
    let place = workspace(&server.url(&database), slow)?;
    let mut child = place.spawn(&["run"])?;
    wait("it reads", || Ok(running(server, &database)? > 0))?;
    std::thread::sleep(Duration::from_millis(300));
    child.kill()?;
    child.wait()?;
    ensure!(Exported::read(&place.path().join("out")).is_err(), "nothing was published");
    wait("the server gives it up", || Ok(running(server, &database)? == 0))?;
    let place = place;
    place.configure(&crate::config("", "table: t"))?;
    let read = place.export()?;
    assert_eq!(read.rows("count(*) n, count(distinct id) as d", "")?, [json!({"n": 200_000, "d": 200_000})]);
    Ok(())
}

#[test]
fn an_interrupt_ends_the_statement_on_the_server() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("interrupted")?;
        let place = workspace(&server.url(&database), "query: select sleep(600) as a")?;
        let child = place.spawn(&["run"])?;
        wait("it runs", || sleeps(server, &database))?;
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().context("run kill")?;
        ensure!(killed.success(), "kill");
        let ran = finish(child)?;
        ensure!(ran.code != Some(0), "it was interrupted");
        wait("the statement ends", || Ok(running(server, &database)? == 0))?;
    }
    Ok(())
}

#[test]
fn a_server_that_dies_in_the_middle_is_no_end_of_a_result() -> Result<()> {
    let mut server = mariadb::start(&[])?;
    let database = server.fresh_database("crash")?;
    server.sql(&database, ROWS)?;
    let slow = "table: t\ntuning: {batch_size: 1000, throttle_ms: 60}";
    let place = workspace(&server.url(&database), slow)?;
    let child = place.spawn(&["run"])?;
    wait("it reads", || Ok(running(&server, &database)? > 0))?;
    std::thread::sleep(Duration::from_millis(300));
    server.crash()?;
    let ran = finish(child)?;
    ensure!(ran.code != Some(0) && ran.stderr.contains("hint:"), "{:?} {}", ran.code, ran.stderr);
    ensure!(Exported::read(&place.path().join("out")).is_err(), "nothing was published");
    server.restart()?;
    place.configure(&crate::config("", "table: t"))?;
    assert_eq!(place.export()?.n_rows(), 200_000);
    server.stop()
}

#[test]
fn a_statement_that_takes_too_long_is_ended_by_the_server_and_named() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("slow")?;
        let keys = "query: select sleep(30) as a\ntuning: {statement_timeout_s: 1}";
        let place = workspace(&server.url(&database), keys)?;
        let ran = place.rivet(&["run"])?;
        // MySQL lets a sleep end early without an error.
        let said = ran.stderr.contains("statement_timeout_s") || (!server.is_mariadb() && ran.code == Some(0));
        ensure!(said && ran.took < Duration::from_secs(20), "{:?}: {}", ran.took, ran.stderr);
    }
    Ok(())
}

#[test]
fn somebody_who_kills_the_statement_is_told_from_us() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("operator")?;
    server.sql(&database, ROWS)?;
    let place = workspace(&server.url(&database), "query: select sleep(0.01) as a, id from t")?;
    let child = place.spawn(&["run"])?;
    wait("it runs", || sleeps(server, &database))?;
    let ids = server.sql(
        &database,
        &format!("select id from information_schema.processlist where db = '{database}' and id <> connection_id()"),
    )?;
    for id in ids.lines() {
        server.sql(&database, &format!("kill query {id}"))?;
    }
    let ran = finish(child)?;
    ensure!(ran.code != Some(0) && ran.stderr.contains("somebody cancelled the statement"), "{}", ran.stderr);
    Ok(())
}

/// What commits while we wait for its lock is what is read: never a table as empty as the old snapshot would show it.
#[test]
fn a_table_that_is_filled_anew_while_we_wait_is_read_as_it_is_then() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("truncated")?;
        server.sql(&database, "create table t (id int primary key); insert into t values (1), (2), (3)")?;
        let hold = "lock tables t write; select sleep(3); truncate t; insert into t values (10), (20); select sleep(1); \
                    unlock tables;";
        std::thread::scope(|scope| -> Result<()> {
            let holder = scope.spawn(|| server.sql(&database, hold));
            wait("somebody holds the lock", || sleeps(server, &database))?;
            let place = workspace(&server.url(&database), "table: t\ntuning: {lock_timeout_s: 60}")?;
            let ran = place.run()?;
            holder.join().map_err(|_| anyhow::anyhow!("the holder panicked"))??;
            ran.expect(0)?;
            let read = Exported::read(&place.path().join("out"))?;
            assert_eq!(read.rows("string_agg(id::varchar, ',' order by id) s", "")?, [json!({"s": "10,20"})]);
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_lock_that_is_held_for_too_long_is_said() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("locked")?;
    server.sql(&database, "create table t (id int primary key)")?;
    std::thread::scope(|scope| -> Result<()> {
        let holder = scope.spawn(|| server.sql(&database, "lock tables t write; select sleep(60); unlock tables"));
        wait("somebody holds the lock", || sleeps(server, &database))?;
        let place = workspace(&server.url(&database), "table: t\ntuning: {lock_timeout_s: 1}")?;
        let ran = place.rivet(&["run"])?;
        let held = "select id from information_schema.processlist where state = 'User sleep' and db = database()";
        for id in server.sql(&database, held)?.lines() {
            server.sql(&database, &format!("kill query {id}"))?;
        }
        // Its sleep ends with an error.
        drop(holder.join().map_err(|_| anyhow::anyhow!("the holder panicked"))?);
        ensure!(ran.code != Some(0) && ran.stderr.contains("lock_timeout_s"), "{}", ran.stderr);
        Ok(())
    })
}
