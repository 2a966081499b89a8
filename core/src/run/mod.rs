//! The one run path: the order of its steps and nothing else.
//! It must not know modes (they differ in the plan's splits), engines or terminals.

pub mod audit;
mod blocked;
mod chain;
mod channel;
mod cut;
mod doubts;
mod drift;
mod earlier;
mod encode;
mod env;
mod extract;
mod failed;
pub mod fault;
mod finish;
pub mod foresee;
mod governor;
mod guard;
mod heir;
mod increment;
mod journal;
mod kept;
pub mod key_order;
mod leader;
mod ledger;
pub mod listing;
mod many;
mod owner;
mod pace;
mod partition;
mod pass;
mod pipeline;
mod place;
mod pointer;
pub mod progress;
mod prune;
mod read;
pub mod rebuild;
mod recover;
pub mod rehearse;
mod replay;
mod resume;
mod shape;
mod shards;
mod share;
mod silence;
pub mod survey;
mod sweep;
pub mod timeline;
mod upload;
mod validate;
mod verdict;
mod window;
mod withdraw;

use rivet_plugin_api::{Estimate, Explained, Health, Store, TableSchema};

pub use env::Env;
pub use resume::{is_left, nothing_to_resume};

use self::ledger::Kept;
use self::resume::{Begun, Claim};
use self::shape::{HashCounts, Seen};
use crate::clock::{format_rfc3339, format_stamp};
use crate::config::DriftPolicy;
use crate::error::RunError;
use crate::manifest::Manifest;
use crate::memory::peak_rss_bytes;
use crate::plan::sealed::Portion;
use crate::plan::{self, Facts, Plan};
use crate::preflight::{self, Verdict};
use crate::resolve::ExportSpec;
use crate::secrets::hidden;
use crate::state::{NewRun, State, StateError};
use crate::summary::{Failure, Status, Summary};

/// Runs one export to its end, whatever that is.
pub fn run(spec: &ExportSpec, env: &Env<'_>) -> Summary {
    let fresh = new_run_id(env);
    let claimed = resume::claim(spec, &fresh, env);
    let run_id = claimed.as_ref().map_or(&fresh, |claim| &claim.run_id).clone();
    let journal = journal::Journal::new(&run_id, &spec.name, env, &spec.secrets);
    let env = &Env { progress: &journal, ..*env };
    let started = Started { monotonic_ms: env.clock.monotonic_ms(), unix_ms: env.clock.now_unix_ms() };
    let mut summary = Summary::new(spec, &run_id, started.unix_ms);
    env.progress.started(&run_id, &spec.name);
    let ended = claimed.and_then(|claim| steps(spec, claim, env, &started, &mut summary));
    measure(&mut summary, &started, env);
    let waited = journal.all_waited();
    (summary.lock_wait_ms, summary.blockers) = (waited.ms, waited.blockers);
    match ended {
        Ok(status) => summary.status = status,
        Err(error) => {
            summary.status = Status::Failed;
            summary.error = Some(failure(&error, spec));
            summary.retries = journal.n_retries();
            if !matches!(error, RunError::State(_)) {
                failed::record_start(spec, &started, &summary, env);
            }
        }
    }
    env.progress.finished(&summary);
    env.progress.ended(&spec.name);
    summary
}

/// When a run began.
struct Started {
    monotonic_ms: u64,
    unix_ms: i64,
}

/// Time and memory up to now.
fn measure(summary: &mut Summary, started: &Started, env: &Env<'_>) {
    summary.duration_ms = env.clock.monotonic_ms().saturating_sub(started.monotonic_ms);
    summary.rows_per_second = summary.rows * 1000 / summary.duration_ms.max(1);
    summary.peak_rss_bytes = peak_rss_bytes();
    summary.ended_at = Some(format_rfc3339(env.clock.now_unix_ms()));
}

