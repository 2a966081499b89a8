//! A run that died is gone on with: which one, what of it is kept, and by what plan the rest is read.
//! It must not know how splits are read, nor what becomes of a run whose verdict is in (`recover`).

use rivet_plugin_api::{Estimate, Store, TableSchema};

use super::env::Env;
use super::heir::Heir;
use super::kept::{kept, look};
use super::leader::Leader;
use super::ledger::{self, Kept};
use super::shape::HashCounts;
use super::shards::{self, Hold};
use super::{Planned, begin, check_drift, drift, new_run, owner, warn};
use crate::error::{FailureClass, RunError};
use crate::plan::{self, Facts, Fingerprint, Plan};
use crate::resolve::ExportSpec;
use crate::state::{ExportLock, Phase, RunRecord, State};
use crate::summary::Summary;

/// An export that is this process's to run, and as which run.
pub struct Claim {
    pub run_id: String,
    /// What the user is told of what another config has left of the export.
    pub told: Vec<String>,
    /// The run to go on with.
    pub left: Option<Left>,
    /// Nobody else runs the export as long as they live, but for other shards of its plan.
    pub hold: Hold,
    pub _before: Option<ExportLock>,
}

/// A run that died, and its plan.
pub struct Left {
    pub run: RunRecord,
    pub plan: Plan,
}

/// What is read from now on, and what need not be.
pub struct Begun {
    /// None where nothing is left to read.
    pub leader: Option<Leader>,
    pub plan: Plan,
    pub seen: HashCounts,
    pub estimate: Estimate,
    pub kept: Kept,
}

impl Begun {
    pub(super) fn anew(planned: Planned, kept: Kept) -> Self {
        let Planned { leader, plan, seen, estimate, .. } = planned;
        Self { leader: Some(leader), plan, seen, estimate, kept }
    }
}

/// Whether a run of the export died that a later one has not settled.
///
/// # Errors
/// The state's.
pub fn is_left(spec: &ExportSpec, env: &Env<'_>) -> Result<bool, RunError> {
    let kept = env.state.as_kept(&spec.name)?;
    Ok(kept.unfinished_run(&spec.name)?.is_some_and(|run| !run.is_reset))
}

/// That `--resume` finds nothing for these exports: `what` says it. Where a run of another config may be meant, it is named.
pub fn nothing_to_resume(what: String, specs: &[ExportSpec], env: &Env<'_>) -> RunError {
    let elsewhere = |spec: &ExportSpec| {
        let (config, run_id) = env.state.interrupted_elsewhere(&spec.name).ok()??;
        Some(format!("; run {run_id} of export '{}' was, under the config {config}", spec.name))
    };
    match specs.iter().find_map(elsewhere) {
        Some(other) => RunError::Impossible {
            what: what + &other,
            hint: "resume it under that config, or leave `--resume` out to run from the start".to_owned(),
        },
        None => RunError::Impossible { what, hint: "leave `--resume` out to run from the start".to_owned() },
    }
}

/// Takes the export: as the run that is gone on with, else as `fresh`.
///
/// # Errors
/// `Locked`; `Impossible` where `--resume` finds nothing, or something that does not fit; the state's.
pub fn claim(spec: &ExportSpec, fresh: &str, env: &Env<'_>) -> Result<Claim, RunError> {
    let chosen = |left: Result<(Option<String>, Option<Left>), RunError>| left.ok().and_then(|(run_id, _)| run_id);
    // For whoever finds the lock held: under the lock it may turn out otherwise.
    let foreseen = chosen(choose(spec, env)).unwrap_or_else(|| fresh.to_owned());
    let mut hold = Hold::take(spec, &foreseen, env)?;
    let mut told = Vec::new();
    let heir = Heir::find(spec, env, &mut told)?;
    let before = heir.as_ref().map(|heir| heir.kept.lock_export(&spec.name, hold.holder())).transpose()?;
    // Source and destination are known to be the same: from here on it is this config's own.
    told.extend(heir.map(|heir| heir.succeed(env)).transpose()?);
    env.faults.call("locked")?;
    let (run_id, left) = choose(spec, env)?;
    match left {
        Some(_) => hold.share(spec, env)?,
        // Of another run, which they would lose.
        None if hold.has_sharers() => return Err(shards::in_the_way(spec)),
        None => {}
    }
    Ok(Claim { run_id: run_id.unwrap_or_else(|| fresh.to_owned()), told, left, hold, _before: before })
}

