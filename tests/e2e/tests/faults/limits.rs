//! Statements that take too long, and locks that do not come.
//! Must not know how a limit is set.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rivet_test_servers::postgres;

use crate::{Run, SLOW, Site, wait_until};

#[test]
fn a_statement_beyond_its_limit_is_said() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "statement_timeout")?;
    // The limit elapses in the first statement of a cursor, and in a later one.
    for query in ["select id from t, pg_sleep(20) where id < 5", "select id, pg_sleep(0.002) from t"] {
        let place = site.workspace(
            &format!("query: '{query}'"),
            "statement_timeout_s: 1, batch_size: 2000, max_retries: 1, retry_backoff_ms: 100",
        )?;
        let child = place.spawn(&["run", "-vvv", "--output", "json"])?;
        let started = Instant::now();
        Run { place, child }.fails(2, "postgres.statement_timeout", &["statement_timeout_s", "1 s"])?;
        ensure!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
    Ok(())
}

#[test]
fn a_lock_that_does_not_come_is_said_and_one_that_does_is_waited_for() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "lock_timeout")?;
    for (held_s, tuning, comes) in [
        (60, "lock_timeout_s: 1, max_retries: 1, retry_backoff_ms: 100", false),
        (4, "lock_timeout_s: 1, max_retries: 9, retry_backoff_ms: 100", true),
    ] {
        let hold = format!("begin; lock table t in access exclusive mode; select pg_sleep({held_s})");
        let mut holder = std::process::Command::new(postgres::find_psql()?)
            .args(["-XqAt", "-d", &server.url(&site.database), "-c", &hold])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        let locked = format!(
            "select count(*) from pg_stat_activity where datname = '{}' and wait_event = 'PgSleep'",
            site.database
        );
        wait_until("the table is locked", || Ok(server.psql("postgres", &locked)?.trim() == "1"))?;
        let place = site.workspace("table: t", tuning)?;
        let child = place.spawn(&["run", "-vvv", "--output", "json"])?;
        let run = Run { place, child };
        if comes {
            run.succeeds()?;
        } else {
            run.fails(2, "postgres.55p03", &["lock timeout"])?;
        }
        // The statement of a client that goes away sleeps on.
        let wake = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and wait_event = 'PgSleep'",
            site.database
        );
        server.psql("postgres", &wake)?;
        holder.wait()?;
    }
    Ok(())
}

#[test]
fn what_waits_behind_a_lock_gives_way_to_it() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "behind_a_lock")?;
    let run = site.start(server, "table: t", &format!("{SLOW}, max_retries: 0"), "COPY")?;
    // Who changes the table waits for us, and is not in our way.
    let mut altered = site.queue(server, "alter table t add column later int")?;
    run.succeeds()?;
    ensure!(altered.wait()?.success());
    Ok(())
}