fn failure(error: &RunError, spec: &ExportSpec) -> Failure {
    let text = |text: &str| hidden(text, &spec.secrets).into_owned();
    Failure {
        code: text(&error.code()),
        message: text(&error.to_string()),
        hint: error.hint().map(|hint| text(&hint)),
        class: error.class(),
    }
}

/// Says a warning, and keeps it for the end. One that was said before, such as by an earlier plan, is not said again.
fn warn(text: &str, spec: &ExportSpec, env: &Env<'_>, summary: &mut Summary) {
    let n_before = summary.warnings.len();
    keep_warning(text, spec, summary);
    if summary.warnings.len() > n_before {
        env.progress.warn(&spec.name, text);
    }
}

/// The only way into the summary's warnings: manifest and state have them too, and neither keeps a secret.
fn keep_warning(text: &str, spec: &ExportSpec, summary: &mut Summary) {
    let text = hidden(text, &spec.secrets);
    if !summary.warnings.iter().any(|said| *said == text) {
        summary.warnings.push(text.into_owned());
    }
}

fn steps(
    spec: &ExportSpec,
    claim: Claim,
    env: &Env<'_>,
    started: &Started,
    summary: &mut Summary,
) -> Result<Status, RunError> {
    let Claim { run_id, told, left, mut hold, _before } = claim;
    env.faults.pass("locked");
    // A run that is gone on with writes to where it began.
    let there = left.as_ref().map(|left| spec.on(&left.plan.date));
    let spec = there.as_ref().unwrap_or(spec);
    hold.place = place::reserve(spec, &run_id, left.is_some(), env)?;
    if left.is_some() {
        hold.share(spec, env)?;
    }
    let store = spec.open_store(&run_id, &env.cancel.cx())?;
    told.iter().for_each(|told| warn(told, spec, env, summary));
    pointer::check(spec, &*store, env)?.iter().for_each(|told| warn(told, spec, env, summary));
    if left.is_none() {
        let completed = recover::settle(spec, env, summary)?;
        if let Some(completed) = completed.filter(|run| spec.resume || run.follows(spec)) {
            return Ok(completed.tell(spec, summary));
        }
        replay::must_be_new(spec, env)?;
        if spec.portion() == Portion::Verdict {
            return Err(shards::nothing_to_end(spec, "no shard of this plan was applied"));
        }
    }
    let (limited, taken) = share::take(spec, env, summary)?;
    let spec = &limited;
    let was_left = left.is_some();
    let Begun { leader, mut plan, seen, estimate, kept } = match left {
        Some(left) if spec.portion() == Portion::Verdict => shards::gather(spec, left, &*store, env, summary)?,
        Some(left) => resume::go_on(spec, left, &*store, env, summary)?,
        None => Begun::anew(begin(spec, &run_id, env, summary, State::begin_run)?, Kept::default()),
    };
    hold.share(spec, env)?;
    let extracted = extract::extract(&mut plan, (leader, Seen::new(seen), kept), spec, &*store, env, summary);
    drop(taken);
    if let Some(shard) = spec.shard() {
        let ended = extracted.and_then(|e| shards::end(spec, (shard, &plan), e, env, summary));
        return ended.inspect_err(|error| failed::settle(spec, &plan, error, &*store, env, started, summary));
    }
    let judged = extracted.and_then(|e| verdict::judge(spec, &plan, (e, &estimate), env, summary));
    let (manifest, tokens) = match judged {
        Ok(judged) => judged,
        Err(error) => {
            failed::settle(spec, &plan, &error, &*store, env, started, summary);
            return Err(error);
        }
    };
    finish(spec, &plan, (&manifest, &tokens, was_left), &*store, env, started, summary)
}

