//! Takes back what was published and turned out not to be what was written: the run is over and nothing of it counts.
//! It must not know how that was found.

use rivet_plugin_api::{CancelToken, ErrorKind, Store};
use serde_json::Value;

use super::env::Env;
use super::finish::{Judged, read_to_end};
use super::{ledger, sweep};
use crate::error::RunError;
use crate::manifest::{Success, pointer_names};
use crate::state::Phase;

/// Removes the pointers (where they are this run's), the manifest and the parts, and only then ends the run as rejected:
/// a death in between leaves a judged run, which the next one finds damaged again and withdraws again.
///
/// What vouches for the parts goes first. The parts are removed as far as they can be: without a manifest they count for
/// nothing.
///
/// # Errors
/// The store's error, with the run still judged.
pub fn withdraw(judged: &Judged<'_>, store: &dyn Store, env: &Env<'_>, told: &Value) -> Result<(), RunError> {
    let Judged { plan, manifest, .. } = judged;
    let uncancelled = CancelToken::new();
    let cx = uncancelled.cx();
    let remove = |name: &str| store.delete(name, &cx).map_err(RunError::plugin("withdraw", name));
    for name in pointer_names(&manifest.export) {
        let ours = match store.open(&name, &cx) {
            Ok(reader) => {
                let body = read_to_end(&name, &*reader)?;
                serde_json::from_slice::<Success>(&body).is_ok_and(|s| s.run_id == manifest.run_id)
            }
            // One that may not be read is somebody else's, and one run with `--force` passed over it before.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Auth | ErrorKind::Unsupported) => false,
            Err(e) => return Err(RunError::plugin("withdraw", name)(e)),
        };
        if ours {
            remove(&name)?;
        }
    }
    remove(judged.manifest_name)?;
    for part in &manifest.parts {
        if let Err(e) = remove(&part.name) {
            env.progress.warn(&manifest.export, &format!("a damaged run left a part behind: {e}"));
        }
    }
    ledger::discard(store, env, &manifest.export, judged.tokens.iter().map(String::as_str));
    sweep::all(plan, store, env);
    Ok(env.state.end_run(&manifest.run_id, Phase::Rejected, told)?)
}
