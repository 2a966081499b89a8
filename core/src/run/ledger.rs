//! What a run has to show so far: attempts, recorded parts and done splits, in memory and in the state at once.
//! It must not know how a part comes about, nor decide anything.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rivet_plugin_api::Store;
use serde_json::{Value, json};

use super::env::{Env, lock};
use super::pipeline::Tally;
use super::upload::Prepared;
use crate::checksum::ColumnChecksum;
use crate::error::RunError;
use crate::manifest::Part;
use crate::partition;
use crate::plan::Plan;
use crate::secrets::hidden;
use crate::state::{Checkpoint, DoneSplit, PreparedPart, RecordedPart};

/// Statements a split is read in at most, whatever the timeouts.
const MAX_PIECES: usize = 1024;

/// What was read before this process.
#[derive(Debug, Default)]
pub struct Kept {
    /// The splits that are done, by number.
    pub done: Vec<Checkpoint>,
    /// Attempts that were begun, by split.
    pub attempts: BTreeMap<u32, u32>,
    /// Identity of the snapshot of each epoch.
    pub snapshots: Vec<Option<String>>,
    /// Parts of the splits that are done.
    pub n_parts: usize,
}

pub struct Ledger<'a> {
    run_id: String,
    export: String,
    env: &'a Env<'a>,
    store: &'a dyn Store,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    epoch: u32,
    splits: BTreeMap<u32, SplitState>,
    n_parts: usize,
}

#[derive(Default)]
struct SplitState {
    attempts: u32,
    failures: u32,
    /// Times the split's statements were halved.
    halvings: u32,
    done: bool,
}

impl<'a> Ledger<'a> {
    pub fn new(plan: &Plan, kept: &Kept, env: &'a Env<'a>, store: &'a dyn Store) -> Self {
        let mut inner = Inner { n_parts: kept.n_parts, ..Inner::default() };
        for (split, n) in &kept.attempts {
            inner.splits.entry(*split).or_default().attempts = *n;
        }
        for checkpoint in &kept.done {
            inner.splits.entry(checkpoint.done.split_id).or_default().done = true;
        }
        Self { run_id: plan.run_id.clone(), export: plan.export.clone(), env, store, inner: Mutex::new(inner) }
    }

    /// Records which snapshot is read from now on.
    pub fn begin_epoch(&self, snapshot: Option<&str>) -> Result<(), RunError> {
        lock(&self.inner).epoch = self.env.state.begin_epoch(&self.run_id, snapshot)?;
        Ok(())
    }

    /// Number of the attempt that begins, from 0 within the run, whichever process it is of.
    pub fn begin_attempt(&self, split: u32) -> Result<u32, RunError> {
        let n = {
            let mut inner = lock(&self.inner);
            let state = inner.splits.entry(split).or_default();
            state.attempts += 1;
            state.attempts
        };
        self.env.state.begin_attempt(&self.run_id, split, n)?;
        Ok(n - 1)
    }

    /// Counts a failure; returns how many there were, this one included.
    pub fn attempt_failed(&self, split: u32) -> u32 {
        let mut inner = lock(&self.inner);
        let state = inner.splits.entry(split).or_default();
        state.failures += 1;
        state.failures
    }

    /// From now on the split is read in twice as many statements.
    pub fn halve(&self, split: u32) {
        lock(&self.inner).splits.entry(split).or_default().halvings += 1;
    }

    /// Statements to read the split in.
    pub fn pieces(&self, split: u32) -> usize {
        let halvings = lock(&self.inner).splits.get(&split).map_or(0, |s| s.halvings);
        1usize.checked_shl(halvings).unwrap_or(MAX_PIECES).clamp(1, MAX_PIECES)
    }

    pub fn is_done(&self, split: u32) -> bool {
        lock(&self.inner).splits.get(&split).is_some_and(|s| s.done)
    }

    pub fn n_done(&self) -> usize {
        lock(&self.inner).splits.values().filter(|s| s.done).count()
    }

    /// Parts of done splits and of the attempts that are running.
    pub fn n_parts(&self) -> usize {
        lock(&self.inner).n_parts
    }

