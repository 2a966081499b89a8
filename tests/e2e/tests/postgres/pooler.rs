//! Through pgBouncer: what is set for a transaction stays in it, and a pool that is too small is said, not waited for.

use anyhow::{Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::pgbouncer::{PgBouncer, PoolMode};
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
        let pooler = PgBouncer::start(server, mode, 1)?;
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
    let pooler = PgBouncer::start(server, PoolMode::Transaction, 1)?;
    let place = Workspace::new(&config("table: t, parallel: 2"))?.with_variable("TEST_URL", &pooler.url(&database));
    let ran = place.rivet(&["run"])?;
    ensure!(ran.took.as_secs() < 30, "{:?}", ran.took);
    // One connection holds the snapshot; those that join it wait for another until the pooler gives up.
    ensure!(ran.code == Some(2) && ran.stderr.contains("hint:"), "{:?} {}", ran.code, ran.stderr);
    let left = rivet_test_e2e::files_below(&place.path().join("out"))?;
    ensure!(left.is_empty(), "{left:?}");
    let enough = PgBouncer::start(server, PoolMode::Transaction, 3)?;
    let place = place.with_variable("TEST_URL", &enough.url(&database));
    place.rivet(&["run"])?.expect(0)?;
    let exported = Exported::read(&place.path().join("out"))?;
    assert_eq!(exported.rows("count(*) n, count(distinct id) ids", "")?, [json!({"n": 240_000, "ids": 240_000})]);
    Ok(())
}
