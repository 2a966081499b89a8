//! The whole run path over many seeds, in a made-up world: what fails is decided by the seed, time passes by sleeping only.
//! Must not know a real engine, format or store.

mod check;
mod kept;
mod lines;
mod listener;
mod resumed;
mod source;
mod store;
mod world;

use std::path::Path;
use std::sync::Arc;

use check::ensure;
use listener::{BACKOFF_MS, Heard};
use rivet_core::clock::{Clock, TestClock};
use rivet_core::connectors::Connectors;
use rivet_core::paths::Places;
use rivet_core::random::{Random, SeededRandom};
use rivet_core::resolve::{ExportSpec, resolve};
use rivet_core::run::fault::Faults;
use rivet_core::run::{Env, run};
use rivet_core::state::{Phase, State};
use rivet_core::summary::{Status, Summary};
use rivet_plugin_api::CancelToken;
use rivet_plugin_api::wire::register;
use world::{Kind, Setup, World};

rivet_plugin_api::plugin!(source: source::SimSource, format: lines::SimFormat, destination: store::SimDestination);

fn setup(seed: u64) -> Setup {
    let random = SeededRandom::new(seed);
    let below = |n: u64| random.next_u64() % n;
    let empty = below(10) == 0;
    let n_rows = if empty { 0 } else { i64::try_from(below(400)).expect("small") };
    Setup {
        seed,
        n_rows,
        kind: [Kind::Keys, Kind::Pages, Kind::Alone, Kind::Statements][usize::try_from(below(4)).expect("small")],
        parallel: 1 + usize::try_from(below(3)).expect("small"),
        max_retries: u32::try_from(below(6)).expect("small"),
        skip_empty: below(2) == 0,
        chunks: None,
        source_failures: below(3) * below(60),
        store_failures: below(2) * below(40),
        interrupt_at: (below(8) == 0).then(|| below(60)),
        lies: false,
        twins: false,
        rules: None,
    }
}

fn spec(setup: &Setup, connectors: &Connectors) -> ExportSpec {
    let Setup { seed, parallel, max_retries, skip_empty, rules, n_rows, .. } = setup;
    // A row that is counted twice breaks them, and one that is not counted.
    let at_their_limits = format!(
        "{{row_count_min: {n_rows}, row_count_max: {n_rows}, null_ratio_max: {{id: 0}}, unique_columns: [id]}}"
    );
    let rules = rules.as_ref().unwrap_or(&at_their_limits);
    let mode = setup.chunks.map_or_else(
        || "full".to_owned(),
        |n| format!("chunked, chunk_column: id, chunk_count: {n}, chunk_max_attempts: {}", max_retries + 1),
    );
    let config = format!(
        "source: {{type: sim, world: {seed}, tuning: {{profile: fast, max_retries: {max_retries}, \
         retry_backoff_ms: {BACKOFF_MS}, batch_size: 7}}}}\n\
         exports:\n  - {{name: t, table: t, mode: {mode}, parallel: {parallel}, skip_empty: {skip_empty}, max_file_size: 300, quality: {rules}, \
         format: {{type: lines}}, destination: {{type: shelf, world: {seed}, room: '{{date}}'}}}}\n"
    );
    let config = rivet_core::config::parse(&config, Path::new("."), &|_| None, &Default::default())
        .expect("the config is right");
    let specs = resolve(&config, connectors, &Places::default(), "2026-11-21").expect("it resolves");
    specs.into_iter().next().expect("one export")
}

struct Simulation {
    world: Arc<World>,
    spec: ExportSpec,
    state: State,
    clock: Arc<TestClock>,
    random: SeededRandom,
    _dir: tempfile::TempDir,
}

