//! A run without its effects: everything up to the plan, and a probe of the destination.
//! It must not write: no lock, no row of the state, no part. Nor does it scan what it is not told to.

use std::fs::File;

use rivet_plugin_api::{Estimate, Explained, Health};
use serde_json::Value;

use super::env::Env;
use super::foresee::Foreseen;
use super::heir::Heir;
use super::{Planned, doubts, new_run_id, planned, pointer, replay};
use crate::error::RunError;
use crate::paths;
use crate::plan::Plan;
use crate::plan::sealed::Sealed;
use crate::resolve::{ExportSpec, Look};
use crate::state::StateError;
use crate::summary::Summary;

/// What a run would do.
#[derive(Debug)]
pub struct Rehearsal {
    /// The plan that it would follow.
    pub plan: Plan,
    /// What is kept of the plan where it is followed later.
    pub sealed: Sealed,
    /// The statement that reads its rows, without values of variables; none where the source shows none.
    pub statement: Option<String>,
    /// What the source's statistics say of the rows that it would read.
    pub estimate: Estimate,
    /// How the source would find them.
    pub explained: Explained,
    /// What else was found out, and how.
    pub foreseen: Foreseen,
    /// Whether all of it would be read under one snapshot.
    pub holds_snapshot: bool,
    /// The server.
    pub health: Health,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Plans an export, and touches nothing but the source. `probe` allows questions that only a scan answers.
///
/// # Errors
/// What a run would meet up to its plan; without `probe` what no index shows is not met.
pub fn plan(spec: &ExportSpec, probe: bool, env: &Env<'_>) -> Result<Rehearsal, RunError> {
    let (run_id, mut told) = (new_run_id(env), Vec::new());
    files_are_there(spec, &run_id)?;
    let heir = Heir::find(spec, env, &mut told)?;
    let env = &knowing(heir.as_ref(), env);
    let spec = &spec.looked_at(if probe { Look::Probe } else { Look::ByIndex });
    let mut summary = Summary::new(spec, &run_id, env.clock.now_unix_ms());
    let planned = planned(spec, &run_id, env, &mut summary)?;
    let Planned { mut leader, plan, estimate, explained, foreseen, identity, .. } = planned;
    let sealed = Sealed::of(spec, replay::as_written(spec, &plan), estimate.clone(), identity);
    let statement = explained.statement.as_deref().and_then(|text| replay::statement(spec, text));
    let cx = env.cancel.cx();
    let health = leader.session.health(&cx).map_err(RunError::plugin("ask for the state of", "the server"))?;
    let holds_snapshot = leader.snapshot.identity.is_some();
    // What was asked is answered; how the session ends changes nothing.
    let _ = leader.session.end(&cx);
    let mut warnings = summary.warnings;
    warnings.extend(told);
    warnings.extend(doubts::of_few_rows(spec, &plan, &estimate, leader.is_joinable()));
    warnings.extend(in_the_way(spec, env)?);
    Ok(Rehearsal { plan, sealed, statement, estimate, explained, foreseen, holds_snapshot, health, warnings })
}

/// As [`plan`], and proves that the destination can be written.
///
/// # Errors
/// What a run would meet up to its first part.
pub fn rehearse(spec: &ExportSpec, probe: bool, env: &Env<'_>) -> Result<Rehearsal, RunError> {
    let mut rehearsal = plan(spec, probe, env)?;
    let heir = Heir::find(spec, env, &mut Vec::new())?;
    let env = &knowing(heir.as_ref(), env);
    let cx = env.cancel.cx();
    let store = spec.open_store(&rehearsal.plan.run_id, &cx)?;
    store.probe(&cx).map_err(RunError::plugin("write to the destination", spec.destination_identity.clone()))?;
    rehearsal.warnings.extend(pointer::check(spec, &*store, env)?);
    Ok(rehearsal)
}

/// The files that the destination reads, such as one of credentials, can be read: it is not opened here, and a run would
/// find it out.
fn files_are_there(spec: &ExportSpec, run_id: &str) -> Result<(), RunError> {
    let options = Value::Object(spec.place(Some(run_id)));
    for path in paths::read(options, &spec.destination.info().options_schema) {
        // A pipe would be waited for.
        let looked = std::fs::metadata(&path).and_then(|found| found.is_file().then(|| File::open(&path)).transpose());
        looked.map_err(|e| RunError::Impossible {
            what: format!("the destination of export '{}' needs the file '{}': {e}", spec.name, path.display()),
            hint:
                "check its path: a relative one starts at the config's folder; and let the user that runs rivet read it"
                    .to_owned(),
        })?;
    }
    Ok(())
}

/// The world with what another config has left in it.
fn knowing<'e>(heir: Option<&'e Heir>, env: &Env<'e>) -> Env<'e> {
    Env { state: heir.map_or(env.state, |heir| &heir.kept), ..*env }
}

/// Other runs of the export that the next one would meet.
fn in_the_way(spec: &ExportSpec, env: &Env<'_>) -> Result<Vec<String>, RunError> {
    let mut found = Vec::new();
    if env.state.path().as_os_str().is_empty() {
        return Ok(found);
    }
    if let Some(held) = env.state.lock_holder(&spec.name)? {
        let (holder, since_unix_ms) = (held.holder, held.since_unix_ms);
        found.push(StateError::Locked { export: spec.name.clone(), holder, since_unix_ms }.to_string());
    } else if let Some(run) = env.state.unfinished_run(&spec.name)? {
        found.push(format!("run {} did not end: the next run settles it first", run.run_id));
    }
    Ok(found)
}
