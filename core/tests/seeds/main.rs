//! The whole run path over many seeds: made-up plugins that fail at random, a clock that moves only by sleeping.
//! Whatever fails, a complete run holds each row once, and a failed one leaves nothing behind.

mod plugins;
mod world;

use std::path::Path;
use std::sync::Arc;

use rivet_core::clock::{Clock, TestClock};
use rivet_core::connectors::Connectors;
use rivet_core::random::{Random, SeededRandom};
use rivet_core::resolve::{ExportSpec, resolve};
use rivet_core::run::fault::Faults;
use rivet_core::run::progress::NoProgress;
use rivet_core::run::{Env, run};
use rivet_core::state::State;
use rivet_core::summary::{Status, Summary};
use rivet_plugin_api::CancelToken;
use rivet_plugin_api::wire::register;
use world::World;

/// Seeds that are run each time; a failure prints its seed.
const N_SEEDS: u64 = 150;

fn spec(seed: u64, parallel: usize) -> ExportSpec {
    let config = format!(
        "source: {{type: sim, world: {seed}, tuning: {{profile: fast, max_retries: 4, retry_backoff_ms: 1000, batch_size: 7}}}}\n\
         exports:\n  - {{name: t, table: t, parallel: {parallel}, max_file_size: 100, format: {{type: lines}}, \
         destination: {{type: shelf, world: {seed}}}}}\n"
    );
    let config = rivet_core::config::parse(&config, Path::new("."), &|_| None).expect("the config is right");
    let connectors = Connectors::new(register::linked().expect("the plugins are linked"));
    let specs = resolve(&config, &connectors, Path::new("."), "2026-11-21").expect("it resolves");
    specs.into_iter().next().expect("one export")
}

struct Simulation {
    seed: u64,
    world: Arc<World>,
    spec: ExportSpec,
    state: State,
    clock: TestClock,
    random: SeededRandom,
    _dir: tempfile::TempDir,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed ^ 0xabcd);
        let n_rows = i64::try_from(random.next_u64() % 300).expect("small");
        let stable = random.next_u64().is_multiple_of(2);
        let world = world::create(seed, n_rows, stable, random.next_u64() % 12);
        let dir = tempfile::tempdir().expect("a folder");
        let state = State::open(&dir.path().join("state.db")).expect("a state");
        let parallel = 1 + usize::try_from(random.next_u64() % 3).expect("small");
        Self { seed, world, spec: spec(seed, parallel), state, clock: TestClock::default(), random, _dir: dir }
    }

    fn run(&self) -> Summary {
        let env = Env {
            state: &self.state,
            clock: &self.clock,
            random: &self.random,
            cancel: &CancelToken::new(),
            progress: &NoProgress,
            faults: &Faults::default(),
            command: "simulation",
        };
        run(&self.spec, &env)
    }

    /// Every manifest that is visible lists parts that are there and together hold each row once.
    fn check_manifests(&self) {
        let seed = self.seed;
        let inner = self.world.lock();
        let manifests = inner.visible.iter().filter(|(name, _)| name.starts_with("_manifest-"));
        for (name, bytes) in manifests {
            let manifest: serde_json::Value = serde_json::from_slice(bytes).expect("it is JSON");
            let parts = manifest["parts"].as_array().expect("a list");
            let mut ids: Vec<i64> = Vec::new();
            for part in parts {
                let text = &inner.visible[part["name"].as_str().expect("a name")];
                assert_eq!(part["bytes"].as_u64(), Some(text.len() as u64), "seed {seed}");
                let lines = std::str::from_utf8(text).expect("text").lines();
                ids.extend(lines.map(|line| line.parse::<i64>().expect("a number")));
            }
            ids.sort_unstable();
            let all: Vec<i64> = (0..self.world.n_rows).collect();
            assert_eq!(ids, all, "seed {seed}: {name} does not hold each row once");
            let epochs: std::collections::BTreeSet<_> = parts.iter().map(|p| p["epoch"].as_u64()).collect();
            assert!(self.world.stable || epochs.len() <= 1, "seed {seed}: page ranges of two snapshots were mixed");
            let mixed = manifest["consistency"] == "mixed";
            assert_eq!(mixed, epochs.len() > 1, "seed {seed}: {}", manifest["consistency"]);
        }
    }
}

#[test]
fn whatever_fails_each_row_is_there_once_or_nothing_is() {
    let (mut succeeded, mut failed, mut retried) = (0, 0, 0);
    for seed in 0..N_SEEDS {
        let simulation = Simulation::new(seed);
        let first = simulation.run();
        simulation.check_manifests();
        let judged = simulation.state.unfinished_run("t").expect("the state can be read").is_some();
        if first.status == Status::Failed {
            failed += 1;
            let inner = simulation.world.lock();
            if !judged {
                assert!(inner.prepared.is_empty(), "seed {seed}: {:?} stayed", inner.prepared.keys());
                assert!(inner.visible.is_empty(), "seed {seed}: {:?} is visible", inner.visible.keys());
            }
        } else {
            succeeded += 1;
            assert!(!judged && simulation.world.lock().visible.contains_key("_SUCCESS"), "seed {seed}");
            if first.retries > 0 {
                retried += 1;
                assert!(simulation.clock.monotonic_ms() >= 500, "seed {seed}: a retry waits");
            }
        }
        // Whatever was left behind, the next run on a world that works settles it.
        simulation.world.lock().fail_percent = 0;
        let second = simulation.run();
        assert_eq!(second.status, Status::Success, "seed {seed}: {:?}", second.error);
        simulation.check_manifests();
        let inner = simulation.world.lock();
        assert!(inner.prepared.is_empty(), "seed {seed}: {:?} stayed", inner.prepared.keys());
        let success: serde_json::Value = serde_json::from_slice(&inner.visible["_SUCCESS"]).expect("it is JSON");
        assert_eq!(success["run_id"], second.run_id.as_str(), "seed {seed}");
    }
    // The seeds must reach all of it, or the test shows nothing.
    assert!(
        succeeded > 30 && failed > 10 && retried > 10,
        "{succeeded} succeeded ({retried} after retries), {failed} failed"
    );
}
