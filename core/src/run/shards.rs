//! Several processes do a share of one sealed plan each, as one run, and another one ends it when all are done.
//! It must not know how splits are read, nor what a verdict is about.

use std::collections::BTreeSet;

use rivet_plugin_api::{Estimate, Store};

use super::env::Env;
use super::extract::Extracted;
use super::kept;
use super::resume::{self, Begun, Left};
use super::shape::HashCounts;
use super::{check_drift, warn};
use crate::error::RunError;
use crate::plan::Plan;
use crate::plan::sealed::{Portion, Shard};
use crate::resolve::ExportSpec;
use crate::state::{Checkpoint, ExportLock, Holder, RunRecord, StateError};
use crate::summary::{ShardDone, Status, Summary};

/// How often a lock is tried again that another shard has while it begins, ms.
const TRY_AGAIN_MS: u64 = 50;
/// How often where nobody says who has it.
const MAX_UNKNOWN: u32 = 40;

/// The locks of an export: this process's alone, or shared by those who do a share of one plan each.
pub struct Hold {
    holder: Holder,
    export: ExportLock,
    pub place: Option<ExportLock>,
    _shard: Option<ExportLock>,
}

impl Hold {
    /// Takes the export, for this process alone at first.
    ///
    /// # Errors
    /// `Locked`, also where another process does the same share; `Impossible` where the plan has no shares.
    pub fn take(spec: &ExportSpec, run_id: &str, env: &Env<'_>) -> Result<Self, RunError> {
        let shard = spec.shard();
        let holder = Holder::this_process(run_id, env.command).shares(shard.is_some());
        let own = shard.map(|shard| {
            can_be_shared(spec)?;
            Ok::<_, RunError>(env.state.lock_shard(&spec.name, shard.number, &holder)?)
        });
        let own = own.transpose()?;
        let export = waited(spec, env, || env.state.lock_export(&spec.name, &holder))?;
        Ok(Self { holder, export, place: None, _shard: own })
    }

    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whether other shards hold it too.
    pub fn has_sharers(&self) -> bool {
        self.export.has_sharers()
    }

    /// Lets the other shards in, once there is a run that they can join; not where the run is this process's alone.
    ///
    /// # Errors
    /// The state's.
    pub fn share(&mut self, spec: &ExportSpec, env: &Env<'_>) -> Result<(), RunError> {
        if spec.shard().is_some() {
            for lock in self.place.iter_mut().chain([&mut self.export]) {
                env.state.share_lock(lock, &spec.name, &self.holder)?;
            }
        }
        Ok(())
    }
}

/// A lock that a shard waits for while another one begins; whoever has it for longer is in the way.
///
/// # Errors
/// `Locked`, `Interrupted`; the state's.
pub fn waited(
    spec: &ExportSpec,
    env: &Env<'_>,
    take: impl Fn() -> Result<ExportLock, StateError>,
) -> Result<ExportLock, RunError> {
    let mut n_unknown = 0;
    loop {
        let error = match take() {
            Ok(lock) => return Ok(lock),
            Err(error) => error,
        };
        let soon = match &error {
            StateError::Locked { holder: Some(holder), .. } => holder.shares,
            StateError::PlaceLocked { holder: Some(holder), .. } => holder.shares,
            // It was taken, or let go, a moment ago.
            StateError::Locked { holder: None, .. } | StateError::PlaceLocked { holder: None, .. } => {
                n_unknown += 1;
                n_unknown < MAX_UNKNOWN
            }
            _ => false,
        };
        if !soon || spec.shard().is_none() {
            return Err(error.into());
        }
        if !env.clock.sleep_ms(TRY_AGAIN_MS, &|| env.cancel.is_cancelled()) {
            return Err(RunError::Interrupted);
        }
    }
}

/// Shards are read from a snapshot each: so what cannot be kept for another one cannot be shared.
fn can_be_shared(spec: &ExportSpec) -> Result<(), RunError> {
    let why =
        spec.replay.as_deref().and_then(|replay| replay.sealed.plan.why_not_kept()).or_else(|| spec.why_not_kept());
    why.map_or(Ok(()), |why| {
        Err(RunError::Impossible {
            what: format!("export '{}' cannot be applied in shards: {why}", spec.name),
            hint: "apply it without --shard, or plan it with `mode: chunked` and no rule that needs one snapshot"
                .to_owned(),
        })
    })
}

