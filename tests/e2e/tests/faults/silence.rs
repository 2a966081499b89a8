//! A server that says nothing more in the middle of a read.
//! Must not know how silence is measured.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rivet_test_e2e::finish;
use rivet_test_servers::postgres::{self, Postgres};

use crate::{Run, SLOW, Site, wait_until};

/// Stops the process that serves us: its connection stays, and nothing comes of it. Goes on when it is dropped.
struct Stopped(String);

impl Stopped {
    fn stop(server: &Postgres, site: &Site) -> Result<Self> {
        let sql = format!("select pid from pg_stat_activity where {} and query like 'COPY%'", site.ours());
        let pid = server.psql("postgres", &sql)?.trim().to_owned();
        ensure!(Command::new("kill").args(["-STOP", &pid]).status()?.success(), "stop process {pid}");
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = Command::new("kill").args(["-CONT", &self.0]).status();
    }
}

#[test]
fn silence_is_told_while_it_is_waited_for() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "silence")?;
    let place = site.workspace("table: t", SLOW)?;
    let child = place.spawn(&["run", "--fault", "silence:400"])?;
    let reading = format!("select count(*) from pg_stat_activity where {} and query like 'COPY%'", site.ours());
    wait_until("the table is read", || Ok(server.psql("postgres", &reading)?.trim() == "1"))?;
    let stopped = Stopped::stop(server, &site)?;
    // What is under way is used up first.
    std::thread::sleep(Duration::from_secs(8));
    drop(stopped);
    let ran = finish(child)?.expect(0)?;
    let told = |seconds: &str| {
        format!(
            "warning: export 't': all rows: nothing has come from the source for {seconds} s; it may be at work, or lost; "
        )
    };
    for seconds in ["0.4", "0.8", "1.6"] {
        ensure!(ran.stderr.contains(&told(seconds)), "{seconds} s in {}", ran.stderr);
    }
    ensure!(ran.stderr.contains("waiting for 600 s at most"), "{}", ran.stderr);
    let n_told = ran.stderr.matches("nothing has come").count();
    ensure!(n_told <= 8, "{n_told} times: {}", ran.stderr);
    Ok(())
}

#[test]
fn a_server_silent_beyond_the_statement_timeout_is_lost() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "black_hole")?;
    // The table is read in one statement that takes less than half of the limit.
    let place =
        site.workspace("table: t", "statement_timeout_s: 4, max_retries: 0, batch_size: 1000, throttle_ms: 50")?;
    let child = place.spawn(&["run", "-vvv", "--output", "json"])?;
    let run = Run { place, child };
    let reading = format!("select count(*) from pg_stat_activity where {} and query like 'COPY%'", site.ours());
    wait_until("the table is read", || Ok(server.psql("postgres", &reading)?.trim() == "1"))?;
    let stopped = Stopped::stop(server, &site)?;
    let started = Instant::now();
    run.fails(2, "postgres.no_progress", &[])?;
    let took = started.elapsed();
    ensure!(took > Duration::from_secs(30) && took < Duration::from_secs(60), "{took:?}");
    drop(stopped);
    Ok(())
}
