//! Where an export writes to, and that one run at a time does: by a lock beside the state, and by one of the store's own.
//! It must not know what is written, nor how a store locks.

use rivet_plugin_api::{ErrorKind, Store};

use super::env::Env;
use super::shards;
use crate::error::RunError;
use crate::resolve::ExportSpec;
use crate::state::{ExportLock, Holder};

/// How often a place is tried again that another process has locked, ms.
const TRY_AGAIN_MS: u64 = 50;
/// After how long the user is told, ms.
const TOLD_AFTER_MS: u64 = 5_000;

/// Keeps runs of other configs out that share this state and write an export of this name to this place; none where they
/// cannot meet. A pipe is another one in each process. A shard that `joins` a run finds the place held by the others.
///
/// # Errors
/// `PlaceLocked`.
pub fn reserve(spec: &ExportSpec, run_id: &str, joins: bool, env: &Env<'_>) -> Result<Option<ExportLock>, RunError> {
    let place = &spec.destination_identity;
    if !spec.store_capabilities().retractable || place.contains("{run_id}") {
        return Ok(None);
    }
    let config = env.state.config().filter(|config| !config.is_empty());
    let command = config.map_or_else(|| env.command.to_owned(), |config| format!("{} of {config}", env.command));
    let holder = Holder::this_process(run_id, &command).shares(joins && spec.shard().is_some());
    shards::waited(spec, env, || env.state.lock_place(&spec.name, place, &holder)).map(Some)
}

/// Waits until nobody else, with whatever state, compares, publishes or removes in this place; none where the store has no
/// locks.
///
/// # Errors
/// `Interrupted`; the store's.
pub fn alone(spec: &ExportSpec, store: &dyn Store, env: &Env<'_>) -> Result<Option<Box<dyn Send + Sync>>, RunError> {
    for n_tries in 0_u64.. {
        match store.lock(&env.cancel.cx()) {
            Ok(held) => return Ok(Some(held)),
            Err(e) if e.kind() == ErrorKind::Unsupported => return Ok(None),
            Err(e) if e.kind() == ErrorKind::Conflict => {}
            Err(e) => return Err(RunError::plugin("lock", spec.destination_identity.clone())(e)),
        }
        if n_tries * TRY_AGAIN_MS == TOLD_AFTER_MS {
            env.progress.warn(&spec.name, "another run is publishing into this destination: waiting for it to end");
        }
        if !env.clock.sleep_ms(TRY_AGAIN_MS, &|| env.cancel.is_cancelled()) {
            break;
        }
    }
    Err(RunError::Interrupted)
}
