//! Takes back what was published and turned out not to be what was written: the run is over and nothing of it counts.
//! It must not know how that was found.

use rivet_plugin_api::{CancelToken, Store};
use serde_json::Value;

use super::env::Env;
use super::finish::{self, Judged};
use crate::error::RunError;
use crate::manifest::{SUCCESS_NAME, Success};
use crate::state::Phase;

/// Removes `_SUCCESS` (where it is this run's), the manifest and the parts, and ends the run as rejected.
///
/// What vouches for the parts goes before the run is over, so that a death in between is a judged run that the next one
/// finds damaged again. The parts go last, best effort: without a manifest they count for nothing.
///
/// # Errors
/// The store's error, with the run still judged.
pub fn withdraw(judged: &Judged<'_>, store: &dyn Store, env: &Env<'_>, told: &Value) -> Result<(), RunError> {
    let uncancelled = CancelToken::new();
    let cx = uncancelled.cx();
    let remove = |name: &str| store.delete(name, &cx).map_err(RunError::plugin("withdraw", name));
    let success = store.head(SUCCESS_NAME, &cx).map_err(RunError::plugin("withdraw", SUCCESS_NAME))?;
    if success.is_some() {
        let body = finish::read_whole(SUCCESS_NAME, store, env)?;
        let ours = serde_json::from_slice::<Success>(&body).is_ok_and(|s| s.run_id == judged.manifest.run_id);
        if ours {
            remove(SUCCESS_NAME)?;
        }
    }
    remove(judged.manifest_name)?;
    env.state.end_run(&judged.manifest.run_id, Phase::Rejected, told)?;
    for part in &judged.manifest.parts {
        if let Err(e) = remove(&part.name) {
            env.progress.warn(&judged.manifest.export, &format!("a damaged run left a part behind: {e}"));
        }
    }
    Ok(())
}