/// Makes a plan and puts it on record, before anything is read by it.
fn begin(
    spec: &ExportSpec,
    run_id: &str,
    env: &Env<'_>,
    summary: &mut Summary,
    record: impl Fn(&State, &NewRun) -> Result<(), StateError>,
) -> Result<Planned, RunError> {
    let mut planned = planned(spec, run_id, env, summary)?;
    env.faults.call("planned")?;
    record(env.state, &new_run(spec, &planned.plan))?;
    planned.plan.limit_to(spec.shard());
    summary.strategy.clone_from(&planned.plan.strategy);
    summary.verdict = verdict(spec, &planned);
    env.progress.planned(&planned.plan, planned.estimate.rows);
    if let Some(told) = plan::batch_sizing(spec, &planned.plan, &planned.estimate) {
        tracing::info!("{}: {told}", spec.name);
    }
    env.faults.pass("planned");
    Ok(planned)
}

/// How hard it is on the source; the first run of an incremental export, which reads everything, tells nothing of the others.
fn verdict(spec: &ExportSpec, planned: &Planned) -> Option<Verdict> {
    if planned.plan.increment.as_ref().is_some_and(|increment| increment.lower.is_none()) {
        return None;
    }
    let facts = preflight::Facts {
        relation: &spec.relation,
        schema: &planned.plan.schema,
        has_condition: spec.condition.is_some(),
        whole: &planned.foreseen.whole,
        explained: &planned.explained,
        health: &Health::default(),
        mode: &spec.mode(),
        tuning: &spec.tuning,
        n_workers: planned.plan.n_workers,
        key_is_indexed: None,
    };
    preflight::judge(facts).verdict
}

/// A plan, and what it was made from.
struct Planned {
    leader: leader::Leader,
    plan: Plan,
    estimate: Estimate,
    explained: Explained,
    foreseen: foresee::Foreseen,
    /// Which relation it is to the engine.
    identity: Option<String>,
    /// Rows that were exported before.
    seen: HashCounts,
}

/// The plan of a run, made under the snapshot that the leader holds.
fn planned(spec: &ExportSpec, run_id: &str, env: &Env<'_>, summary: &mut Summary) -> Result<Planned, RunError> {
    let (leader, described) = leader::Leader::open_and_describe(spec, run_id, env)?;
    check_drift(spec, &described.schema, env, summary)?;
    for warning in &described.warnings {
        warn(warning, spec, env, summary);
    }
    let estimate = described.estimate.clone();
    let plan = plan::make(
        spec,
        Facts {
            run_id: run_id.to_owned(),
            now_ms: env.clock.now_unix_ms(),
            schema: described.schema,
            identity: described.identity.clone(),
            estimate: described.estimate,
            server: leader.snapshot.server.clone(),
            joinable: leader.is_joinable(),
            splits: described.splits,
            filter: described.filter,
            increment: described.increment,
            quality: described.quality,
            along: described.along,
            along_is: described.along_is,
            window: described.window,
        },
    );
    for told in replay::check(spec, &plan, described.identity.as_deref())? {
        warn(&told, spec, env, summary);
    }
    if let Some(told) = doubts::of_workers(spec, &plan, &estimate, leader.is_joinable()) {
        warn(&told, spec, env, summary);
    }
    let leader::Description { explained, foreseen, seen, identity, .. } = described;
    Ok(Planned { leader, plan, estimate, explained, foreseen, identity, seen })
}

