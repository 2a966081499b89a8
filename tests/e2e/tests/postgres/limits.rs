//! `max_connections` and `memory_mb` hold over all that runs with one state: exports, threads, processes, and other runs.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, finish};
use rivet_test_servers::postgres::{self, Postgres};

/// The most connections of ours that the server sees while it looks so often.
const MOST: &str = "create function most(n int) returns int language plpgsql as $$ \
    declare m int := 0; c int; begin \
    for i in 1..n loop \
        perform pg_stat_clear_snapshot(); \
        select count(*) into c from pg_stat_activity where datname = current_database() and application_name like 'rivet/%'; \
        m := greatest(m, c); perform pg_sleep(0.01); \
    end loop; return m; end $$;";

fn database(server: &Postgres) -> Result<String> {
    let database = server.fresh_database("limits")?;
    server.psql(&database, MOST)?;
    server.psql(
        &database,
        "create table t as select i as id from generate_series(1, 1200) i; alter table t add primary key (id)",
    )?;
    Ok(database)
}

/// So many exports with two workers each, whose chunks take a while.
fn config(out: &str, n: usize, throttle_ms: u32, tuning: &str) -> String {
    let tuning = format!("{{profile: fast, batch_size: 100, throttle_ms: {throttle_ms}, {tuning}}}");
    let exports: String = (0..n)
        .map(|i| {
            format!(
                "- {{name: e{i}, table: t, mode: chunked, chunk_size: 200, parallel: 2, destination: {{type: local, path: {out}}}}}\n"
            )
        })
        .collect();
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {tuning}}}\nstate: {{url: both.db}}\nexports:\n{exports}"
    )
}

/// What the server sees while `act` goes on.
fn most(server: &Postgres, database: &str, act: impl FnOnce() -> Result<()>) -> Result<u32> {
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| server.psql(database, "select most(300)"));
        act()?;
        let seen = looks.join().map_err(|_| anyhow::anyhow!("the look panicked"))??;
        seen.trim().parse().context("a number")
    })
}

#[test]
fn connections_are_counted_over_exports_and_processes() -> Result<()> {
    let server = postgres::shared();
    let database = database(server)?;
    let place = Workspace::new(&config("out", 6, 20, "max_connections: 3, memory_mb: 2048"))?
        .with_variable("TEST_URL", &server.url(&database));
    for flag in ["--parallel-exports=3", "--parallel-export-processes=3"] {
        let seen = most(server, &database, || place.rivet(&["run", flag])?.expect(0).map(drop))?;
        ensure!((2..=3).contains(&seen), "{flag}: {seen} connections");
    }
    std::fs::write(place.path().join("other.yaml"), config("other", 6, 20, "max_connections: 3, memory_mb: 2048"))?;
    let seen = most(server, &database, || {
        let other = place.spawn(&["run", "-c", "other.yaml", "--parallel-export-processes=3"])?;
        place.rivet(&["run", "--parallel-exports=3"])?.expect(0)?;
        finish(other)?.expect(0).map(drop)
    })?;
    ensure!((2..=3).contains(&seen), "two runs with one state: {seen} connections");
    Ok(())
}

#[test]
fn memory_that_is_named_is_shared_by_all_runs_with_a_state() -> Result<()> {
    let server = postgres::shared();
    let database = database(server)?;
    let place =
        Workspace::new(&config("out", 1, 500, "memory_mb: 256"))?.with_variable("TEST_URL", &server.url(&database));
    std::fs::write(place.path().join("other.yaml"), config("other", 1, 500, "memory_mb: 256"))?;
    let other = place.spawn(&["run", "-c", "other.yaml", "--output", "json"])?;
    let ours = place.rivet(&["run", "--output", "json"])?.expect(0)?.json()?;
    let theirs = finish(other)?.expect(0)?.json()?;
    let span = |document: &serde_json::Value| {
        let at = |key: &str| document["exports"][0][key].as_str().unwrap_or_default().to_owned();
        let waited = document["exports"][0]["warnings"].to_string().contains("waits for memory (`memory_mb`)");
        (at("started_at"), at("ended_at"), waited)
    };
    let (ours, theirs) = (span(&ours), span(&theirs));
    ensure!(ours.0 < theirs.1 && theirs.0 < ours.1, "both were there at once: {ours:?} {theirs:?}");
    ensure!(ours.2 != theirs.2, "one waited for the other: {ours:?} {theirs:?}");
    Ok(())
}