impl Simulation {
    fn new(setup: Setup, connectors: &Connectors) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(TestClock::at(1_795_236_912_345));
        let state = State::open_with(&dir.path().join("state.db"), clock.clone()).expect("a state");
        let spec = spec(&setup, connectors);
        Self { random: SeededRandom::new(!setup.seed), world: world::create(setup), spec, state, clock, _dir: dir }
    }

    /// The next day.
    fn run_later(&self) -> (Summary, Heard) {
        self.run_spec(&self.spec.on("2026-11-22"), &CancelToken::new())
    }

    fn run(&self, cancel: &CancelToken) -> (Summary, Heard) {
        self.run_spec(&self.spec, cancel)
    }

    fn run_spec(&self, spec: &ExportSpec, cancel: &CancelToken) -> (Summary, Heard) {
        let heard = Heard::default();
        let env = Env {
            state: &self.state,
            clock: &*self.clock,
            random: &self.random,
            cancel,
            progress: &heard,
            faults: &Faults::default(),
            command: "simulation",
            invocation: "simulation",
        };
        let summary = run(spec, &env);
        (summary, heard)
    }

    fn is_judged(&self) -> bool {
        self.left_in() == Some(Phase::Judged)
    }

    /// Where the run is that did not end.
    fn left_in(&self) -> Option<Phase> {
        self.state.unfinished_run("t").expect("the state can be read").map(|run| run.phase)
    }
}

/// What the seeds reached; a test that reaches little shows little.
#[derive(Debug, Default)]
struct Reached {
    succeeded: u32,
    skipped: u32,
    retried: u32,
    cut: u32,
    mixed: u32,
    new_epoch: u32,
    failed: u32,
    interrupted: u32,
    lost: u32,
    completed_later: u32,
}

/// One world: a run while things fail, then one when they do not.
fn simulate(setup: Setup, connectors: &Connectors, reached: &mut Reached) -> Result<(), String> {
    let simulation = Simulation::new(setup, connectors);
    let world = &*simulation.world;
    let (first, heard) = simulation.run(&world.cancel);
    let judged = simulation.is_judged();
    let manifests = check::manifests(world)?;
    check::tidy(world)?;
    heard.check(world)?;
    let (waited_ms, elapsed_ms) = (heard.waited_ms(), simulation.clock.monotonic_ms());
    // What ends a pass, or the run, ends the pauses of its other workers.
    let cut_short = world.cancel.is_cancelled() || first.restarts > 0 || first.status == Status::Failed;
    let slept = if cut_short { elapsed_ms <= waited_ms } else { elapsed_ms == waited_ms };
    ensure(slept, || format!("{waited_ms} ms were promised, {elapsed_ms} ms passed"))?;
    match first.status {
        Status::Failed => check::failure(world, &first, judged, heard.most_retries())?,
        Status::Success | Status::Skipped | Status::Staged => {
            ensure(!judged, || "it succeeded and is not finished".to_owned())?;
            check::success(world, &first)?;
        }
    }
    count(&first, judged, world, &manifests, reached);
    let seen = world.lock().visible.clone();
    world.lock().healed = true;
    let (second, heard) = simulation.run_later();
    ensure(second.status != Status::Failed, || format!("the second run failed: {:?}", second.error))?;
    ensure(heard.waited_ms() == 0 && !simulation.is_judged(), || "the second run was not straight".to_owned())?;
    let complete = check::manifests(world)?;
    check::tidy(world)?;
    check::success(world, &second)?;
    let n_first = usize::from(judged || first.status == Status::Success);
    let n_second = usize::from(second.status == Status::Success);
    ensure(complete.len() == n_first + n_second, || format!("{} manifests", complete.len()))?;
    let inner = world.lock();
    let listed: usize = complete.iter().map(|m| m.parts.len() + 1).sum();
    let n_success = inner.visible.keys().filter(|name| name.starts_with("_SUCCESS")).count();
    ensure(inner.visible.len() == listed + n_success, || "something visible is in no manifest".to_owned())?;
    let kept =
        |(name, bytes): (&String, &Vec<u8>)| name.starts_with("_SUCCESS") || inner.visible.get(name) == Some(bytes);
    ensure(seen.iter().all(kept), || "something visible was changed or removed".to_owned())
}

fn count(
    first: &Summary,
    judged: bool,
    world: &World,
    manifests: &[rivet_core::manifest::Manifest],
    reached: &mut Reached,
) {
    let code = first.error.as_ref().map(|e| e.code.as_str());
    let manifest = manifests.first().filter(|_| first.status == Status::Success);
    reached.succeeded += u32::from(first.status == Status::Success);
    reached.skipped += u32::from(first.status == Status::Skipped);
    reached.retried += u32::from(manifest.is_some() && first.retries > 0);
    reached.cut += u32::from(manifest.is_some() && world.lock().n_cuts > 0);
    reached.mixed += u32::from(manifest.is_some_and(|m| m.consistency == rivet_core::manifest::Consistency::Mixed));
    reached.new_epoch += u32::from(manifest.is_some_and(|m| m.snapshots.len() > 1));
    reached.failed += u32::from(first.status == Status::Failed);
    reached.interrupted += u32::from(code == Some("interrupted"));
    reached.lost += u32::from(code == Some("snapshot.lost"));
    reached.completed_later += u32::from(judged);
}