fn finish(
    spec: &ExportSpec,
    plan: &Plan,
    (manifest, tokens, resumed): (&Manifest, &[String], bool),
    store: &dyn Store,
    env: &Env<'_>,
    started: &Started,
    summary: &mut Summary,
) -> Result<Status, RunError> {
    let manifest_name = plan.manifest_name();
    let judged = finish::Judged {
        plan,
        manifest,
        manifest_name: &manifest_name,
        tokens,
        left: resumed,
        begun: false,
        published: &[],
    };
    let rejected = |error: &RunError| {
        let mut told = summary.clone();
        measure(&mut told, started, env);
        told.error = Some(failure(error, spec));
        serde_json::to_value(told).unwrap_or_default()
    };
    let published = finish::deliver(spec, &judged, store, env, &rejected);
    if published.as_ref().is_err_and(|error| !finish::is_withdrawn(error)) {
        let told = "the run passed its verdict and may be published in part: the next run completes it";
        env.progress.warn(&plan.export, told);
    }
    let published = published?;
    let status = if published.is_empty() && plan.skip_empty { Status::Skipped } else { Status::Success };
    summary.manifest = (spec.store_capabilities().objects && !published.is_empty()).then_some(manifest_name);
    summary.validated = plan.validate;
    summary.rows = manifest.rows;
    summary.bytes = manifest.bytes;
    summary.files = published.len();
    summary.policy_hits.clone_from(&manifest.policy_hits);
    summary.partition.clone_from(&manifest.partition);
    summary.consistency = word(&manifest.consistency);
    summary.locations = published.iter().map(|facts| hidden(&facts.location, &spec.secrets).into_owned()).collect();
    let schema = serde_json::to_value(&plan.schema).map_err(|e| RunError::Internal(e.to_string()))?;
    if status == Status::Success {
        summary.earlier_runs = earlier::tell(spec, plan, store, env);
    }
    earlier::tell_file(spec, status).into_iter().for_each(|told| warn(told, spec, env, summary));
    summary.status = status;
    measure(summary, started, env);
    let told = serde_json::to_value(&*summary).map_err(|e| RunError::Internal(e.to_string()))?;
    env.faults.call("finished")?;
    env.state.finish_run_with_cursor(&plan.run_id, &word(&status), &schema, &told, plan.cursor_update().as_ref())?;
    env.faults.pass("finished");
    if spec.store_capabilities().objects {
        // Of attempts that failed something may be left that could not be removed then.
        if resumed || summary.retries > 0 || summary.restarts > 0 {
            sweep::beside(manifest, plan, store, env);
        }
        sweep::late(spec, store, env);
    }
    prune::prune(spec, store, env);
    Ok(status)
}

fn check_drift(spec: &ExportSpec, schema: &TableSchema, env: &Env<'_>, summary: &mut Summary) -> Result<(), RunError> {
    let last = env.state.last_schema(&spec.name)?;
    let Some(before) = last.and_then(|json| serde_json::from_value::<TableSchema>(json).ok()) else { return Ok(()) };
    let changes = drift::changes(&before, schema);
    summary.schema_changed = Some(!changes.is_empty());
    judge_drift(spec, changes, false, env, summary)
}

fn judge_drift(
    spec: &ExportSpec,
    changes: Vec<String>,
    during_run: bool,
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<(), RunError> {
    if changes.is_empty() {
        return Ok(());
    }
    let said: Vec<String> = changes.iter().map(|change| hidden(change, &spec.secrets).into_owned()).collect();
    // A plan that is made again finds the same ones.
    summary
        .schema_changes
        .extend(said.into_iter().filter(|change| !summary.schema_changes.contains(change)).collect::<Vec<_>>());
    let drift = RunError::Drift { relation: spec.relation.label(), during_run, changes };
    match spec.on_schema_drift {
        DriftPolicy::Fail => Err(drift),
        DriftPolicy::Warn => {
            warn(&drift.to_string(), spec, env, summary);
            Ok(())
        }
        DriftPolicy::Continue => Ok(()),
    }
}

fn new_run(spec: &ExportSpec, plan: &Plan) -> NewRun {
    // A run that is completed later reads nothing.
    let kept = replay::as_written(spec, plan);
    NewRun {
        run_id: plan.run_id.clone(),
        export: plan.export.clone(),
        plan_json: serde_json::to_value(kept).unwrap_or_default(),
        source: plan.source.identity.clone(),
        destination: plan.destination.identity.clone(),
        started_at_ms: plan.created_at_ms,
    }
}

/// `20261121T045512Z-7f3a9c`: sorts by time, and two runs in one second still differ.
pub(crate) fn new_run_id(env: &Env<'_>) -> String {
    format!("{}-{:06x}", format_stamp(env.clock.now_unix_ms()), env.random.next_u64() & 0x00ff_ffff)
}

/// The word that an enumeration is written as.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
