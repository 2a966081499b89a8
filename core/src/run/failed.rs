//! What becomes of a run that failed: it stays for the next one to go on with, or nothing of it does.
//! It must not know why it failed beyond its class.

use rivet_plugin_api::Store;
use serde_json::Value;

use super::env::Env;
use super::{Started, failure, ledger, measure, resume, sweep, warn};
use crate::error::RunError;
use crate::plan::Plan;
use crate::resolve::ExportSpec;
use crate::state::{NewRun, Phase};
use crate::summary::Summary;

/// What becomes of a run that failed: it stays where the next one can go on with it, else nothing of it does.
pub fn settle(
    spec: &ExportSpec,
    plan: &Plan,
    error: &RunError,
    store: &dyn Store,
    env: &Env<'_>,
    started: &Started,
    summary: &mut Summary,
) {
    measure(summary, started, env);
    let stays = match spec.shard() {
        Some(shard) => {
            Some(format!("what shard {shard} has finished is kept: apply it again, and it goes on with the rest"))
        }
        None => resume::stays(spec, plan, error, env),
    };
    if let Some(told) = &stays {
        warn(told, spec, env, summary);
    }
    let told = Summary { error: Some(failure(error, spec)), ..summary.clone() };
    if stays.is_some() {
        let noted = env.state.note_failure(&plan.run_id, &serde_json::to_value(told).unwrap_or_default());
        if let Err(e) = noted {
            env.progress.warn(&plan.export, &format!("failed to record the failure: {e}"));
        }
        return;
    }
    let rejected = matches!(error, RunError::Quality { .. });
    give_up(plan, &told, if rejected { Phase::Rejected } else { Phase::Failed }, store, env);
}

/// Nothing of a failed run stays: its parts are discarded, the state says why. Where that fails the run is not over, and
/// the next one settles it.
fn give_up(plan: &Plan, told: &Summary, phase: Phase, store: &dyn Store, env: &Env<'_>) {
    let told = serde_json::to_value(told).unwrap_or_default();
    let recorded = env.state.parts_of(&plan.run_id);
    if let Ok(parts) = &recorded {
        ledger::discard(store, env, &plan.export, parts.iter().map(|p| p.part.token.as_str()));
    }
    // Also what could not be recorded, of which no more than the name is known.
    let settled = sweep::parts(plan, store)
        .and_then(|()| sweep::visible(plan, store))
        .and(recorded.map_err(RunError::from))
        .and_then(|_| Ok(env.state.end_run(&plan.run_id, phase, &told)?));
    if let Err(e) = settled {
        env.progress.warn(&plan.export, &format!("failed to clean up, which the next run does: {e}"));
    }
}

/// History has the runs too that failed before they had a plan.
pub fn record_start(spec: &ExportSpec, started: &Started, summary: &Summary, env: &Env<'_>) {
    let run = NewRun {
        run_id: summary.run_id.clone(),
        export: spec.name.clone(),
        plan_json: Value::Null,
        source: spec.source.info().name.clone(),
        destination: spec.destination_identity.clone(),
        started_at_ms: started.unix_ms,
    };
    let told = serde_json::to_value(summary).unwrap_or_default();
    if let Err(e) = env.state.record_failed_start(&run, &told) {
        env.progress.warn(&spec.name, &format!("failed to record the failure: {e}"));
    }
}
