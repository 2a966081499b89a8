//! Sessions and statements that others end, and a server that goes down and comes back.
//! Must not know how a session is replaced.

use std::time::Duration;

use anyhow::{Result, ensure};
use rivet_test_servers::postgres::{self, Postgres, PostgresOptions};

use crate::{IN_SPLITS, PATIENT, SLOW, Site};

/// Ways to read table `t`: its keys, tuning, and how the statement begins.
const READS: [(&str, &str, &str); 2] = [
    ("table: t", SLOW, "COPY"),
    // Fetched in pieces: at the pace of the throttle one statement would take too long.
    ("query: select * from t", "batch_size: 1000, throttle_ms: 100, statement_timeout_s: 4", "FETCH"),
];

#[test]
fn a_session_that_is_ended_is_replaced() -> Result<()> {
    let server = postgres::shared();
    for (keys, tuning, word) in READS {
        let site = Site::make(server, "terminated")?;
        let run = site.start(server, keys, &format!("{tuning}, {PATIENT}"), word)?;
        site.signal(server, "pg_terminate_backend")?;
        let summary = run.succeeds()?;
        ensure!(summary["retries"] == 1, "{word}: {summary}");
        ensure!(summary["restarts"] == 1 && says_restart(&summary), "{word}: {summary}");
    }
    Ok(())
}

/// Whether the summary warns of a lost snapshot.
fn says_restart(summary: &serde_json::Value) -> bool {
    let said = |w: &serde_json::Value| w.as_str().is_some_and(|text| text.starts_with("the snapshot was lost, "));
    summary["warnings"].as_array().is_some_and(|all| all.iter().any(said))
}

/// Splits that share a snapshot: one session holds it, another joined it and reads.
#[test]
fn a_snapshot_is_joined_again_or_replaced() -> Result<()> {
    let server = postgres::shared();
    let tuning = format!("{IN_SPLITS}, {PATIENT}");
    for (who, retries, restarts) in [("backend_start > FIRST", 1, 0), ("backend_start = FIRST", 0, 0), ("true", 1, 1)] {
        let site = Site::make(server, "snapshot")?;
        // Who holds the snapshot came first.
        let first = format!("(select min(backend_start) from pg_stat_activity where {})", site.ours());
        let who = who.replace("FIRST", &first);
        let run = site.start(server, "table: t", &tuning, "COPY")?;
        site.signal_where(server, "pg_terminate_backend", &who)?;
        let summary = run.succeeds()?;
        ensure!(summary["retries"] == retries, "{who}: {summary}");
        ensure!(summary["restarts"] == restarts && says_restart(&summary) == (restarts > 0), "{who}: {summary}");
        ensure!(summary["consistency"] == "snapshot", "{who}: {summary}");
    }
    Ok(())
}

#[test]
fn a_session_that_is_ended_fails_the_run_without_a_budget() -> Result<()> {
    let server = postgres::shared();
    // In the middle of a COPY the server hangs up without a word; between two statements it says why.
    for ((keys, tuning, word), (code, says)) in READS
        .into_iter()
        .zip([("postgres.closed", "closed the connection"), ("postgres.57p01", "terminating connection")])
    {
        let site = Site::make(server, "terminated_once")?;
        let run = site.start(server, keys, &format!("{tuning}, max_retries: 0"), word)?;
        site.signal(server, "pg_terminate_backend")?;
        run.fails(2, code, &[says])?;
    }
    Ok(())
}

#[test]
fn a_statement_that_an_operator_cancels_is_not_tried_again() -> Result<()> {
    let server = postgres::shared();
    // A query that sleeps is in the middle of a statement whenever somebody looks.
    let sleeps = ("query: 'select 1 id from pg_sleep(60)'", "statement_timeout_s: 0", "COPY");
    let in_a_fetch = ("query: 'select a.id from t a, t b, pg_sleep(60)'", "statement_timeout_s: 100", "FETCH");
    for (keys, tuning, word) in [READS[0], sleeps, in_a_fetch] {
        let site = Site::make(server, "cancelled")?;
        let run = site.start(server, keys, &format!("{tuning}, {PATIENT}"), word)?;
        site.signal(server, "pg_cancel_backend")?;
        let summary = run.fails(2, "postgres.cancelled_by_operator", &["cancelled"])?;
        ensure!(summary["retries"] == 0, "{keys}: {summary}");
    }
    Ok(())
}

#[test]
fn an_operator_may_cancel_what_is_asked_before_the_first_row() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "cancelled_early")?;
    // The statement that asks for the size waits for a lock.
    let mut holder = std::process::Command::new(postgres::find_psql()?)
        .args(["-XqAt", "-d", &server.url(&site.database)])
        .args(["-c", "begin; lock table t in access exclusive mode; select pg_sleep(60)"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let place = site.workspace("table: t", &format!("lock_timeout_s: 0, statement_timeout_s: 0, {PATIENT}"))?;
    let waits = format!("select count(*) from pg_stat_activity where {} and wait_event_type = 'Lock'", site.ours());
    let locked =
        format!("select count(*) from pg_stat_activity where datname = '{}' and wait_event = 'PgSleep'", site.database);
    crate::wait_until("the table is locked", || Ok(server.psql("postgres", &locked)?.trim() == "1"))?;
    let child = place.spawn(&["run", "-vvv", "--output", "json"])?;
    crate::wait_until("we wait for the lock", || Ok(server.psql("postgres", &waits)?.trim() == "1"))?;
    site.signal(server, "pg_cancel_backend")?;
    crate::Run { place, child }.fails(2, "postgres.cancelled_by_operator", &["cancelled"])?;
    let wake = locked.replace("count(*)", "pg_terminate_backend(pid)");
    server.psql("postgres", &wake)?;
    holder.wait()?;
    Ok(())
}

#[test]
fn a_server_that_comes_back_within_the_budget_is_read_again() -> Result<()> {
    let mut server = Postgres::start(PostgresOptions::default())?;
    for (keys, tuning, word) in READS {
        let site = Site::make(&server, "restarted")?;
        let run = site.start(&server, keys, &format!("{tuning}, max_retries: 6, retry_backoff_ms: 1000"), word)?;
        server.kill_immediate()?;
        std::thread::sleep(Duration::from_millis(500));
        server.restart()?;
        let summary = run.succeeds()?;
        ensure!(summary["retries"].as_u64() >= Some(1), "{word}: {summary}");
    }
    server.stop()
}

#[test]
fn a_server_that_stops_in_good_order_and_stays_away_is_said() -> Result<()> {
    for immediate in [true, false] {
        let mut server = Postgres::start(PostgresOptions::default())?;
        let site = Site::make(&server, "stopped")?;
        let run = site.start(&server, "table: t", &format!("{SLOW}, max_retries: 2, retry_backoff_ms: 100"), "COPY")?;
        if immediate {
            server.kill_immediate()?;
        } else {
            server.stop()?;
        }
        run.fails(2, "postgres.refused", &["connect to"])?;
    }
    Ok(())
}
