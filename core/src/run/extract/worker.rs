//! One worker of a pass: takes splits, reads them in a session, each tried again alone.
//! It must not know how splits come about, nor what ends a pass.

use std::collections::VecDeque;

use rivet_plugin_api::{SNAPSHOT_LOST, Session, Snapshot};

use super::Extraction;
use crate::error::RunError;
use crate::plan::PlannedSplit;
use crate::retry::{Decision, decide};
use crate::run::env::lock;
use crate::run::pass::{Halt, Pass};
use crate::run::pipeline::{self, Begun, Broken, Line, Tally};
use crate::run::progress::{Attempted, Retrying};

impl Extraction<'_> {
    /// A worker, with a session that it is given, or with those that join the leader's snapshot by `token`. One that may shed
    /// leaves the rest to others.
    pub(super) fn work(
        &self,
        pass: &Pass<'_>,
        mut session: Option<Box<dyn Session>>,
        token: Option<&str>,
        may_shed: bool,
    ) -> Result<(), Halt> {
        let shared = self.shared(&pass.cancel, pass.until_ms);
        let mut again = VecDeque::new();
        loop {
            let ended = pipeline::line(&shared, &|of, tally| self.split_done(of, tally), |line| {
                self.read_splits(pass, line, (&mut session, token), &mut again, may_shed);
            });
            let Err(broken) = ended else { return Ok(()) };
            let Broken { error, split, unfinished } = *broken;
            // Before anything else happens.
            unfinished.iter().try_for_each(|of| self.give_up(of)).map_err(Halt::Failed)?;
            if pass.is_halted() {
                return Ok(());
            }
            let Some(split) = split else { return Err(Halt::Failed(error)) };
            let cause = error.to_string();
            let is_lost = token.is_some() && error.code() == SNAPSHOT_LOST;
            if is_lost && pass.held {
                return Err(Halt::NewEpoch(cause));
            }
            self.pause(pass, split, error)?;
            // A session that was given cannot be had again.
            if is_lost || token.is_none() {
                return Err(Halt::NewEpoch(cause));
            }
            // A short snapshot is not held for what is tried again: there will be another one.
            if pass.is_halted() || pass.until_ms.is_some() {
                return Ok(());
            }
            for of in unfinished.iter().rev().map(|of| of.attempt.split) {
                if again.iter().all(|other: &&PlannedSplit| other.id != of.id) {
                    again.push_front(of);
                }
            }
        }
    }

    fn read_splits<'a, 'p: 'a>(
        &self,
        pass: &Pass<'p>,
        line: &Line<'_, 'a>,
        (session, token): (&mut Option<Box<dyn Session>>, Option<&str>),
        again: &mut VecDeque<&'a PlannedSplit>,
        may_shed: bool,
    ) {
        // Asked before a split is taken: who is left takes it.
        let next = || {
            let sheds = may_shed && self.guard.sheds();
            if sheds { None } else { pass.next(self.env.clock.monotonic_ms()) }
        };
        while line.has_room()
            && let Some(split) = again.pop_front().or_else(next)
        {
            let read = match session {
                Some(session) => line.read(split, self.keeps_empty(), &mut **session),
                None => match self.join(pass, token.unwrap_or_default()) {
                    Ok(joined) => line.read(split, self.keeps_empty(), &mut **session.insert(joined)),
                    Err(error) => Err(line.fail(split, error)),
                },
            };
            if read.is_err() {
                // Not after the pause, nor after the upload: who waits for its locks would wait with us.
                *session = None;
                // It may not have begun; nobody else knows of it.
                again.push_front(split);
                return;
            }
        }
        if line.is_broken() {
            *session = None;
            return;
        }
        // The snapshot is not held for what is still on its way to the store.
        for mut over in session.take().into_iter().chain(pass.has_read(self.env.clock.monotonic_ms())) {
            self.end(&mut *over);
        }
    }

    fn join(&self, pass: &Pass<'_>, token: &str) -> Result<Box<dyn Session>, RunError> {
        let snapshot = Snapshot::Join(token.to_owned());
        let group =
            self.spec.open_sessions(&self.plan.run_id, 1, &snapshot, Some(&self.spec.relation), &pass.cancel.cx())?;
        group.sessions.into_iter().next().ok_or_else(|| RunError::Internal("the source opened no session".to_owned()))
    }

    fn split_done(&self, of: Begun<'_>, tally: Tally) -> Result<(), RunError> {
        self.env.faults.call("split_done")?;
        self.ledger.split_done(of.attempt.split.id, of.attempt.number, &tally, &self.spec.secrets)?;
        self.say_attempted(&of, Some(tally.rows));
        lock(&self.progress).tally.add(tally);
        self.env.progress.split_done(&self.plan.export, self.ledger.n_done(), self.plan.splits.len());
        self.env.faults.pass("split_done");
        Ok(())
    }

    /// Discards what an attempt wrote that has no end.
    fn give_up(&self, of: &Begun<'_>) -> Result<(), RunError> {
        self.say_attempted(of, None);
        self.ledger.forget_attempt(of.attempt.split.id, of.attempt.number)
    }

    fn say_attempted(&self, of: &Begun<'_>, rows: Option<u64>) {
        self.env.progress.attempted(&Attempted {
            split: of.attempt.split.id,
            attempt: of.attempt.number,
            began_ms: of.at_ms,
            ended_ms: self.env.clock.monotonic_ms(),
            rows,
        });
    }

    /// Whether a part is kept that has no rows.
    pub(super) fn keeps_empty(&self) -> bool {
        self.plan.splits.len() == 1 && self.plan.keeps_empty_part() && self.spec.shard().is_none()
    }

    /// Waits before the next attempt, or gives up.
    fn pause(&self, pass: &Pass<'_>, split: &PlannedSplit, error: RunError) -> Result<(), Halt> {
        let RunError::Plugin { source, step, at, .. } = error else { return Err(Halt::Failed(error)) };
        let attempt = self.ledger.attempt_failed(split.id);
        match decide(&source, attempt, self.plan.retry, self.env.random.next_u64()) {
            Decision::GiveUp => Err(Halt::Failed(RunError::Plugin { step, at, attempts: attempt, source })),
            Decision::Again { after_ms, smaller } => {
                lock(&self.progress).retries += 1;
                let (split_label, cause, of) = (split.label(), source.to_string(), self.plan.retry.max_retries);
                let retry = Retrying { split: &split_label, cause: &cause, number: attempt, of, after_ms };
                self.env.progress.retrying(&self.plan.export, &retry);
                if smaller {
                    self.ledger.halve(split.id);
                }
                self.env.clock.sleep_ms(after_ms, &|| pass.cancel.is_cancelled());
                if self.env.cancel.is_cancelled() { Err(Halt::Failed(RunError::Interrupted)) } else { Ok(()) }
            }
        }
    }
}
