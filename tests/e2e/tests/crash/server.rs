//! The server dies while it is read: the run goes on when it comes back, and says so when it does not.
//! Must not know how a connection is lost.

use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::postgres::{Postgres, PostgresOptions};
use serde_json::Value;

use crate::reader::Seen;
use crate::settled::{ensure_rows, ids_up_to};
use crate::{N_ROWS, in_parallel, table, wait_until};

/// Starts a run that takes several seconds, and waits until it has prepared a part.
fn mid_stream(server: &Postgres, retries: &str) -> Result<(Workspace, Child)> {
    let database = table(server, "dies")?;
    let config = in_parallel(&format!("batch_size: 5000, throttle_ms: 150, {retries}"));
    let workspace = Workspace::new(&config)?.with_variable("TEST_URL", &server.url(&database));
    let child = workspace.spawn(&["run", "--output", "json"])?;
    let out = workspace.path().join("out");
    wait_until("parts are written", Duration::from_secs(30), || Ok(files_below(&out)?.len() > 2))?;
    Ok((workspace, child))
}

#[test]
fn a_server_that_comes_back_is_read_again() -> Result<()> {
    let mut server = Postgres::start(PostgresOptions::default())?;
    let (workspace, child) = mid_stream(&server, "max_retries: 5, retry_backoff_ms: 1000")?;
    server.kill_immediate()?;
    std::thread::sleep(Duration::from_millis(500));
    server.restart()?;
    let ended = child.wait_with_output()?;
    let printed = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{:?}\n{printed}", ended.status);
    let document: Value = serde_json::from_slice(&ended.stdout).context("read the summary")?;
    ensure!(document["exports"][0]["retries"].as_u64() >= Some(1), "no retry: {document}");
    let seen = Seen::look(&workspace.path().join("out"))?;
    ensure!(seen.staged.is_empty() && seen.loose.is_empty(), "{seen:?}");
    ensure_rows(&[("read again", &seen.parts)], &ids_up_to(N_ROWS))
}

#[test]
fn a_server_that_stays_away_fails_the_run() -> Result<()> {
    let mut server = Postgres::start(PostgresOptions::default())?;
    let (workspace, child) = mid_stream(&server, "max_retries: 2, retry_backoff_ms: 200")?;
    server.kill_immediate()?;
    let ended = child.wait_with_output()?;
    let printed = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.code() == Some(2),
        "{:?}\n{printed}\n{}",
        ended.status,
        String::from_utf8_lossy(&ended.stdout)
    );
    let left = files_below(&workspace.path().join("out"))?;
    ensure!(left.is_empty(), "{left:?} stays");
    Ok(())
}
