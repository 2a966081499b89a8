//! What the last run of an export left behind when it died and is not gone on with (`resume`): finished if its verdict was in,
//! discarded if not. It must not know why it died.

use rivet_plugin_api::{ObjectFacts, Store};
use serde_json::json;

use super::env::Env;
use super::finish::{self, Judged};
use super::resume::{self, Why};
use super::{failure, ledger, place, sweep, warn, word};
use crate::error::RunError;
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::resolve::ExportSpec;
use crate::secrets::hidden;
use crate::state::{Phase, RunRecord};
use crate::summary::{Status, Summary};

/// A run that is complete now.
pub struct Completed {
    run_id: String,
    plan: Plan,
    manifest: Manifest,
    published: Vec<ObjectFacts>,
}

impl Completed {
    /// Whether it is what `spec` is to follow a sealed plan for.
    pub fn follows(&self, spec: &ExportSpec) -> bool {
        let followed = spec.replay.as_deref().map(|replay| replay.sealed.id());
        followed.is_some() && self.plan.follows.as_deref() == followed
    }

    /// Tells of it as of a run that this process has made.
    pub fn tell(self, spec: &ExportSpec, summary: &mut Summary) -> Status {
        let Self { run_id, plan, manifest, published } = self;
        let objects = spec.store_capabilities().objects && !published.is_empty();
        summary.run_id = run_id;
        summary.strategy.clone_from(&plan.strategy);
        summary.manifest = objects.then(|| plan.manifest_name());
        summary.validated = plan.validate;
        summary.quality.clone_from(&manifest.quality);
        (summary.rows, summary.bytes, summary.files) = (manifest.rows, manifest.bytes, published.len());
        summary.consistency = word(&manifest.consistency);
        summary.locations = published.iter().map(|facts| hidden(&facts.location, &spec.secrets).into_owned()).collect();
        if published.is_empty() && plan.skip_empty { Status::Skipped } else { Status::Success }
    }
}

/// Settles the export's unfinished run, if there is one, and returns it if it is complete now. The export's lock is held.
///
/// # Errors
/// The store's error, or `Interrupted`; the run then stays as it is.
pub fn settle(spec: &ExportSpec, env: &Env<'_>, summary: &mut Summary) -> Result<Option<Completed>, RunError> {
    let mut completed = None;
    loop {
        env.cancel.cx().check().map_err(RunError::plugin("settle the last run of", spec.name.clone()))?;
        let Some(run) = env.state.unfinished_run(&spec.name)? else { return Ok(completed) };
        let plan: Option<Plan> = serde_json::from_value(run.plan.clone()).ok();
        // Its own place: a path may have the run and the day in it.
        let there = plan.as_ref().filter(|plan| !plan.date.is_empty()).map(|plan| spec.on(&plan.date));
        let there = there.as_ref().unwrap_or(spec);
        let here = plan.as_ref().is_some_and(|p| p.destination.identity == there.destination_identity);
        let elsewhere = here && there.destination_identity != spec.destination_identity;
        let _place = if elsewhere { place::reserve(there, &run.run_id, false, env)? } else { None };
        let store = if here { Some(there.open_store(&run.run_id, &env.cancel.cx())?) } else { None };
        let told = match (run.phase, plan, &store) {
            (Phase::Judged, Some(plan), Some(store)) => {
                let (told, run) = complete(there, plan, &run, &**store, env)?;
                completed = run;
                told
            }
            (_, Some(plan), Some(store)) => {
                let why = resume::why_not_kept(spec, &run, &plan, env)?;
                abandon(&plan, &run, why, &**store, env)?
            }
            _ => {
                // Its parts are somewhere this config does not lead to; they are invisible there.
                env.state.end_run(&run.run_id, Phase::Abandoned, &json!({}))?;
                format!("run {} was interrupted and wrote to another destination: left as it is", run.run_id)
            }
        };
        warn(&told, spec, env, summary);
    }
}

/// Publishes what the verdict was about, unless that is lost or is not what was written: then all of it is withdrawn,
/// and the rows come with the next run. Returns what became of it.
fn complete(
    spec: &ExportSpec,
    mut plan: Plan,
    run: &RunRecord,
    store: &dyn Store,
    env: &Env<'_>,
) -> Result<(String, Option<Completed>), RunError> {
    let manifest: Manifest = serde_json::from_value(run.verdict.clone())
        .map_err(|e| RunError::Internal(format!("the verdict of run {} cannot be read: {e}", run.run_id)))?;
    plan.validate |= spec.validate;
    let tokens: Vec<String> = run.parts.iter().map(|p| p.part.token.clone()).collect();
    let published: Vec<bool> = run.parts.iter().map(|p| p.published).collect();
    let name = plan.manifest_name();
    let judged = Judged {
        plan: &plan,
        manifest: &manifest,
        manifest_name: &name,
        tokens: &tokens,
        left: true,
        begun: true,
        published: &published,
    };
    let rejected = |e: &RunError| json!({ "recovered": true, "validated": false, "error": failure(e, spec) });
    let published = match finish::deliver(spec, &judged, store, env, &rejected) {
        Ok(published) => published,
        // What was not withdrawn is still to be settled: somebody has to look at it first.
        Err(error @ RunError::Integrity { .. }) if is_rejected(&run.run_id, env)? => {
            let told = format!(
                "run {} was interrupted after its verdict and cannot be completed: {error}; it was withdrawn and moved \
                 no cursor",
                run.run_id
            );
            return Ok((told, None));
        }
        Err(error) => return Err(error),
    };
    let schema = serde_json::to_value(&plan.schema).map_err(|e| RunError::Internal(e.to_string()))?;
    let (told, cursor) = (json!({ "recovered": true, "validated": plan.validate }), plan.cursor_update());
    env.state.finish_run_with_cursor(&run.run_id, "success", &schema, &told, cursor.as_ref())?;
    sweep::all(&plan, store, env);
    if spec.store_capabilities().objects {
        sweep::beside(&manifest, &plan, store, env);
    }
    let told = format!("run {} was interrupted after its verdict and is now complete", run.run_id);
    Ok((told, Some(Completed { run_id: run.run_id.clone(), plan, manifest, published })))
}

fn is_rejected(run_id: &str, env: &Env<'_>) -> Result<bool, RunError> {
    Ok(env.state.run(run_id)?.is_some_and(|run| run.phase == Phase::Rejected))
}

fn abandon(
    plan: &Plan,
    run: &RunRecord,
    why: Option<Why>,
    store: &dyn Store,
    env: &Env<'_>,
) -> Result<String, RunError> {
    ledger::discard(store, env, &run.export, run.parts.iter().map(|p| p.part.token.as_str()));
    // What was begun and never recorded is known by its name alone.
    sweep::abandoned(plan, store, env);
    env.state.end_run(&run.run_id, Phase::Abandoned, &json!({}))?;
    let why = match why {
        Some(Why::Changed(parts)) => format!(", since it was planned with another {}", parts.join(", ")),
        Some(Why::Left(why)) => format!(", since it {why}"),
        Some(Why::Useless(why)) => format!(": {why}"),
        None => String::new(),
    };
    Ok(format!("run {} was interrupted: its unpublished parts are discarded{why}", run.run_id))
}