/// Runs these seeds, and keeps those that fail; to see one alone, call it with just that.
fn whatever_fails_each_row_is_there_once_or_nothing_is(seeds: impl IntoIterator<Item = u64>) {
    let connectors = Connectors::new(register::linked().expect("the plugins are linked"));
    let mut reached = Reached::default();
    let mut broken = Vec::new();
    for seed in seeds {
        let setup = setup(seed);
        if let Err(text) = simulate(setup.clone(), &connectors, &mut reached) {
            broken.push(format!("seed {seed}: {text}\n    in {setup:?}"));
            kept::keep(seed);
        }
    }
    assert!(broken.is_empty(), "{} seeds fail, {reached:?}\n{}", broken.len(), broken.join("\n"));
    let all = [
        (reached.succeeded, 30),
        (reached.skipped, 2),
        (reached.retried, 10),
        (reached.cut, 2),
        (reached.mixed, 2),
        (reached.new_epoch, 5),
        (reached.failed, 10),
        (reached.interrupted, 2),
        (reached.lost, 1),
        (reached.completed_later, 3),
    ];
    assert!(all.iter().all(|(found, least)| found >= least), "the seeds reach too little: {reached:?}");
}

/// As many more seeds as `RIVET_SIMULATION_SEEDS` says, for a night: `RIVET_SIMULATION_SEEDS=5000 cargo test --test simulation`.
#[test]
fn seeds_that_failed_and_as_many_more_as_asked_for() {
    let more = std::env::var("RIVET_SIMULATION_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    whatever_fails_each_row_is_there_once_or_nothing_is(kept::all().into_iter().chain(400..500 + more));
}

// Most of the time goes into waiting for the state's disk: four tests wait at once.

#[test]
fn seeds_0_to_99() {
    whatever_fails_each_row_is_there_once_or_nothing_is(0..100);
}

#[test]
fn seeds_100_to_199() {
    whatever_fails_each_row_is_there_once_or_nothing_is(100..200);
}

#[test]
fn seeds_200_to_299() {
    whatever_fails_each_row_is_there_once_or_nothing_is(200..300);
}

#[test]
fn seeds_300_to_399() {
    whatever_fails_each_row_is_there_once_or_nothing_is(300..400);
}

/// A linked plugin gives the table; the binary meets a loaded one in its own tests.
#[test]
fn two_columns_of_one_name_are_refused() {
    let connectors = Connectors::new(register::linked().expect("the plugins are linked"));
    let calm = Setup { source_failures: 0, store_failures: 0, interrupt_at: None, twins: true, ..setup(2000) };
    let simulation = Simulation::new(calm, &connectors);
    let (summary, _) = simulation.run(&CancelToken::new());
    let error = summary.error.expect("it is refused");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("config.impossible", "t has two columns called 'id'"));
    assert!(simulation.world.lock().visible.is_empty());
}

/// What happens to the parts of a run that failed after its verdict.
fn damage(world: &World, way: u64) -> bool {
    let mut inner = world.lock();
    let inner = &mut *inner;
    let parts = if way == 2 { &mut inner.visible } else { &mut inner.prepared };
    let Some((name, bytes)) = parts.iter_mut().find(|(name, bytes)| !name.starts_with('_') && !bytes.is_empty()) else {
        return false;
    };
    if way == 1 {
        let name = name.clone();
        return parts.remove(&name).is_some();
    }
    // Size and number of rows stay: the last digit of a row.
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    true
}