/// Whether the run that is left is of the plan that this process does a share of, or ends.
///
/// # Errors
/// `Impossible` where it is shared otherwise, or is in the way.
pub fn joins(spec: &ExportSpec, run: &RunRecord, plan: &Plan, env: &Env<'_>) -> Result<bool, RunError> {
    let (name, id, portion) = (&spec.name, &run.run_id, spec.portion());
    let ours = plan.follows.is_some() && plan.follows.as_deref() == spec.replay.as_deref().map(|r| r.sealed.id());
    if run.is_reset {
        return if portion == Portion::Verdict {
            Err(nothing_to_end(spec, "its shards were reset"))
        } else {
            Ok(false)
        };
    }
    match (portion, plan.shards) {
        (Portion::Shard(shard), Some(of)) if ours && shard.of != of => Err(RunError::Impossible {
            what: format!("export '{name}': run {id} does this plan in {of} shards, not in {}", shard.of),
            hint: format!(
                "name one of its shards, such as --shard 1/{of}, or discard it with `rivet state reset-chunks -e {name}`"
            ),
        }),
        (Portion::Shard(_), None) if ours => Err(RunError::Impossible {
            what: format!("export '{name}': run {id} of this plan was begun without --shard, and was interrupted"),
            hint: format!("go on with it without --shard, or discard it with `rivet state reset-chunks -e {name}`"),
        }),
        (Portion::Shard(_) | Portion::Verdict, Some(_)) if ours => {
            resume::planned_alike(spec, run, plan)?;
            Ok(true)
        }
        (Portion::Verdict, _) => {
            Err(nothing_to_end(spec, &format!("run {id} was interrupted and is none of its shards")))
        }
        (_, Some(of)) if !ours && !spec.fresh && resume::left_for_ms(run, env)? <= spec.resume_within_ms => {
            Err(RunError::Impossible {
                what: format!("export '{name}' is being applied in {of} shards, as run {id}"),
                hint: format!(
                    "end it with `rivet finalize PLAN`, or discard what its shards have read with `rivet run -e {name} --fresh` or \
                     `rivet state reset-chunks -e {name}`"
                ),
            })
        }
        _ => Ok(false),
    }
}

/// That other shards are at work.
pub fn in_the_way(spec: &ExportSpec) -> RunError {
    StateError::Locked { export: spec.name.clone(), holder: None, since_unix_ms: None }.into()
}

/// That there is nothing of this plan to end.
pub fn nothing_to_end(spec: &ExportSpec, why: &str) -> RunError {
    RunError::Impossible {
        what: format!("export '{}' has nothing to finalize: {why}", spec.name),
        hint: "apply every shard of the plan first: `rivet apply PLAN --shard 1/N`".to_owned(),
    }
}

/// That what a shard would read is not what the others have read.
pub fn does_not_fit(spec: &ExportSpec, changed: &[String]) -> RunError {
    RunError::Unfit {
        code: "plan.drifted",
        what: format!("export '{}': this shard does not fit the others: another {}", spec.name, changed.join(", ")),
        hint: "undo the change, or discard all shards and make a new plan".to_owned(),
    }
}

