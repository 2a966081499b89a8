//! What a run has to show so far: attempts, recorded parts and done splits, in memory and in the state at once.
//! It must not know how a part comes about, nor decide anything.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rivet_plugin_api::Store;
use serde_json::{Value, json};

use super::env::{Env, lock};
use super::upload::Prepared;
use crate::checksum::ColumnChecksum;
use crate::error::RunError;
use crate::manifest::Part;
use crate::plan::Plan;
use crate::state::{PreparedPart, RecordedPart};

/// Statements a split is read in at most, whatever the timeouts.
const MAX_PIECES: usize = 1024;

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
    pub fn new(plan: &Plan, env: &'a Env<'a>, store: &'a dyn Store) -> Self {
        Self { run_id: plan.run_id.clone(), export: plan.export.clone(), env, store, inner: Mutex::default() }
    }

    pub fn set_epoch(&self, epoch: u32) {
        lock(&self.inner).epoch = epoch;
    }

    /// Number of the attempt that begins, from 0 within the run.
    pub fn begin_attempt(&self, split: u32) -> u32 {
        let mut inner = lock(&self.inner);
        let state = inner.splits.entry(split).or_default();
        state.attempts += 1;
        state.attempts - 1
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
        let recorded =
            self.env.state.record_parts(&self.run_id, split, attempt, epoch, std::slice::from_ref(&part), false);
        if let Err(e) = recorded {
            // Nobody else knows its token.
            discard(self.store, self.env, &self.export, std::iter::once(part.token.as_str()));
            return Err(e.into());
        }
        lock(&self.inner).n_parts += 1;
        self.env.progress.part_written(&self.export, &part.name, part.rows, part.bytes);
        Ok(())
    }

    /// Checkpoints a split whose parts are all recorded.
    pub fn split_done(&self, split: u32, attempt: u32) -> Result<(), RunError> {
        let epoch = lock(&self.inner).epoch;
        self.env.state.record_parts(&self.run_id, split, attempt, epoch, &[], true)?;
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
        let parts = self.env.state.parts_of(&self.run_id)?;
        for part in parts {
            self.forget_attempt(part.split_id, part.attempt)?;
        }
        for state in lock(&self.inner).splits.values_mut() {
            state.done = false;
        }
        Ok(())
    }
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