#[test]
fn what_is_damaged_or_lost_after_the_verdict_is_never_vouched_for() {
    let connectors = Connectors::new(register::linked().expect("the plugins are linked"));
    let mut reached = [0; 3];
    for seed in 2000..2080 {
        let setup = Setup {
            n_rows: 60,
            kind: Kind::Keys,
            max_retries: 5,
            skip_empty: false,
            source_failures: 0,
            store_failures: 80,
            interrupt_at: None,
            ..setup(seed)
        };
        let simulation = Simulation::new(setup, &connectors);
        let world = &*simulation.world;
        let (first, _) = simulation.run(&world.cancel);
        let way = seed % 3;
        if !simulation.is_judged() || !damage(world, way) {
            continue;
        }
        reached[usize::try_from(way).expect("small")] += 1;
        world.lock().healed = true;
        let (second, _) = simulation.run_later();
        assert_eq!(second.status, Status::Success, "seed {seed}: {:?}", second.error);
        assert!(second.warnings.iter().any(|w| w.contains(&first.run_id) && w.contains("withdrawn")), "seed {seed}");
        let complete = check::manifests(world).and_then(|m| check::tidy(world).map(|()| m)).expect("all is well");
        let runs: Vec<&str> = complete.iter().map(|m| m.run_id.as_str()).collect();
        assert_eq!(runs, [second.run_id.as_str()], "seed {seed}");
        let inner = world.lock();
        assert!(
            !inner.visible.keys().any(|name| name.contains(&first.run_id)),
            "seed {seed}: {:?}",
            inner.visible.keys()
        );
        assert!(inner.prepared.is_empty(), "seed {seed}");
    }
    assert!(reached.iter().all(|n| *n >= 3), "the seeds reach too little: {reached:?}");
}

#[test]
fn rows_that_break_a_rule_are_never_seen() {
    let connectors = Connectors::new(register::linked().expect("the plugins are linked"));
    let mut judged = 0;
    for seed in 4000..4060 {
        let some = Setup { n_rows: 50 + i64::try_from(seed % 100).expect("small"), interrupt_at: None, ..setup(seed) };
        let n = some.n_rows;
        let rules = [
            format!("{{row_count_min: {}}}", n + 1),
            format!("{{row_count_max: {}}}", n - 1),
            // All rows of a snapshot have its number.
            "{unique_columns: [id, snapshot]}".to_owned(),
        ];
        let broken = rules[usize::try_from(seed % 3).expect("small")].clone();
        let simulation = Simulation::new(Setup { rules: Some(broken.clone()), ..some }, &connectors);
        let world = &*simulation.world;
        for run in 0..2 {
            let (summary, _) = simulation.run_later();
            let error = summary.error.expect("it is refused");
            if error.code == "quality.failed" {
                judged += 1;
                assert_eq!(error.class, rivet_core::error::FailureClass::Integrity);
                assert_eq!(summary.quality.iter().filter(|rule| !rule.passed).count(), 1, "seed {seed}: {broken}");
                let ended = simulation.state.run(&summary.run_id).expect("the state can be read").expect("it is there");
                assert_eq!(ended.phase, Phase::Rejected, "seed {seed}");
            } else {
                assert_eq!(run, 0, "seed {seed}: it failed with {} although nothing fails any more", error.code);
            }
            assert!(!simulation.is_judged(), "seed {seed}: it waits to be published");
            // One that may go on keeps its finished splits.
            let stays = run == 0 && simulation.left_in() == Some(Phase::Extracting);
            let inner = world.lock();
            assert!(inner.visible.is_empty(), "seed {seed}: something of it can be seen");
            assert!(stays || inner.prepared.is_empty(), "seed {seed}: something is left of it");
            drop(inner);
            check::tidy(world).unwrap_or_else(|text| panic!("seed {seed}: {text}"));
            world.lock().healed = true;
        }
    }
    assert!(judged > 70, "the seeds reach too little: {judged}");
}

/// The checks can fail: places that move from snapshot to snapshot, called stable, put rows in twice.
#[test]
fn a_source_that_lies_is_noticed() {
    let connectors = Connectors::new(register::linked().expect("the plugins are linked"));
    let noticed = (1000..1040).filter(|seed| {
        let honest = setup(*seed);
        let lying = Setup {
            n_rows: honest.n_rows + 50,
            kind: Kind::Pages,
            parallel: 2,
            max_retries: 5,
            source_failures: 60,
            store_failures: 0,
            interrupt_at: None,
            lies: true,
            rules: Some("{}".to_owned()),
            ..honest
        };
        simulate(lying, &connectors, &mut Reached::default()).is_err_and(|text| text.contains("the rows are"))
    });
    assert!(noticed.count() > 0);
}
