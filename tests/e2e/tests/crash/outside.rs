//! Ended from outside: killed at random moments, interrupted, started twice.
//! Must not know where in the run path it was.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::postgres::{self, Postgres};

use crate::case::Case;
use crate::settled::{ensure_whole, ids_up_to};
use crate::{N_ROWS, in_parallel, table, wait_until};

/// Connections of ours to this database that the server knows.
fn n_connections(server: &Postgres, database: &str) -> Result<u32> {
    let sql = format!(
        "select count(*) from pg_stat_activity where application_name like 'rivet/%' and datname = '{database}'"
    );
    Ok(server.psql("postgres", &sql)?.trim().parse()?)
}

fn interrupt(child: &Child) -> Result<()> {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    ensure!(status.success(), "send SIGINT");
    Ok(())
}

/// SplitMix64: a delay a seed, the same each time.
fn fraction(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[test]
fn killed_at_any_moment() -> Result<()> {
    let server = postgres::shared();
    let database = table(server, "anytime")?;
    let url = server.url(&database);
    let make =
        || Ok::<_, anyhow::Error>(Workspace::new(&in_parallel("batch_size: 5000"))?.with_variable("TEST_URL", &url));
    let whole = make()?.run()?.expect(0)?.took;
    let mut cases = Vec::new();
    for seed in 0..10 {
        let workspace = make()?;
        let delay = whole.mul_f64(fraction(seed));
        let mut child = workspace.spawn(&["run"])?;
        std::thread::sleep(delay);
        child.kill().context("kill rivet")?;
        child.wait_with_output()?;
        cases.push(Case::settle(format!("seed {seed} after {} ms", delay.as_millis()), workspace)?);
    }
    ensure_whole(&cases, &ids_up_to(N_ROWS))?;
    Ok(())
}

#[test]
fn an_interrupt_leaves_nothing_behind() -> Result<()> {
    let server = postgres::shared();
    let database = table(server, "interrupt")?;
    let slow_table = in_parallel("batch_size: 5000, throttle_ms: 400");
    let slow_server = "source: {type: postgres, url_env: TEST_URL, tuning: {profile: fast}}\n\
         exports:\n  - {name: t, query: 'select 1 as id from pg_sleep(60)', destination: {type: local, path: out}}\n";
    for (config, staged) in [(slow_table.as_str(), true), (slow_server, false)] {
        let workspace = Workspace::new(config)?.with_variable("TEST_URL", &server.url(&database));
        let child = workspace.spawn(&["run"])?;
        let out = workspace.path().join("out");
        wait_until("the run is under way", Duration::from_secs(30), || {
            let under_way = if staged { !files_below(&out)?.is_empty() } else { is_asleep(server, &database)? };
            Ok(under_way)
        })?;
        interrupt(&child)?;
        let sent = Instant::now();
        let ended = child.wait_with_output()?;
        let took = sent.elapsed();
        let printed = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.code() == Some(130), "{:?}\n{printed}", ended.status);
        // Milliseconds on a quiet machine; the bound only tells an end from a hang beside the other tests.
        ensure!(took < Duration::from_secs(60), "it took {took:?} to end\n{config}\n{printed}");
        let left = files_below(&out)?;
        ensure!(left.is_empty(), "{left:?} stays");
        // Sooner than the query would end by itself.
        wait_until("the server has no query of ours", Duration::from_secs(20), || {
            Ok(n_connections(server, &database)? == 0)
        })?;
    }
    Ok(())
}

fn is_asleep(server: &Postgres, database: &str) -> Result<bool> {
    let sql = format!(
        "select count(*) from pg_stat_activity where application_name like 'rivet/%' and datname = '{database}' \
         and wait_event = 'PgSleep'"
    );
    Ok(server.psql("postgres", &sql)?.trim() != "0")
}

#[test]
fn the_second_of_two_processes_names_the_first() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("twice")?;
    let config = "source: {type: postgres, url_env: TEST_URL, tuning: {profile: fast}}\n\
         exports:\n  - {name: t, query: 'select 1 as id from pg_sleep(10)', destination: {type: local, path: out}}\n";
    let workspace = Workspace::new(config)?.with_variable("TEST_URL", &server.url(&database));
    let first = workspace.spawn(&["run"])?;
    wait_until("the first reads", Duration::from_secs(30), || is_asleep(server, &database))?;
    let second = workspace.rivet(&["run"])?.expect(6)?;
    // Well before the first lets go.
    ensure!(second.took < Duration::from_secs(6), "the second waited {:?}", second.took);
    let pid = first.id().to_string();
    let words = second.stderr.split(|c: char| !c.is_ascii_alphanumeric()).collect::<Vec<_>>();
    ensure!(words.contains(&pid.as_str()), "process {pid} is not named: {}", second.stderr);
    let first = first.wait_with_output()?;
    ensure!(first.status.success(), "the first was disturbed: {}", String::from_utf8_lossy(&first.stderr));
    Ok(())
}