/// The run that is gone on with, if there is one: its id, and what is left to read.
fn choose(spec: &ExportSpec, env: &Env<'_>) -> Result<(Option<String>, Option<Left>), RunError> {
    let name = &spec.name;
    let nothing = |why: &str| {
        let what = format!("export '{name}' has nothing to resume: {why}");
        nothing_to_resume(what, std::slice::from_ref(spec), env)
    };
    let Some(run) = env.state.unfinished_run(name)? else {
        return if spec.resume { Err(nothing("no run of it was interrupted")) } else { Ok((None, None)) };
    };
    if run.phase == Phase::Judged {
        return Ok((spec.resume.then_some(run.run_id), None));
    }
    let Ok(plan) = serde_json::from_value::<Plan>(run.plan.clone()) else { return Ok((None, None)) };
    if shards::joins(spec, &run, &plan, env)? {
        return Ok((Some(run.run_id.clone()), Some(Left { run, plan })));
    }
    match why_not_kept(spec, &run, &plan, env)? {
        None => Ok((Some(run.run_id.clone()), Some(Left { run, plan }))),
        Some(Why::Changed(parts)) if spec.resume => Err(mismatch(spec, &run, &parts)),
        Some(Why::Left(why)) if spec.resume => Err(nothing(&format!("run {} {why}", run.run_id))),
        Some(_) => Ok((None, None)),
    }
}

/// Why nothing is kept of a run that died.
pub enum Why {
    /// It was planned otherwise: what differs.
    Changed(Vec<String>),
    /// It is not gone on with, completing "run X".
    Left(String),
    /// Nothing of it could be.
    Useless(String),
}

/// Why nothing is kept of a run that died, as far as the state says; none where something is.
///
/// # Errors
/// The state's.
pub fn why_not_kept(spec: &ExportSpec, run: &RunRecord, plan: &Plan, env: &Env<'_>) -> Result<Option<Why>, RunError> {
    if run.is_reset {
        return Ok(Some(Why::Left("was reset".to_owned())));
    }
    if spec.fresh {
        return Ok(Some(Why::Useless("`--fresh`".to_owned())));
    }
    if let Some(why) = plan.why_not_kept().or_else(|| spec.why_not_kept()) {
        return Ok(Some(Why::Useless(why.to_owned())));
    }
    if plan.follows.as_deref() != spec.replay.as_deref().map(|replay| replay.sealed.id()) {
        let of = if plan.follows.is_some() { "a plan that was applied" } else { "no plan that was applied" };
        return Ok(Some(Why::Left(format!("is of {of}"))));
    }
    let now = Fingerprint::of(spec);
    let changed = plan.fingerprint.differences(&now);
    if !changed.is_empty() {
        return Ok(Some(Why::Changed(changed.into_iter().map(str::to_owned).collect())));
    }
    let left_for_ms = left_for_ms(run, env)?;
    if left_for_ms > spec.resume_within_ms {
        return Ok(Some(Why::Left(format!(
            "was left for {}, which is longer than `resume_within` ({})",
            hours(left_for_ms),
            hours(spec.resume_within_ms)
        ))));
    }
    let none_done = run.splits.is_empty();
    Ok(none_done.then(|| Why::Useless(format!("none of its {} was finished", plan.splits_word()))))
}

fn hours(ms: u64) -> String {
    format!("{}.{} h", ms / 3_600_000, ms % 3_600_000 / 360_000)
}

