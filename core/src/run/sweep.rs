//! Removes what a run that is over left in its destination and nobody can see: names say whose it is.
//! It must not know why the run is over.

use std::collections::HashSet;

use rivet_plugin_api::{CancelToken, Store};

use super::env::Env;
use crate::error::RunError;
use crate::manifest::{Manifest, SUCCESS_NAME};
use crate::plan::Plan;
use crate::resolve::ExportSpec;

/// How long it is looked for what came late, ms.
const LATE_MS: i64 = 24 * 60 * 60 * 1000;
/// Runs whose late objects are looked for, the last ones.
const MAX_LATE: usize = 16;

/// Removes parts that were begun or prepared and are not published. Nobody else's parts have the run in their names.
///
/// # Errors
/// The store's.
pub fn parts(plan: &Plan, store: &dyn Store) -> Result<(), RunError> {
    prefix(&plan.part_prefix(), store)
}

/// What of a run can be seen before its verdict: where parts are uploaded under their own names, those of a process that
/// died. Nothing where there is a manifest: then the run is complete, and the state is older than it.
///
/// # Errors
/// The store's.
pub fn visible(plan: &Plan, store: &dyn Store) -> Result<(), RunError> {
    let uncancelled = CancelToken::new();
    let cx = uncancelled.cx();
    let (prefix, manifest) = (plan.part_prefix(), plan.manifest_name());
    let found = store.list(&prefix, &cx).map_err(RunError::plugin("clean up", &prefix))?;
    if found.is_empty() || store.head(&manifest, &cx).map_err(RunError::plugin("clean up", &manifest))?.is_some() {
        return Ok(());
    }
    found.iter().try_for_each(|part| store.delete(&part.name, &cx).map_err(RunError::plugin("clean up", &part.name)))
}

/// As [`all`], of a run without a verdict.
pub fn abandoned(plan: &Plan, store: &dyn Store, env: &Env<'_>) {
    if let Err(e) = visible(plan, store) {
        env.progress.warn(&plan.export, &format!("failed to remove what run {} left behind: {e}", plan.run_id));
    }
    all(plan, store, env);
}

/// What a finished run has left beside the parts that its manifest names: of attempts that failed, and of processes that died.
/// Best effort.
pub fn beside(manifest: &Manifest, plan: &Plan, store: &dyn Store, env: &Env<'_>) {
    if let Err(e) = parts(plan, store).and_then(|()| unlisted(manifest, plan, store)) {
        env.progress.warn(&plan.export, &format!("failed to remove what failed attempts left behind: {e}"));
    }
}

/// Parts of this very run that its manifest does not name: uploaded under their own names right before a process died.
fn unlisted(manifest: &Manifest, plan: &Plan, store: &dyn Store) -> Result<(), RunError> {
    let uncancelled = CancelToken::new();
    let (cx, prefix) = (uncancelled.cx(), plan.part_prefix());
    let listed: HashSet<&str> = manifest.parts.iter().map(|part| part.name.as_str()).collect();
    let found = store.list(&prefix, &cx).map_err(RunError::plugin("clean up", &prefix))?;
    let mut unlisted = found.iter().filter(|part| !listed.contains(part.name.as_str()));
    unlisted.try_for_each(|part| store.delete(&part.name, &cx).map_err(RunError::plugin("clean up", &part.name)))
}

/// What came to its end after its run was given up, as an upload does that was held up on its way. Looked for by the runs of
/// the day after, in their own place; best effort.
pub fn late(spec: &ExportSpec, store: &dyn Store, env: &Env<'_>) {
    let place = &spec.destination_identity;
    if place.contains("{run_id}") {
        return;
    }
    let since_ms = env.clock.now_unix_ms() - LATE_MS;
    let swept = env.state.given_up_since(&spec.name, since_ms, MAX_LATE).map_err(RunError::from).and_then(|plans| {
        for (plan, is_complete) in plans {
            let Ok(plan) = serde_json::from_value::<Plan>(plan) else { continue };
            if plan.destination.identity != *place {
                continue;
            }
            if !is_complete {
                visible(&plan, store)?;
            }
            parts(&plan, store)?;
        }
        Ok(())
    });
    if let Err(e) = swept {
        env.progress.warn(&spec.name, &format!("failed to look for what runs that were given up left behind: {e}"));
    }
}

/// As [`parts`], and what was on its way to the manifest and the pointers; best effort.
pub fn all(plan: &Plan, store: &dyn Store, env: &Env<'_>) {
    let objects = [plan.manifest_name(), SUCCESS_NAME.to_owned()];
    let swept = parts(plan, store).and_then(|()| objects.iter().try_for_each(|name| prefix(name, store)));
    if let Err(e) = swept {
        env.progress.warn(&plan.export, &format!("failed to remove what run {} left behind: {e}", plan.run_id));
    }
}

/// Whatever has been cancelled: it ends soon, and nobody comes back for it.
fn prefix(prefix: &str, store: &dyn Store) -> Result<(), RunError> {
    store.sweep(prefix, &CancelToken::new().cx()).map(drop).map_err(RunError::plugin("clean up", prefix))
}
