//! Reads all splits, by several workers, each split retried alone; a lost snapshot starts a new epoch, with a new plan
//! unless something is kept of what was read.
//! It must not know how one attempt works, nor what happens after the last split.

mod worker;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use rivet_plugin_api::{CancelToken, Session, Store};

use super::env::{Env, lock};
use super::governor;
use super::guard::Guard;
use super::leader::Leader;
use super::ledger::{self, Kept, Ledger};
use super::pass::{Halt, Pass};
use super::pipeline::{self, N_OPEN, Shared, Tally};
use super::shape::Seen;
use super::{Planned, begin, drift, drift_policy, resume, shards};
use crate::config::Consistent;
use crate::error::RunError;
use crate::memory;
use crate::plan::{self, Plan};
use crate::quality::{Figures, Observed, Scratch};
use crate::resolve::ExportSpec;
use crate::state::State;
use crate::summary::Summary;

/// What extraction found out besides the parts, which are in the state.
#[derive(Debug, Default)]
pub struct Extracted {
    pub tally: Tally,
    pub retries: u32,
    /// How old the oldest transaction became that held a snapshot, ms.
    pub oldest_transaction_ms: u64,
    /// Identity of the snapshot of each epoch.
    pub snapshots: Vec<Option<String>>,
    /// Whether what is kept was read before something went wrong, by this process or another one.
    pub mixed: bool,
    /// What is said about each lost snapshot.
    pub restarts: Vec<String>,
    /// What was measured in the rows.
    pub figures: Figures,
}

/// Reads every split of the plan into prepared, recorded parts. Afterwards `plan` is the one that was followed.
///
/// # Errors
/// The first failure that the retry budget does not cover.
pub fn extract(
    plan: &mut Plan,
    (leader, seen, kept): (Option<Leader>, Seen, Kept),
    spec: &ExportSpec,
    store: &dyn Store,
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<Extracted, RunError> {
    let format = spec.format.open_format(&spec.format_options).map_err(RunError::plugin("open format", ""))?;
    let observed = observed(plan, spec, env);
    let mixed = !kept.done.is_empty();
    let mut before = Extracted { snapshots: kept.snapshots.clone(), mixed, ..Extracted::default() };
    for tally in kept.done.iter().filter_map(ledger::tally) {
        observed.add_nulls(&tally.nulls);
        before.tally.add(tally);
    }
    let guard = Guard::new(&spec.tuning, plan.n_workers, env.clock);
    let reading = (plan.run_id.clone(), if plan.splits.len() > 1 { plan.n_workers + 1 } else { 1 });
    let mut run = Extraction {
        ledger: Ledger::new(plan, &kept, env, store),
        observed,
        guard: &guard,
        plan,
        spec,
        env,
        store,
        summary,
        seen,
        format,
        progress: Mutex::new(before),
    };
    if let Some(leader) = leader {
        let (ended, told) = governor::around(spec, (&reading.0, reading.1), &guard, env, || run.epochs(leader));
        lock(&run.progress).tally.warnings.extend(told);
        ended?;
    }
    run.write_empty_part_if_nothing_came()?;
    let figures = run.observed.figures(&|| env.cancel.is_cancelled())?;
    let extracted = run.progress.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Extracted { figures, ..extracted })
}

/// Nothing measured yet, of what the plan's rules ask for.
fn observed(plan: &Plan, spec: &ExportSpec, env: &Env<'_>) -> Observed {
    let n_at_once = if plan.splits.len() > 1 { plan.n_workers * N_OPEN } else { 1 };
    let memory = (memory::key_bytes(spec.tuning.memory_bytes), n_at_once);
    let scratch = Scratch::new(env.state.scratch_path(&plan.export));
    Observed::new(&plan.quality, &plan.written_schema(), memory, scratch)
}

struct Extraction<'a> {
    plan: &'a mut Plan,
    spec: &'a ExportSpec,
    env: &'a Env<'a>,
    store: &'a dyn Store,
    summary: &'a mut Summary,
    seen: Seen,
    observed: Observed,
    guard: &'a Guard<'a>,
    format: rivet_plugin_api::wire::FormatHandle,
    ledger: Ledger<'a>,
    progress: Mutex<Extracted>,
}