/// Since when a run has finished nothing more, ms. A clock that was set back is no proof that it is not long ago.
///
/// # Errors
/// The state's.
pub fn left_for_ms(run: &RunRecord, env: &Env<'_>) -> Result<u64, RunError> {
    let progress = env.state.progress_of(&run.run_id)?;
    let last_ms = progress.checkpoints.iter().filter_map(|done| done.at_ms).fold(run.started_at_ms, i64::max);
    Ok(env.clock.now_unix_ms().abs_diff(last_ms))
}

/// That the config says what it said when the run was planned.
///
/// # Errors
/// `Impossible`, naming what differs.
pub fn planned_alike(spec: &ExportSpec, run: &RunRecord, plan: &Plan) -> Result<(), RunError> {
    let now = Fingerprint::of(spec);
    let changed: Vec<String> = plan.fingerprint.differences(&now).into_iter().map(str::to_owned).collect();
    if changed.is_empty() { Ok(()) } else { Err(mismatch(spec, run, &changed)) }
}

fn mismatch(spec: &ExportSpec, run: &RunRecord, changed: &[String]) -> RunError {
    let name = &spec.name;
    RunError::Impossible {
        what: format!(
            "chunk plan fingerprint mismatch: run {} of export '{name}' was planned with another {}",
            run.run_id,
            changed.join(", ")
        ),
        hint: format!(
            "undo the change and resume, or discard what that run has read with `rivet run -e {name} --fresh` or `rivet \
             state reset-chunks -e {name}`"
        ),
    }
}

