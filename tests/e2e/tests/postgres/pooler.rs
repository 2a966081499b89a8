//! Through pgBouncer: what is set for a transaction stays in it, and a pool that is too small is said, not waited for.
//! Must not know how a session is opened.

mod statements;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::pgbouncer::{PgBouncer, PoolMode, PoolOptions};
use rivet_test_servers::postgres;
use serde_json::json;

/// Large enough to be cut for two workers.
const TABLE: &str = "create table t (id int, v text, n numeric(12,2));\n\
    insert into t select i, 'value ' || i || repeat('x', 60), i * 1.5 from generate_series(1, 240000) i; analyze t";

fn config(keys: &str) -> String {
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\n\
         exports:\n  - {{name: t, destination: {{type: local, path: out}}, {keys}}}\n"
    )
}

#[test]
fn a_pool_of_one_connection_is_enough_for_one_worker() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("pooled")?;
    server.psql(&database, TABLE)?;
    let expected = json!({"n": 240_000, "ids": 240_000, "total": "43200180000.00"});
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        let pooler = PgBouncer::start(server, PoolOptions { mode, ..Default::default() })?;
        let url = pooler.url(&database);
        for keys in [
            "table: t",
            "query: 'select id, v, n from t'",
            "table: t, tuning: {statement_timeout_s: 5, throttle_ms: 400, max_connections: 1}",
            "table: t, mode: incremental, cursor_column: id",
        ] {
            let place = Workspace::new(&config(keys))?.with_variable("TEST_URL", &url);
            place.rivet(&["run"])?.expect(0)?;
            let exported = Exported::read(&place.path().join("out"))?;
            let rows = exported.rows("count(*) n, count(distinct id) ids, sum(n)::varchar total", "")?;
            assert_eq!(rows, std::slice::from_ref(&expected), "{mode:?} {keys}");
        }
        // Nothing of ours stays behind on the server's connection for whoever gets it next.
        let place = Workspace::new(&config(
            "query: \"select current_setting('TimeZone') z, current_setting('statement_timeout') s\"",
        ))?
        .with_variable("TEST_URL", &url);
        place.rivet(&["run"])?.expect(0)?;
        let left = std::process::Command::new("psql")
            .arg(&url)
            .args(["-XAtc", "show statement_timeout; show datestyle"])
            .output()?;
        assert_eq!(
            String::from_utf8_lossy(&left.stdout).trim(),
            "0\nISO, MDY",
            "{}",
            String::from_utf8_lossy(&left.stderr)
        );
    }
    Ok(())
}

#[test]
fn a_pool_that_is_too_small_for_the_workers_ends_in_an_error() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("small_pool")?;
    server.psql(&database, TABLE)?;
    let all = [json!({"n": 240_000, "ids": 240_000})];
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        // One connection holds the snapshot; those that join it wait for another until we or the pooler give up.
        for (query_wait_timeout_s, says) in [(120, "began no transaction in 3 s"), (1, "query_wait_timeout")] {
            let pooler = PgBouncer::start(server, PoolOptions { mode, query_wait_timeout_s, ..Default::default() })?;
            let url = pooler.url(&database) + "?connect_timeout=3";
            let place = Workspace::new(&config("table: t, parallel: 2"))?.with_variable("TEST_URL", &url);
            let ran = place.rivet(&["run"])?.expect(2)?;
            // Sooner than the pooler that waits for longest.
            ensure!(ran.took.as_secs() < 60, "{mode:?}: {:?}", ran.took);
            for part in [says, "hint:"] {
                ensure!(ran.stderr.contains(part), "{mode:?}: {part:?} in {}", ran.stderr);
            }
            let left = rivet_test_e2e::files_below(&place.path().join("out"))?;
            ensure!(left.is_empty(), "{left:?}");
            // As the hint says: one connection, and the same table in as many splits.
            place.configure(&config("table: t, parallel: 2, tuning: {max_connections: 1}"))?;
            assert_eq!(place.export()?.rows("count(*) n, count(distinct id) ids", "")?, all, "{mode:?}");
        }
        let enough = PgBouncer::start(server, PoolOptions { mode, size: 3, ..Default::default() })?;
        let place = Workspace::new(&config("table: t, parallel: 2"))?.with_variable("TEST_URL", &enough.url(&database));
        assert_eq!(place.export()?.rows("count(*) n, count(distinct id) ids", "")?, all, "{mode:?}");
    }
    Ok(())
}

#[test]
fn an_interrupt_reaches_the_server_through_the_pooler() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("pooled_cancel")?;
    let asleep =
        format!("select count(*) from pg_stat_activity where datname = '{database}' and wait_event = 'PgSleep'");
    let n_asleep = || -> Result<u32> { Ok(server.psql("postgres", &asleep)?.trim().parse()?) };
    let wait_for = |n: u32| -> Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        while n_asleep()? != n {
            ensure!(Instant::now() < until, "wait until {n} statements of ours are on the server");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    };
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        let pooler = PgBouncer::start(server, PoolOptions { mode, ..Default::default() })?;
        let place = Workspace::new(&config("query: 'select 1 as id from pg_sleep(600)'"))?
            .with_variable("TEST_URL", &pooler.url(&database));
        // Describing it takes no time.
        let child = place.spawn(&["run"])?;
        wait_for(1)?;
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
        ensure!(sent.success(), "send SIGINT");
        let ended = child.wait_with_output()?;
        ensure!(ended.status.code() == Some(130), "{mode:?}: {ended:?}");
        wait_for(0)?;
    }
    Ok(())
}
