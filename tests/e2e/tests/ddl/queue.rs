//! A change that queues behind a run which waits for a lock behind the change: nobody may wait for ever.
//! Must not know how a statement is stopped.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rivet_test_e2e::{Exported, Workspace, finish};
use rivet_test_servers::postgres::{self, Postgres};
use serde_json::json;

use crate::gate::Gate;
use crate::{blocked_or_over, printed, script};

const N_ROWS: u64 = 24_000;
const CHANGE: &str =
    "begin; truncate t; insert into t select i, 2, repeat(md5(i::text), 300) from generate_series(1, 1000) i; commit;";

/// A database with a table that is cut.
fn table(server: &Postgres, name: &str) -> Result<String> {
    let database = crate::database(server, name)?;
    server.psql(
        &database,
        &format!(
            "create table t as select i::int id, 1 g, repeat(md5(i::text), 300) v from generate_series(1, {N_ROWS}) i;\n\
             analyze t;\nupdate pg_class set reltuples = 400000 where oid = 't'::regclass;"
        ),
    )?;
    Ok(database)
}

fn workspace(url: &str, tuning: &str) -> Result<Workspace> {
    let text = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, {tuning}}}}}\n\
         exports:\n  - {{name: t, table: t, parallel: 2, destination: {{type: local, path: out}}}}\n"
    );
    Ok(Workspace::new(&text)?.with_variable("TEST_URL", url))
}

/// The run has the rows after the change, in one new snapshot.
fn read_again(place: &Workspace, summary: &serde_json::Value) -> Result<()> {
    ensure!(summary["restarts"] == 1, "{summary}");
    ensure!(summary["consistency"] == "snapshot", "{summary}");
    ensure!(summary["warnings"].to_string().contains("waits to change a table"), "{summary}");
    let read = Exported::read(&place.path().join("out"))?;
    let rows = read.rows("count(*) n, count(distinct id) ids, min(g) low, max(g) high", "")?;
    assert_eq!(rows, [json!({"n": 1000, "ids": 1000, "low": 2, "high": 2})]);
    Ok(())
}

#[test]
fn a_truncate_between_the_first_session_and_a_worker_gets_through() -> Result<()> {
    let server = postgres::shared();
    let database = table(server, "queue_start")?;
    let gate = Gate::new(server.host(), server.port(), (2, 1))?;
    let url = server.url(&database).replace(&format!(":{}/", server.port()), &format!(":{}/", gate.port()));
    // Without a limit for locks, as the profile has none.
    let place = workspace(&url, "retry_backoff_ms: 100")?;
    let mut child = place.spawn(&["run", "--output", "json"])?;
    while !gate.holds() {
        ensure!(child.try_wait()?.is_none(), "no worker came");
    }
    let queued = Instant::now();
    let mut change = script(server, &database, "queued", CHANGE)?;
    blocked_or_over(server, &database, "queued", &mut change)?;
    ensure!(change.try_wait()?.is_none(), "the first session holds no lock");
    gate.open();
    printed(change)?;
    let took = queued.elapsed();
    let ran = finish(child)?.expect(0)?;
    ensure!(took < Duration::from_secs(20), "the change waited for {took:?}");
    read_again(&place, &ran.json()?["exports"][0])
}

#[test]
fn a_truncate_gets_through_when_a_worker_comes_again() -> Result<()> {
    let server = postgres::shared();
    let database = table(server, "queue_later")?;
    let url = format!("{}?application_name=late", server.url(&database));
    // Splits of 24 seconds, of rows so wide that little is under way: who is hung up on notices.
    let place = workspace(&url, "retry_backoff_ms: 100, batch_size: 100, throttle_ms: 400, max_retries: 3")?;
    let child = place.spawn(&["run", "--output", "json"])?;
    let reading = "select count(*) from pg_stat_activity where application_name = 'late' and query like 'COPY%'";
    let until = Instant::now() + Duration::from_secs(30);
    while server.psql(&database, reading)?.trim() != "2" {
        ensure!(Instant::now() < until, "nobody reads");
        std::thread::sleep(Duration::from_millis(10));
    }
    let queued = Instant::now();
    let mut change = script(server, &database, "queued", CHANGE)?;
    blocked_or_over(server, &database, "queued", &mut change)?;
    ensure!(change.try_wait()?.is_none(), "the table is read without a lock");
    let youngest = "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity \
                    where application_name = 'late' order by backend_start desc limit 1) w";
    ensure!(server.psql(&database, youngest)?.trim() == "1", "no worker is there");
    printed(change)?;
    let took = queued.elapsed();
    let ran = finish(child)?.expect(0)?;
    // The worker's wait for the lock; the rest of the other's split is not waited for.
    ensure!(took < Duration::from_secs(15), "the change waited for {took:?}");
    read_again(&place, &ran.json()?["exports"][0])
}
