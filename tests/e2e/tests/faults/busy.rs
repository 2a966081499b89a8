//! A server on which others wait while it is read, and one on which nobody does.
//! Must not know how a run finds out.

use std::process::{Child, Command, Stdio};

use anyhow::{Result, ensure};
use rivet_test_servers::postgres::{self, Postgres, PostgresOptions};

use crate::{Run, Site, wait_until};

/// A run of nearly five seconds.
const TUNING: &str = "adaptive: true, batch_size: 1000, throttle_ms: 200";

fn psql(server: &Postgres, site: &Site, sql: &str) -> Result<Child> {
    let mut psql = Command::new(postgres::find_psql()?);
    psql.args(["-XqAt", "-d", &server.url(&site.database), "-c", sql]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(psql.spawn()?)
}

#[test]
fn reading_pauses_while_others_wait_and_a_quiet_server_is_not_slowed() -> Result<()> {
    // Of its own: what other tests wait for would count.
    let server = Postgres::start(PostgresOptions::default())?;
    let site = Site::make(&server, "busy")?;
    let setup = format!("create table other (id int); grant pg_read_all_stats to {}", site.database);
    server.psql(&site.database, &setup)?;
    let read = |tuning: &str| -> Result<(f64, String)> {
        let place = site.workspace("table: t", tuning)?;
        let child = place.spawn(&["run", "--output", "json"])?;
        let summary = Run { place, child }.succeeds()?;
        Ok((summary["duration_ms"].as_f64().unwrap_or_default() / 1000.0, summary["warnings"].to_string()))
    };
    let (quiet_s, warnings) = read(TUNING)?;
    ensure!(warnings == "[]", "{warnings}");
    let mut others =
        vec![psql(&server, &site, "begin; lock table other in access exclusive mode; select pg_sleep(600)")?];
    let sleeps = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    wait_until("the table is locked", || Ok(server.psql("postgres", sleeps)?.trim() == "1"))?;
    for _ in 0..3 {
        others.push(psql(&server, &site, "select * from other")?);
    }
    let (busy_s, warnings) = read(TUNING)?;
    ensure!(warnings.contains("`adaptive`: reading paused, since others waited"), "{warnings}");
    ensure!(busy_s > quiet_s + 1.5, "{busy_s} s, {quiet_s} s on the quiet server");
    // Each pass reads a snapshot of its own: what was found out in one is as true in the next.
    server.psql(&site.database, "alter table t add primary key (id)")?;
    let place =
        site.workspace("table: t, tuning: {profile: safe}", "adaptive: true, batch_size: 4000, throttle_ms: 1000")?;
    let ran = place.rivet(&["run", "--output", "json"])?.expect(0)?;
    let export = ran.json()?["exports"][0].clone();
    ensure!(export["consistency"] == "per-split", "{export}");
    let n_told = ran.stderr.matches("reading pauses").count();
    ensure!(n_told == 1, "the governor began {n_told} times: {}", ran.stderr);
    let (_, warnings) = read(&format!("{TUNING}, max_connections: 1"))?;
    ensure!(
        warnings.contains("nobody watches the server, since `max_connections` leaves it no connection"),
        "{warnings}"
    );
    server.psql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")?;
    for other in &mut others {
        other.wait()?;
    }
    server.stop()
}
