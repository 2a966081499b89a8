//! Ctrl-C, SIGTERM and SIGHUP at random moments of a long export: it ends at once, stays small, and leaves the server alone.
//! Must not know what a run does at that moment.
//!
//! `RIVET_SIGNAL_MOMENTS=200 cargo test --release --workspace --features rivet/fault --test enemies -- signals --nocapture` is the
//! closing measurement: as many moments, spread over each kind of run as long as it takes undisturbed, and a line for each kind.
//! Without the variable there are 24, in the first second and a half.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, Workspace, files_below, finish_within};
use rivet_test_servers::postgres::{self, Postgres};

use crate::cases;

/// Rows of the table.
const N_ROWS: u64 = 2_000_000;
/// Longest time between a signal and the end, of the process and of its statement on the server.
const AT_ONCE: Duration = Duration::from_secs(2);
/// What a run may keep in flight, MiB.
const MEMORY_MB: u64 = 64;
/// What the process is besides.
const ALLOWANCE_MB: u64 = 64;

/// What a run writes first of all.
const STATE: &str = ".rivet_state.db";

const SIGNALS: [&str; 3] = ["INT", "TERM", "HUP"];

/// A way to export the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    n_workers: usize,
    format: &'static str,
    profile: &'static str,
}

/// A signal at a moment of a run.
struct Moment {
    kind: Kind,
    signal: &'static str,
    after: Duration,
}

/// All eight.
fn kinds() -> Vec<Kind> {
    let mut all = Vec::new();
    for profile in ["fast", "balanced"] {
        for format in ["parquet", "csv"] {
            all.extend([1, 2].map(|n_workers| Kind { n_workers, format, profile }));
        }
    }
    all
}

impl Kind {
    fn workspace(self, url: &str) -> Result<Workspace> {
        let Self { n_workers, format, profile } = self;
        let config = format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: {profile}, memory_mb: {MEMORY_MB}}}}}\n\
             exports: [{{name: t, table: public.t, parallel: {n_workers}, format: {format}, destination: {{type: local, path: out}}}}]\n"
        );
        Ok(Workspace::new(&config)?.with_variable("TEST_URL", url))
    }

    /// Undisturbed: how long it takes.
    fn whole(self, url: &str) -> Result<Duration> {
        let place = self.workspace(url)?;
        let ran = place.run()?.expect(0)?;
        small(&ran)?;
        println!("{self:?}: {:?} and {} MiB undisturbed", ran.took, ran.peak_rss_bytes >> 20);
        Ok(ran.took)
    }
}

/// SplitMix64: a fraction for each seed, the same each time.
fn fraction(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

fn small(ran: &Ran) -> Result<()> {
    let limit = (MEMORY_MB + ALLOWANCE_MB) << 20;
    ensure!(ran.peak_rss_bytes <= limit, "it grew to {} MiB", ran.peak_rss_bytes >> 20);
    Ok(())
}

impl Moment {
    fn judge(&self, server: &Postgres, database: &str, url: &str) -> Result<()> {
        let place = self.kind.workspace(url)?;
        let name = format!("signal_{}", place.path().file_name().map_or("".into(), |n| n.to_string_lossy()));
        let place = place.with_variable("TEST_URL", &format!("{url}?application_name={name}"));
        let child = place.spawn(&["run", "--output", "json"])?;
        std::thread::sleep(self.after);
        let sent = Instant::now();
        let id = child.id().to_string();
        ensure!(Command::new("kill").args(["-s", self.signal, &id]).status()?.success(), "send the signal");
        let ran = finish_within(child, 5 * AT_ONCE)?;
        let took = sent.elapsed();
        small(&ran)?;
        let active = format!(
            "select count(*) from pg_stat_activity where datname = '{database}' and application_name = '{name}' and state = 'active'"
        );
        while server.psql("postgres", &active)?.trim() != "0" {
            ensure!(sent.elapsed() < AT_ONCE, "the statement runs on");
        }
        let out = place.path().join("out");
        if ran.code == Some(0) {
            // It was over before it heard.
            Exported::read(&out).context("a run that succeeded")?;
            return Ok(());
        }
        // By the signal itself, before it had begun anything.
        let unheard = ran.code.is_none() && !place.path().join(STATE).exists();
        ensure!(unheard || ran.code == Some(130), "exit {:?}: {}", ran.code, ran.stderr);
        ensure!(took <= AT_ONCE, "it took {took:?} to end");
        let left = files_below(&out)?;
        if ran.stderr.contains("the run passed its verdict") {
            return completed(&place);
        }
        ensure!(left.is_empty(), "{left:?} stays");
        Ok(())
    }
}

/// What passed its verdict before the signal came is completed by the next run, and nothing else is there.
fn completed(place: &Workspace) -> Result<()> {
    let ran = place.run()?.expect(0)?;
    ensure!(ran.stderr.contains("is now complete"), "{}", ran.stderr);
    let (mut named, mut found) = (Vec::new(), Vec::new());
    for file in files_below(&place.path().join("out"))? {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.starts_with("_manifest-") {
            found.extend(Some(name).filter(|name| !name.starts_with("_SUCCESS")));
            continue;
        }
        let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        ensure!(manifest["rows"] == N_ROWS, "{manifest}");
        let parts = manifest["parts"].as_array().context("a manifest lists parts")?;
        named.extend(parts.iter().filter_map(|part| Some(part["name"].as_str()?.to_owned())));
    }
    named.sort();
    found.sort();
    ensure!(named == found, "{named:?} are named, {found:?} are there");
    Ok(())
}

#[test]
fn a_signal_at_any_moment_ends_a_run_at_once() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("signals")?;
    let table = format!(
        "create table t as select i::bigint as id, md5(i::text) as h from generate_series(1, {N_ROWS}) i;\nanalyze t"
    );
    server.psql(&database, &table)?;
    let url = server.url(&database);
    let asked = std::env::var("RIVET_SIGNAL_MOMENTS").ok();
    let n: u64 = asked.as_deref().map_or(Ok(24), str::parse).context("RIVET_SIGNAL_MOMENTS is a number")?;
    let mut spans = Vec::new();
    for kind in kinds() {
        let span = if asked.is_some() { kind.whole(&url)? } else { Duration::from_millis(1500) };
        spans.push((kind, span));
    }
    let moment = |seed: u64| {
        let at = usize::try_from(seed).unwrap_or(0);
        let (kind, span) = spans[at % spans.len()];
        Moment { kind, signal: SIGNALS[at / spans.len() % SIGNALS.len()], after: span.mul_f64(fraction(seed)) }
    };
    let moments: Vec<Moment> = (0..n).map(moment).collect();
    let name = |m: &Moment| format!("{} after {} ms of {:?}", m.signal, m.after.as_millis(), m.kind);
    cases::each(1, &moments, name, |moment| moment.judge(server, &database, &url))
}
