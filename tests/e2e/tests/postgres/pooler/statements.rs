//! Named statements through pgBouncer in transaction mode: they are gone before the transaction ends, so that no client meets
//! another's.
//! Must not know which statement of ours has a name.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rivet_test_e2e::{Workspace, finish};
use rivet_test_servers::pgbouncer::{PgBouncer, PoolOptions, Version};
use rivet_test_servers::{oracle, postgres};
use serde_json::{Value, json};

/// The other client.
const NEIGHBOUR: &str = include_str!("neighbour.py");

/// Processes that export at once.
const PROCESSES: u32 = 6;

/// A pooler and a database of its own.
struct Pool {
    version: Version,
    size: u32,
    database: String,
    pooler: PgBouncer,
}

impl Pool {
    fn start(version: Version, size: u32) -> Result<Self> {
        let server = postgres::shared();
        let database = server.fresh_database("statements")?;
        let pooler = PgBouncer::start(server, PoolOptions { version, size, ..Default::default() })?;
        Ok(Self { version, size, database, pooler })
    }

    fn url(&self) -> String {
        self.pooler.url(&self.database)
    }

    fn place(&self, config: &str) -> Result<Workspace> {
        Ok(Workspace::new(config)?.with_variable("TEST_URL", &self.url()))
    }

    fn psql(&self, sql: &str) -> Result<String> {
        postgres::shared().psql(&self.database, sql)
    }

    /// Another client's prepared statements stay on the server connection.
    fn leak(&self, names: &[&str]) -> Result<()> {
        oracle::run(NEIGHBOUR, &[&["leak", &self.url()], names].concat()).map(drop)
    }

    /// No server connection has a statement, but for those that the pooler keeps under names of its own.
    fn nothing_is_left(&self) -> Result<()> {
        let printed = oracle::run(NEIGHBOUR, &["left", &self.url(), &self.size.to_string()])?;
        let connections: Vec<Value> = printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(connections.len() == self.size as usize, "{printed}");
        for (name, statement) in connections.iter().filter_map(Value::as_object).flatten() {
            let is_the_poolers = self.version == Version::V1_24 && name.starts_with("PGBOUNCER_");
            ensure!(is_the_poolers, "{name} was left: {statement}");
        }
        Ok(())
    }
}

/// Runs this for every version and size at once.
fn for_each_pool<T: Send>(run: impl Fn(&Pool) -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let of = |(version, size)| {
            let run = &run;
            scope.spawn(move || {
                let told = || format!("pgBouncer {} with {size} connections", Version::number(version));
                run(&Pool::start(version, size)?).with_context(told)
            })
        };
        let pools = Version::ALL.into_iter().flat_map(|version| [(version, 1), (version, 2)]);
        let running: Vec<_> = pools.map(of).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?).collect()
    })
}

fn config(exports: &[(&str, String)], max_retries: u32) -> String {
    let of = |(name, keys): &(&str, String)| {
        format!("  - {{name: {name}, {keys}, destination: {{type: local, path: out/{name}}}}}\n")
    };
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_connections: 1, \
         max_retries: {max_retries}, retry_backoff_ms: 100}}}}\nexports:\n{}",
        exports.iter().map(of).collect::<String>()
    )
}

