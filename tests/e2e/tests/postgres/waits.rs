//! A table that somebody else has locked: how long a run waited, and for whom, is said; and nothing where nobody was waited for.
//! Must not know how a run finds out.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::postgres::{self, Postgres};
use serde_json::{Value, json};

fn place(url: &str, tuning: &str) -> Result<Workspace> {
    let config = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{{tuning}}}}}\n\
         exports:\n- {{name: t, table: t, destination: {{type: local, path: out}}}}\n"
    );
    Ok(Workspace::new(&config)?.with_variable("TEST_URL", url))
}

/// Somebody who locks the table for so long, and whose statement nobody is to see.
fn lock(server: &Postgres, database: &str, seconds: u32) -> Result<Child> {
    let sql = format!("begin; lock table t in access exclusive mode; select pg_sleep({seconds}), 'sesame'");
    let url = format!("{}?application_name=nightly-ddl", server.url(database));
    let mut psql = Command::new(postgres::find_psql()?);
    let child = psql.args(["-XqAt", "-d", &url, "-c", &sql]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let held =
        "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 't'::regclass";
    for _ in 0..200 {
        if server.psql(database, held)?.trim() == "1" {
            return Ok(child);
        }
        sleep(Duration::from_millis(50));
    }
    anyhow::bail!("the table was not locked")
}

fn export(place: &Workspace, code: i32) -> Result<Value> {
    Ok(place.rivet(&["run", "--output", "json"])?.expect(code)?.json()?["exports"][0].clone())
}

#[test]
fn who_was_waited_for_is_said_and_how_long() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("waits")?;
    server.psql(
        &database,
        "create table t as select i::bigint id from generate_series(1, 1000) i; alter table t add primary key (id)",
    )?;
    let blocker =
        |export: &Value| (export["blockers"][0]["application"].clone(), export["blockers"][0]["state"].clone());
    let named = (json!("nightly-ddl"), json!("active"));
    for profile in ["balanced", "safe"] {
        let place = place(&server.url(&database), &format!("profile: {profile}"))?;
        let quiet = export(&place, 0)?;
        assert_eq!((&quiet["lock_wait_ms"], &quiet["blockers"]), (&json!(0), &json!([])), "{quiet}");
        assert_eq!(quiet["locks"], 2, "the table and its index: {quiet}");
        let mut other = lock(server, &database, 6)?;
        let told = export(&place, 0)?;
        ensure!(told["lock_wait_ms"].as_u64().is_some_and(|ms| (1_000..15_000).contains(&ms)), "{told}");
        assert_eq!((blocker(&told), told["blockers"].as_array().map(Vec::len)), (named.clone(), Some(1)), "{told}");
        other.wait()?;
    }
    let place = place(&server.url(&database), "lock_timeout_s: 5, max_retries: 0")?;
    let mut other = lock(server, &database, 20)?;
    let ran = place.rivet(&["run"])?;
    let shown = ran.stderr.clone() + ran.text()?;
    ensure!(ran.code != Some(0), "{shown}");
    ensure!(shown.contains("t: waits for a lock that is kept by session "), "{shown}");
    ensure!(shown.contains("(nightly-ddl, active)") && shown.contains("for locks of session "), "{shown}");
    ensure!(!shown.contains("sesame"), "a statement may hold secrets: {shown}");
    server.psql(
        &database,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nightly-ddl'",
    )?;
    other.wait()?;
    Ok(())
}
