//! What a process before this one has read of a run, and what of it is as it was written.
//! It must not know whether it may be kept, nor how the rest is read.

use std::collections::{BTreeMap, BTreeSet};

use rivet_plugin_api::{ErrorKind, Store};

use super::env::Env;
use super::ledger::{self, Kept};
use super::validate;
use crate::error::RunError;
use crate::state::{Checkpoint, RecordedPart, RunRecord};

/// Splits of this process's `own` that are done and whose parts are as they were written, and how many are not. All else that is
/// recorded of them is forgotten and discarded.
///
/// # Errors
/// The store's and the state's.
pub fn look(
    run: &RunRecord,
    own: &dyn Fn(u32) -> bool,
    store: &dyn Store,
    env: &Env<'_>,
) -> Result<(Vec<Checkpoint>, usize), RunError> {
    let mut parts: BTreeMap<(u32, u32), Vec<&RecordedPart>> = BTreeMap::new();
    for part in run.parts.iter().filter(|part| own(part.split_id)) {
        parts.entry((part.split_id, part.attempt)).or_default().push(part);
    }
    let (mut done, mut gone) = (Vec::new(), BTreeSet::new());
    let checkpoints = env.state.progress_of(&run.run_id)?.checkpoints;
    for checkpoint in checkpoints.into_iter().filter(|checkpoint| own(checkpoint.done.split_id)) {
        let of = (checkpoint.done.split_id, checkpoint.done.attempt);
        let recorded = parts.remove(&of).unwrap_or_default();
        if ledger::tally(&checkpoint)
            .is_some_and(|tally| tally.rows == recorded.iter().map(|p| p.part.rows).sum::<u64>())
            && are_there(&recorded, store, env)?
        {
            done.push(checkpoint);
        } else {
            gone.insert(of);
        }
    }
    let n_lost = gone.len();
    gone.extend(parts.into_keys());
    for (split, attempt) in gone {
        let forgotten = env.state.forget_attempt(&run.run_id, split, attempt)?;
        ledger::discard(store, env, &run.export, forgotten.iter().map(|part| part.token.as_str()));
    }
    Ok((done, n_lost))
}

/// Whether these parts are what was written. One that a store does not show before it is published is looked at then.
fn are_there(parts: &[&RecordedPart], store: &dyn Store, env: &Env<'_>) -> Result<bool, RunError> {
    for recorded in parts {
        let part = ledger::manifest_part(recorded);
        match store.open_prepared(&recorded.part.token, &env.cancel.cx()) {
            Ok(opened) if opened.len() == part.bytes => match validate::bytes_are(&part, &*opened, env) {
                Ok(()) => {}
                Err(RunError::Integrity { .. }) => return Ok(false),
                Err(error) => return Err(error),
            },
            Ok(_) => return Ok(false),
            Err(e) if e.kind() == ErrorKind::Unsupported => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Data | ErrorKind::Conflict) => {
                return Ok(false);
            }
            Err(e) => return Err(RunError::plugin("read", &part.name)(e)),
        }
    }
    Ok(true)
}

/// What need not be read of a run, of which this is done.
///
/// # Errors
/// The state's.
pub fn kept(run: &RunRecord, done: Vec<Checkpoint>, env: &Env<'_>) -> Result<Kept, RunError> {
    let progress = env.state.progress_of(&run.run_id)?;
    let mut attempts = progress.attempts;
    let recorded = run.parts.iter().map(|part| (part.split_id, part.attempt));
    for (split, attempt) in recorded.chain(run.splits.iter().map(|done| (done.split_id, done.attempt))) {
        let n = attempts.entry(split).or_default();
        *n = (*n).max(attempt + 1);
    }
    let is_kept = |part: &&RecordedPart| {
        done.binary_search_by_key(&part.split_id, |c| c.done.split_id)
            .is_ok_and(|i| done[i].done.attempt == part.attempt)
    };
    let n_parts = run.parts.iter().filter(is_kept).count();
    Ok(Kept { done, attempts, snapshots: progress.snapshots, n_parts })
}