/// All that the shards have read, when all are done and their files are as they were written: nothing is left to read.
///
/// # Errors
/// `Impossible` where a shard is missing; the store's and the state's.
pub fn gather(
    spec: &ExportSpec,
    left: Left,
    store: &dyn Store,
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<Begun, RunError> {
    let Left { run, mut plan } = left;
    check_drift(spec, &plan.schema, env, summary)?;
    all_done(spec, &plan, &env.state.progress_of(&run.run_id)?.checkpoints, "")?;
    let (done, _) = kept::look(&run, &|_| true, store, env)?;
    all_done(spec, &plan, &done, ", since files of it are not there as they were written")?;
    let kept = kept::kept(&run, done, env)?;
    plan.doubt_of_several_states().iter().for_each(|told| warn(told, spec, env, summary));
    plan.validate |= spec.validate;
    summary.strategy.clone_from(&plan.strategy);
    env.progress.planned(&plan, None);
    Ok(Begun { leader: None, plan, seen: HashCounts::default(), estimate: Estimate::default(), kept })
}

fn all_done(spec: &ExportSpec, plan: &Plan, done: &[Checkpoint], why: &str) -> Result<(), RunError> {
    let of = plan.shards.unwrap_or(1);
    let left = left(of, plan.splits.len(), done);
    let Some(first) = left.first() else { return Ok(()) };
    let named: Vec<String> = left.iter().map(|number| format!("{number}/{of}")).collect();
    Err(RunError::Impossible {
        what: format!(
            "export '{}': of run {} {} not done: {}{why}",
            spec.name,
            plan.run_id,
            if left.len() == 1 { "1 shard is".to_owned() } else { format!("{} shards are", left.len()) },
            named.join(", ")
        ),
        hint: format!("do them first, then finalize: `rivet apply PLAN --shard {first}/{of}`"),
    })
}

/// The shards of which a split is not done.
fn left(of: u32, n_splits: usize, done: &[Checkpoint]) -> BTreeSet<u32> {
    let done: BTreeSet<u32> = done.iter().map(|checkpoint| checkpoint.done.split_id).collect();
    (0..).take(n_splits).filter(|split| !done.contains(split)).map(|split| split % of + 1).collect()
}

/// What a shard has done: nothing of it is visible yet.
///
/// # Errors
/// `Integrity` where rows are missing in its parts; the state's.
pub fn end(
    spec: &ExportSpec,
    (shard, plan): (Shard, &Plan),
    extracted: Extracted,
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<Status, RunError> {
    let parts = env.state.parts_of(&plan.run_id)?;
    let own = || parts.iter().filter(|part| shard.has(part.split_id)).map(|part| &part.part);
    summary.rows = own().map(|part| part.rows).sum();
    summary.bytes = own().map(|part| part.bytes).sum();
    summary.files = own().count();
    super::verdict::none_lost(extracted.tally.rows, summary.rows)?;
    extracted.restarts.iter().chain(&extracted.tally.warnings).for_each(|told| warn(told, spec, env, summary));
    summary.retries = extracted.retries;
    summary.restarts = u32::try_from(extracted.restarts.len()).unwrap_or(u32::MAX);
    summary.oldest_transaction_ms = extracted.oldest_transaction_ms;
    summary.longest_statement_ms = extracted.tally.longest_statement_ms;
    let n_splits = spec.replay.as_deref().map_or(plan.splits.len(), |replay| replay.sealed.plan.splits.len());
    let left = left(shard.of, n_splits, &env.state.progress_of(&plan.run_id)?.checkpoints);
    summary.shard = Some(ShardDone { number: shard.number, of: shard.of, left: left.into_iter().collect() });
    Ok(Status::Staged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::DoneSplit;

    #[test]
    fn every_split_is_in_one_shard_and_a_shard_without_splits_is_never_left() {
        for of in 1..9 {
            for split in 0..40 {
                let having = (1..=of).filter(|number| Shard { number: *number, of }.has(split)).count();
                assert_eq!(having, 1, "{split} of {of}");
            }
        }
        let done = |ids: &[u32]| -> Vec<Checkpoint> {
            let done = |id: &u32| DoneSplit { split_id: *id, attempt: 0, epoch: 0 };
            ids.iter().map(|id| Checkpoint { done: done(id), at_ms: None, facts: serde_json::Value::Null }).collect()
        };
        assert_eq!(left(3, 5, &done(&[0, 3, 2])), BTreeSet::from([2]));
        assert_eq!(left(3, 5, &[]), BTreeSet::from([1, 2, 3]));
        assert_eq!(left(7, 2, &done(&[1])), BTreeSet::from([1]));
        assert_eq!(left(7, 2, &done(&[0, 1])), BTreeSet::new());
    }

    #[test]
    fn a_shard_is_written_as_which_of_how_many() {
        assert_eq!("2/3".parse(), Ok(Shard { number: 2, of: 3 }));
        for text in ["0/3", "4/3", "1/0", "0/0", "", "/", "1", "1/", "-1/2", "1/2/3", "1.0/2", "1/99999999999"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