impl Extraction<'_> {
    /// Passes over the remaining splits until none is left; each pass reads one state of the database.
    fn epochs(&mut self, mut leader: Leader) -> Result<(), RunError> {
        let mut restarts = 0;
        loop {
            lock(&self.progress).snapshots.push(leader.snapshot.identity.clone());
            self.ledger.begin_epoch(leader.snapshot.identity.as_deref())?;
            let held = leader.snapshot.identity.is_some();
            let ended = self.pass(leader);
            let cause = match ended {
                Ok(()) if self.ledger.n_done() == self.plan.splits.len() => return Ok(()),
                Ok(()) => {
                    leader = self.look_again(&mut restarts)?;
                    continue;
                }
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::NewEpoch(cause)) => cause,
            };
            // Where no snapshot was held none is lost: the budget of each split is the limit.
            if held {
                self.count_restart(&mut restarts, &cause)?;
            }
            // Rows may have moved between physical pages: then what was read before does not fit what comes now.
            // And a value that is unique in each of two states may be there twice in both together.
            let keeps = self.spec.shard().is_some()
                || (self.ledger.n_done() > 0
                    && self.plan.splits_are_stable()
                    && self.plan.quality.proved.is_empty()
                    && self.spec.consistency == Consistent::Mixed);
            if held {
                self.say_restart(&cause, keeps);
            }
            lock(&self.progress).mixed |= keeps;
            leader = if keeps { self.look_again(&mut restarts)? } else { self.plan_anew()? };
        }
    }

    /// Counts what makes the run begin again, in whole or in part.
    fn count_restart(&self, restarts: &mut u32, cause: &str) -> Result<(), RunError> {
        *restarts += 1;
        if *restarts > self.plan.retry.max_retries {
            let relation = self.plan.relation.label();
            return Err(RunError::LostSnapshot { relation, restarts: *restarts - 1, cause: cause.to_owned() });
        }
        Ok(())
    }

    /// A leader for what is left, where server and relation are those of before; else of a plan that is made anew.
    fn look_again(&mut self, restarts: &mut u32) -> Result<Leader, RunError> {
        let (leader, schema, whole) = Leader::open_for_columns(self.spec, &self.plan.run_id, self.env)?;
        let changed = resume::changed(self.plan, &leader, &schema, &whole);
        if changed.is_empty() {
            return Ok(leader);
        }
        if self.spec.shard().is_some() {
            return Err(shards::does_not_fit(self.spec, &changed));
        }
        drop(leader);
        let text = format!("all is read again, since what was read before is of another {}", changed.join(", "));
        self.count_restart(restarts, &text)?;
        self.env.progress.warn(&self.plan.export, &text);
        lock(&self.progress).restarts.push(text);
        self.plan_anew()
    }

    /// What is read from now on is another state of the database than what was read before.
    fn say_restart(&self, cause: &str, keeps: bool) {
        let next = if keeps { "what is left is read" } else { "all is read again" };
        let text = format!("the snapshot was lost, {next} in a new one: {cause}");
        self.env.progress.warn(&self.plan.export, &text);
        let mut progress = lock(&self.progress);
        progress.restarts.push(text);
        progress.tally.warnings.extend(self.plan.doubt_of_several_states().filter(|_| keeps));
    }

    /// Nothing of the last snapshot is used any more: where its rows ended, and which were known, is found out anew too.
    fn plan_anew(&mut self) -> Result<Leader, RunError> {
        self.ledger.forget_all()?;
        let mut progress = lock(&self.progress);
        (progress.tally, progress.mixed) = (Tally::default(), false);
        drop(progress);
        let run_id = self.plan.run_id.clone();
        let begun = begin(self.spec, &run_id, self.env, self.summary, State::plan_again)?;
        let Planned { leader, plan, seen, .. } = begun;
        let changes = drift::changes(&self.plan.schema, &plan.schema);
        drift_policy::judge(self.spec, changes, true, self.env, self.summary)?;
        *self.plan = plan;
        self.seen = Seen::new(seen);
        self.observed = observed(self.plan, self.spec, self.env);
        Ok(leader)
    }

    /// One pass: workers take splits until the queue is empty or one halts.
    fn pass(&self, leader: Leader) -> Result<(), Halt> {
        let (held, began_ms) = (leader.snapshot.identity.is_some(), leader.began_ms);
        let left: VecDeque<_> = self.plan.splits.iter().filter(|s| !self.ledger.is_done(s.id)).collect();
        let limit_ms = plan::snapshot_ms(self.spec, self.plan).filter(|_| held);
        let pass = Pass {
            n_splits: left.len(),
            queue: Mutex::new(left),
            halted: Mutex::default(),
            held,
            until_ms: limit_ms.map(|ms| began_ms.saturating_add(ms)),
            holder: Mutex::default(),
            let_go_ms: OnceLock::new(),
            n_reading: AtomicUsize::default(),
            cancel: CancelToken::new(),
        };
        let cancel = || pass.cancel.cancel();
        self.env.cancel.cx().with_wake(&cancel, || self.read(&pass, leader));
        if held {
            let until_ms = pass.let_go_ms.get().copied().unwrap_or_else(|| self.env.clock.monotonic_ms());
            let oldest_ms = &mut lock(&self.progress).oldest_transaction_ms;
            *oldest_ms = until_ms.saturating_sub(began_ms).max(*oldest_ms);
        }
        pass.halted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn read(&self, pass: &Pass<'_>, leader: Leader) {
        let Leader { session, mut others, snapshot, .. } = leader;
        // Where only one connection is allowed, the one that holds the snapshot reads as well.
        let may_join = self.plan.splits.len() > 1 && !self.spec.has_one_connection();
        let n_workers = self.guard.workers(self.plan.n_workers);
        let Some(token) = snapshot.join_token.filter(|_| may_join) else {
            others.truncate(n_workers.saturating_sub(1));
            return std::thread::scope(|scope| {
                for other in others {
                    scope.spawn(|| self.work(pass, Some(other), None, true).unwrap_or_else(|halt| pass.halt(halt)));
                }
                self.work(pass, Some(session), None, false).unwrap_or_else(|halt| pass.halt(halt));
            });
        };
        *lock(&pass.holder) = Some(session);
        pass.n_reading.store(n_workers, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for _ in 0..n_workers {
                scope.spawn(|| self.work(pass, None, Some(&token), true).unwrap_or_else(|halt| pass.halt(halt)));
            }
        });
        if let Some(mut holder) = lock(&pass.holder).take() {
            self.end(&mut *holder);
        }
    }

    /// Ends a session; what that warns of is in the summary. It loses no row: all that were asked of it are there.
    fn end(&self, session: &mut dyn Session) {
        let token = CancelToken::new();
        token.keep_warnings();
        let wake = || token.cancel();
        let _ = self.env.cancel.cx().with_wake(&wake, || session.end(&token.cx()));
        lock(&self.progress).tally.warnings.extend(token.take_warnings());
    }

    fn shared<'s>(&'s self, cancel: &'s CancelToken, until_ms: Option<u64>) -> Shared<'s> {
        Shared {
            plan: self.plan,
            cancel,
            env: self.env,
            store: self.store,
            format: &self.format,
            shares: memory::shares(
                self.spec.tuning.memory_bytes,
                self.plan.n_workers,
                self.spec.store_capabilities().upload_bytes,
            ),
            value_hint: (self.spec.is_value_limited_by_memory)
                .then(|| memory::hint(&self.spec.tuning, self.spec.n_at_once)),
            ledger: &self.ledger,
            seen: &self.seen,
            observed: &self.observed,
            guard: self.guard,
            until_ms,
            silence_limit_ms: self.spec.tuning.no_progress_timeout_ms(),
        }
    }

    /// Many splits, none with a row: one part with the schema alone, where the plan keeps it.
    fn write_empty_part_if_nothing_came(&self) -> Result<(), RunError> {
        if !self.plan.keeps_empty_part() || self.ledger.n_parts() > 0 || self.spec.shard().is_some() {
            return Ok(());
        }
        let split = self.plan.splits.first().ok_or_else(|| RunError::Internal("a plan without splits".to_owned()))?;
        let (shared, mut none) = (self.shared(self.env.cancel, None), super::leader::NoRows(self.plan));
        pipeline::line(&shared, &|_, _| Ok(()), |line| _ = line.read(split, true, &mut none))
            .map_err(|broken| broken.error)
    }
}