    /// Records a durable part, before the attempt goes on: a crash later knows its token.
    pub fn part_prepared(&self, split: u32, attempt: u32, part: Prepared) -> Result<(), RunError> {
        let epoch = lock(&self.inner).epoch;
        let part = PreparedPart {
            index: part.index,
            name: part.name,
            token: part.token,
            rows: part.rows,
            bytes: part.bytes,
            digest: part.digest,
            facts_json: facts_json(&part.checksums),
        };
        let parts = std::slice::from_ref(&part);
        let record = || Ok(self.env.state.record_parts(&self.run_id, split, attempt, epoch, parts, false)?);
        if let Err(e) = self.env.faults.call("part_recorded").and_then(|()| record()) {
            // Nobody else knows its token.
            discard(self.store, self.env, &self.export, std::iter::once(part.token.as_str()));
            return Err(e);
        }
        lock(&self.inner).n_parts += 1;
        self.env.progress.part_written(&self.export, &part.name, part.rows, part.bytes);
        Ok(())
    }

    /// Checkpoints a split whose parts are all recorded, with what was found in it.
    pub fn split_done(&self, split: u32, attempt: u32, tally: &Tally, secrets: &[String]) -> Result<(), RunError> {
        let epoch = lock(&self.inner).epoch;
        let open = |text: &String| hidden(text, secrets).into_owned();
        let mut kept = tally.clone();
        kept.policy_hits.iter_mut().for_each(|(_, policy, _)| *policy = open(policy));
        kept.warnings.iter_mut().for_each(|text| *text = open(text));
        let facts = serde_json::to_value(kept).unwrap_or_default();
        self.env.state.checkpoint(&self.run_id, &DoneSplit { split_id: split, attempt, epoch }, &facts)?;
        lock(&self.inner).splits.entry(split).or_default().done = true;
        Ok(())
    }

    /// Forgets a failed attempt and removes what it left, as far as it can be: the rest is invisible, and goes with the
    /// end of the run.
    ///
    /// # Errors
    /// The state's: its parts then stay recorded, and no other attempt may begin.
    pub fn forget_attempt(&self, split: u32, attempt: u32) -> Result<(), RunError> {
        let parts = self.env.state.forget_attempt(&self.run_id, split, attempt)?;
        let mut inner = lock(&self.inner);
        inner.n_parts = inner.n_parts.saturating_sub(parts.len());
        drop(inner);
        discard(self.store, self.env, &self.export, parts.iter().map(|p| p.token.as_str()));
        Ok(())
    }

    /// Starts over: nothing that was read so far will be used.
    pub fn forget_all(&self) -> Result<(), RunError> {
        let parts = self.env.state.forget_all(&self.run_id)?;
        let mut inner = lock(&self.inner);
        inner.n_parts = 0;
        inner.splits.values_mut().for_each(|state| state.done = false);
        drop(inner);
        discard(self.store, self.env, &self.export, parts.iter().map(|part| part.token.as_str()));
        Ok(())
    }
}

/// What was found in a split that is done; none where the state does not say it.
pub fn tally(checkpoint: &Checkpoint) -> Option<Tally> {
    serde_json::from_value(checkpoint.facts.clone()).ok()
}

/// What the state keeps of a part beside its columns.
fn facts_json(checksums: &[ColumnChecksum]) -> String {
    let facts = if checksums.is_empty() { json!({}) } else { json!({ "checksums": checksums }) };
    facts.to_string()
}

/// The checksums that [`facts_json`] put there.
fn checksums(facts_json: &str) -> Vec<ColumnChecksum> {
    let facts: Value = serde_json::from_str(facts_json).unwrap_or_default();
    serde_json::from_value(facts["checksums"].clone()).unwrap_or_default()
}

/// A recorded part as the manifest has it.
pub fn manifest_part(recorded: &RecordedPart) -> Part {
    let part = &recorded.part;
    Part {
        name: part.name.clone(),
        partition: partition::values(&part.name),
        split: recorded.split_id,
        epoch: recorded.epoch,
        rows: part.rows,
        bytes: part.bytes,
        digest: part.digest.clone(),
        checksums: checksums(&part.facts_json),
    }
}

/// Discards prepared parts, best effort, whatever has been cancelled.
pub fn discard<'t>(store: &dyn Store, env: &Env<'_>, export: &str, tokens: impl Iterator<Item = &'t str>) {
    let uncancelled = rivet_plugin_api::CancelToken::new();
    for token in tokens {
        if let Err(e) = store.discard(token, &uncancelled.cx()) {
            env.progress.warn(export, &format!("failed to discard a prepared part: {e}"));
        }
    }
}