#[test]
fn many_clients_of_one_pool_each_read_their_own_rows() -> Result<()> {
    let checks = for_each_pool(|pool| {
        for p in 0..PROCESSES {
            pool.psql(&format!("create table t{p} as select {p} p, 1 e, i from generate_series(1, {}) i", 2000 + p))?;
        }
        let neighbour = Command::new(oracle::python()?)
            .args(["-c", NEIGHBOUR, "crowd", &pool.url(), pool.version.number()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let place = |p: u32| {
            pool.place(&config(
                &[
                    ("q", format!("query: 'select {p} p, 0 e, i from generate_series(1, {}) i'", 1000 + p)),
                    ("t", format!("table: t{p}")),
                    ("r", format!("query: 'select p, 2 e, i from t{p} where i <= {}'", 500 + p)),
                ],
                8,
            ))
        };
        let places = (0..PROCESSES).map(place).collect::<Result<Vec<_>>>()?;
        let running = places.iter().map(|place| place.spawn(&["run"])).collect::<Result<Vec<_>, _>>()?;
        let (mut selects, mut expected) = (Vec::new(), Vec::new());
        for ((p, place), child) in (0..PROCESSES).zip(&places).zip(running) {
            let ran = finish(child)?;
            let said = ran.code == Some(0) || ran.code == Some(2) && ran.stderr.contains("client of the pooler");
            ensure!(said, "{:?} {}", ran.code, ran.stderr);
            for (name, e, rows) in [("q", 0, 1000 + p), ("t", 1, 2000 + p), ("r", 2, 500 + p)] {
                let dir = place.path().join("out").join(name);
                // A clear error is no wrong row.
                if dir.join("_SUCCESS").exists() {
                    selects.push(format!(
                        "select min(p) p, max(p) p2, min(e) e, max(e) e2, count(*) n, count(distinct i) ids, max(i) top \
                         from read_parquet('{}/*.parquet')",
                        dir.display()
                    ));
                    expected.push(json!({"p": p, "p2": p, "e": e, "e2": e, "n": rows, "ids": rows, "top": rows}));
                }
            }
        }
        ensure!(selects.len() > 12, "only {} exports of 18 came through", selects.len());
        let said = end(neighbour)?;
        let told = said.as_object().context("an object")?;
        for text in told.keys() {
            // Its own row, or that there is no such statement: never ours, and no COPY.
            ensure!([r#"[["theirs"]]"#, r#""26000""#].contains(&text.as_str()), "the neighbour read {said}");
        }
        ensure!(told.contains_key(r#"[["theirs"]]"#), "the neighbour read nothing: {said}");
        Ok((selects, expected, places))
    })?;
    let selects: Vec<_> = checks.iter().flat_map(|(selects, ..)| selects.clone()).collect();
    let expected: Vec<_> = checks.iter().flat_map(|(_, expected, _)| expected.clone()).collect();
    let found = oracle::duckdb(&selects.join(" union all "))?;
    assert_eq!(found.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?, expected);
    Ok(())
}

/// Ends the other client and returns what it says.
fn end(mut neighbour: Child) -> Result<Value> {
    drop(neighbour.stdin.take());
    let mut printed = String::new();
    neighbour.stdout.take().context("stdout is piped")?.read_to_string(&mut printed)?;
    ensure!(neighbour.wait()?.success(), "the neighbour failed");
    serde_json::from_str(&printed).context("read what the neighbour says")
}

#[test]
fn however_a_run_ends_it_leaves_no_statement_on_a_server_connection() -> Result<()> {
    for_each_pool(|pool| {
        pool.psql("create table t as select i as id from generate_series(1, 1000) i")?;
        let place = pool.place(&config(&[("t", "table: t".to_owned()), ("all", "query: select * from t".to_owned())], 0))?;
        place.run()?.expect(0)?;
        pool.nothing_is_left()?;
        // A statement that the pooler keeps is not a plan of yesterday's table.
        pool.psql("alter table t add column more int default 7")?;
        place.run()?.expect(0)?;
        let read = rivet_test_e2e::Exported::read(&place.path().join("out/t"))?;
        assert_eq!(read.rows("count(*) n, sum(more)::int s", "")?, [json!({"n": 1000, "s": 7000})]);
        pool.nothing_is_left()?;

        let fails = "query: 'select 1000 / (50000 - i) as q from generate_series(1, 100000) i'";
        let ran = pool.place(&config(&[("t", fails.to_owned())], 0))?.rivet(&["run"])?.expect(3)?;
        ensure!(ran.stderr.contains("division by zero"), "{}", ran.stderr);
        pool.nothing_is_left()?;

        // Rows have come, and the next does not.
        let sleeps = "query: 'select i from generate_series(1, 100000) i where i < 90000 or pg_sleep(600) is null'";
        for (signal, code) in [("-INT", Some(130)), ("-KILL", None)] {
            let place = pool.place(&config(&[("t", sleeps.to_owned())], 0))?;
            let child = place.spawn(&["run"])?;
            wait_until_asleep(pool)?;
            let sent = Command::new("kill").args([signal, &child.id().to_string()]).status()?;
            ensure!(sent.success(), "send {signal}");
            assert_eq!(finish(child)?.code, code, "{signal}");
            pool.nothing_is_left()?;
        }
        // Nobody asked the server to end what the killed one waited for.
        pool.psql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()")
    })
    .map(drop)
}

fn wait_until_asleep(pool: &Pool) -> Result<()> {
    let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
    let until = Instant::now() + Duration::from_secs(60);
    while pool.psql(asleep)?.trim() == "0" {
        ensure!(Instant::now() < until, "wait until a statement of ours sleeps on the server");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn a_statement_that_another_client_left_is_not_taken_for_ours() -> Result<()> {
    let table = "create table t as select i as id from generate_series(1, 1000) i";
    let ours = [json!({"n": 1000, "top": 1000})];
    let rows = |place: &Workspace| {
        rivet_test_e2e::Exported::read(&place.path().join("out/t"))?.rows("count(*) n, max(id) top", "")
    };
    let old = Pool::start(Version::V1_18, 1)?;
    old.psql(table)?;
    old.leak(&["s0"])?;
    ensure!(old.nothing_is_left().is_err(), "who looks for what is left does not see it");
    let place = old.place(&config(&[("t", "table: t".to_owned())], 0))?;
    let ran = place.rivet(&["run"])?.expect(2)?;
    for part in
        [r#"prepared statement "s0" already exists"#, "client of the pooler in between", "max_prepared_statements"]
    {
        ensure!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
    }
    // With retries a new session gets over it, even where the names that follow are taken too.
    old.leak(&["s0", "s1", "s2"])?;
    place.configure(&config(&[("t", "table: t".to_owned())], 3))?;
    place.run()?.expect(0)?;
    assert_eq!(rows(&place)?, ours);

    let new = Pool::start(Version::V1_24, 1)?;
    new.psql(table)?;
    new.leak(&["s0"])?;
    let place = new.place(&config(&[("t", "table: t".to_owned())], 0))?;
    place.run()?.expect(0)?;
    assert_eq!(rows(&place)?, ours);
    Ok(())
}
