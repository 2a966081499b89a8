//! Removes what a run that is over left in its destination and nobody can see: names say whose it is.
//! It must not know why the run is over.

use rivet_plugin_api::{CancelToken, Store};

use super::env::Env;
use crate::error::RunError;
use crate::manifest::SUCCESS_NAME;
use crate::plan::Plan;

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
