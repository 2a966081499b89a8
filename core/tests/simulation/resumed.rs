//! Runs that fail in the middle of their chunks, again and again, and are gone on with.
//! Must not know what is kept where.

use rivet_core::connectors::Connectors;
use rivet_core::manifest::{Consistency, Manifest};
use rivet_core::summary::{Status, Summary};
use rivet_plugin_api::CancelToken;
use rivet_plugin_api::wire::register;

use crate::check::{self, ensure};
use crate::world::{Kind, Setup};
use crate::{Simulation, setup};

/// Runs of one world before nothing fails any more.
const MOST_RUNS: u32 = 8;

/// What the seeds reached; a test that reaches little shows little.
#[derive(Debug, Default)]
struct Reached {
    failed: u32,
    kept: u32,
    kept_twice: u32,
    mixed: u32,
    interrupted: u32,
    completed: u32,
}

fn of_seed(seed: u64) -> Setup {
    let some = setup(seed);
    let n_rows = 40 + i64::try_from(seed % 300).expect("small");
    Setup {
        n_rows,
        chunks: Some(5 + usize::try_from(seed % 20).expect("small")),
        max_retries: u32::try_from(seed % 2).expect("small"),
        source_failures: 10 + seed % 40,
        store_failures: if seed.is_multiple_of(3) { 20 } else { 0 },
        interrupt_at: seed.is_multiple_of(4).then_some(60 + seed % 50),
        // Rows and NULLs are counted over kept chunks too.
        rules: Some(format!("{{row_count_min: {n_rows}, row_count_max: {n_rows}, null_ratio_max: {{id: 0}}}}")),
        ..some
    }
}

/// Runs until one goes through; a run that failed has published nothing, unless its verdict was in.
fn simulate(seed: u64, connectors: &Connectors, reached: &mut Reached) -> Result<(), String> {
    let simulation = Simulation::new(of_seed(seed), connectors);
    let world = &*simulation.world;
    let never = CancelToken::new();
    let mut n_kept = 0;
    for run in 0.. {
        let (summary, heard) = simulation.run(if run == 0 { &world.cancel } else { &never });
        check::manifests(world)?;
        check::tidy(world)?;
        heard.check(world)?;
        count(&summary, &mut n_kept, reached);
        if summary.status == Status::Success {
            return end(&simulation, &summary, n_kept, reached);
        }
        let code = summary.error.as_ref().map_or("", |e| &e.code);
        ensure(!["integrity", "quality.failed", "internal"].contains(&code), || format!("{:?}", summary.error))?;
        ensure(run <= MOST_RUNS, || format!("it fails although nothing does: {:?}", summary.error))?;
        if run + 1 >= MOST_RUNS {
            world.lock().healed = true;
        }
    }
    Ok(())
}

fn count(summary: &Summary, n_kept: &mut u32, reached: &mut Reached) {
    reached.failed += u32::from(summary.status == Status::Failed);
    reached.interrupted += u32::from(summary.error.as_ref().is_some_and(|e| e.code == "interrupted"));
    *n_kept += u32::from(summary.splits_kept > 0);
}

fn end(simulation: &Simulation, last: &Summary, n_kept: u32, reached: &mut Reached) -> Result<(), String> {
    let world = &*simulation.world;
    ensure(simulation.left_in().is_none(), || "it succeeded and is not finished".to_owned())?;
    check::success(world, last)?;
    let manifests = check::manifests(world)?;
    let is_last = |manifest: &&Manifest| manifest.run_id == last.run_id;
    let manifest = manifests.iter().find(is_last).ok_or("the last run has no manifest")?;
    let mixed = manifest.consistency == Consistency::Mixed;
    ensure(world.setup.kind != Kind::Pages || last.splits_kept == 0, || "pages were kept".to_owned())?;
    ensure(last.splits_kept == 0 || manifest.quality.iter().all(|rule| rule.passed), || "a rule is broken".to_owned())?;
    reached.kept += u32::from(n_kept > 0);
    reached.kept_twice += u32::from(n_kept > 1);
    reached.mixed += u32::from(mixed && last.splits_kept > 0);
    reached.completed += u32::from(manifests.len() > 1);
    Ok(())
}

#[test]
fn each_row_is_there_once_however_often_it_is_gone_on_with() {
    let connectors = Connectors::new(register::linked().expect("the plugins are linked"));
    let (mut reached, mut broken) = (Reached::default(), Vec::new());
    for seed in 6000..6150 {
        if let Err(text) = simulate(seed, &connectors, &mut reached) {
            broken.push(format!("seed {seed}: {text}\n    in {:?}", of_seed(seed)));
        }
    }
    assert!(broken.is_empty(), "{} seeds fail, {reached:?}\n{}", broken.len(), broken.join("\n"));
    let all = [
        (reached.failed, 50),
        (reached.kept, 20),
        (reached.kept_twice, 5),
        (reached.mixed, 15),
        (reached.interrupted, 5),
        (reached.completed, 2),
    ];
    assert!(all.iter().all(|(found, least)| found >= least), "the seeds reach too little: {reached:?}");
}