/// Goes on with a run that died: what it has finished is looked at and kept, by its plan with this process's means. Where the
/// relation is another one, all is read anew, in the same run.
///
/// # Errors
/// `Impossible` where `--resume` finds another relation; the source's, the store's and the state's, and the run can be gone on
/// with once more.
pub fn go_on(
    spec: &ExportSpec,
    left: Left,
    store: &dyn Store,
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<Begun, RunError> {
    let Left { run, plan: before } = left;
    let run_id = &run.run_id;
    let (leader, mut schema, whole) = Leader::open_for_columns(spec, run_id, env)?;
    let changed = changed(&before, &leader, &schema, &whole);
    if !changed.is_empty() {
        if spec.resume || spec.shard().is_some() {
            return Err(mismatch(spec, &run, &changed));
        }
        drop(leader);
        let told =
            format!("run {run_id} was interrupted, and all is read again: it was of another {}", changed.join(", "));
        warn(&told, spec, env, summary);
        let parts = env.state.forget_all(run_id)?;
        ledger::discard(store, env, &spec.name, parts.iter().map(|part| part.token.as_str()));
        let kept = kept(&run, Vec::new(), env)?;
        return Ok(Begun::anew(begin(spec, run_id, env, summary, State::plan_again)?, kept));
    }
    std::mem::take(&mut schema.warnings).iter().for_each(|told| warn(told, spec, env, summary));
    check_drift(spec, &before.schema, env, summary)?;
    let shard = spec.shard();
    let (done, n_lost) = look(&run, &|split| shard.is_none_or(|shard| shard.has(split)), store, env)?;
    let kept = kept(&run, done, env)?;
    let mut plan = plan_on(spec, before, &leader, env);
    if shard.is_none() {
        env.state.plan_again(&new_run(spec, &plan))?;
    }
    plan.limit_to(shard);
    // A shard that begins joins what no death has interrupted.
    if shard.is_none() || n_lost + kept.done.len() > 0 {
        tell(spec, &plan, &run, (&kept, n_lost), env, summary)?;
    }
    summary.strategy.clone_from(&plan.strategy);
    summary.splits_kept = kept.done.len();
    env.progress.planned(&plan, None);
    env.faults.pass("planned");
    Ok(Begun { leader: Some(leader), plan, seen: HashCounts::default(), estimate: Estimate::default(), kept })
}

/// What the source says otherwise than it did, in words of [`Fingerprint`].
pub(super) fn changed(before: &Plan, leader: &Leader, schema: &TableSchema, whole: &TableSchema) -> Vec<String> {
    let mut changed = Vec::new();
    if before.source.identity != leader.snapshot.server {
        changed.push("source".to_owned());
    }
    let known = before.identity.as_deref().zip(whole.identity.as_deref());
    if known.is_some_and(|(before, now)| owner::one_identity(before, now).is_none()) {
        changed.push(format!("{} (it was dropped and made again)", before.relation.label()));
    }
    let key = before.along.as_deref().filter(|_| !before.along_is.columns.is_empty());
    if let Some(key) = key.filter(|key| plan::Along::of(key, whole) != before.along_is) {
        changed.push(format!("key ({})", key.join(", ")));
    }
    if before.schema.columns != schema.columns {
        let told = drift::changes(&before.schema, schema);
        changed.push(if told.is_empty() { "columns".to_owned() } else { format!("schema ({})", told.join(", ")) });
    }
    changed
}

/// The plan of before, with the means of this process.
fn plan_on(spec: &ExportSpec, before: Plan, leader: &Leader, env: &Env<'_>) -> Plan {
    let splits: Vec<_> = before.splits.into_iter().filter_map(|planned| planned.split).collect();
    let mut filter = before.filter;
    // The state keeps no value of a variable.
    filter.condition.clone_from(&spec.condition);
    tracing::info!("{}: goes on with run {} at {}", spec.name, before.run_id, env.clock.now_unix_ms());
    plan::make(
        spec,
        Facts {
            run_id: before.run_id,
            now_ms: before.created_at_ms,
            schema: before.schema,
            identity: before.identity,
            estimate: Estimate::default(),
            server: leader.snapshot.server.clone(),
            joinable: leader.is_joinable(),
            splits,
            filter,
            increment: before.increment,
            quality: before.quality,
            along: before.along,
            along_is: before.along_is,
            window: before.window,
        },
    )
}

fn tell(
    spec: &ExportSpec,
    plan: &Plan,
    run: &RunRecord,
    (kept, n_lost): (&Kept, usize),
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<(), RunError> {
    let (n, n_kept, word) = (plan.splits.len(), kept.done.len(), plan.splits_word());
    let rows: u64 = kept.done.iter().filter_map(ledger::tally).map(|tally| tally.rows).sum();
    let lost = match n_lost {
        0 => String::new(),
        n => format!(" ({n} of them because their files are not there as they were written)"),
    };
    let (run_id, ago) = (&run.run_id, ago(left_for_ms(run, env)?));
    let what = match spec.shard() {
        Some(shard) => format!("shard {shard} of run {run_id} was begun before"),
        None => format!("run {run_id} was interrupted{ago} and goes on"),
    };
    let told = format!(
        "{what}: {n_kept} of {n} {word} with {rows} rows are kept, {} are read in another snapshot{lost}",
        n - n_kept
    );
    warn(&told, spec, env, summary);
    plan.doubt_of_several_states().iter().for_each(|told| warn(told, spec, env, summary));
    Ok(())
}

/// How long ago it is, where that is worth a word.
fn ago(ms: u64) -> String {
    match ms / 60_000 {
        0..10 => String::new(),
        minutes @ ..60 => format!(" {minutes} min ago"),
        _ => format!(" {} ago", hours(ms)),
    }
}

/// What is said where a run that failed stays, for the next one to go on with; none where nothing of it is kept.
pub fn stays(spec: &ExportSpec, plan: &Plan, error: &RunError, env: &Env<'_>) -> Option<String> {
    let later = [FailureClass::Retryable, FailureClass::Interrupted, FailureClass::LostSnapshot];
    if !later.contains(&error.class()) || plan.why_not_kept().is_some() || spec.why_not_kept().is_some() {
        return None;
    }
    let n_done = env.state.progress_of(&plan.run_id).ok()?.checkpoints.len();
    let (n, word) = (plan.splits.len(), plan.splits_word());
    (n_done > 0 && spec.resume_within_ms > 0)
        .then(|| format!("{n_done} of {n} {word} are finished and kept: the next run goes on with the rest"))
}
