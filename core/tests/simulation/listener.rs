//! Hears the retries of a run and checks each wait against the policy.
//! Must not know what fails.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rivet_core::plan::Plan;
use rivet_core::run::progress::{Progress, Retrying};

use crate::world::{CLASSES, World};

/// Pause before the first retry, ms.
pub const BACKOFF_MS: u64 = 1_000;
/// Longest pause, ms.
const MAX_BACKOFF_MS: u64 = 60_000;

#[derive(Default)]
pub struct Heard(Mutex<Inner>);

#[derive(Default, Debug)]
pub struct Inner {
    /// Waits of each split, in order: cause and ms.
    pub waits: BTreeMap<String, Vec<(String, u64)>>,
    pub planned: bool,
}

impl Heard {
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All waits, ms.
    pub fn waited_ms(&self) -> u64 {
        self.lock().waits.values().flatten().map(|(_, ms)| ms).sum()
    }

    /// Retries of the split that had most.
    pub fn most_retries(&self) -> usize {
        self.lock().waits.values().map(Vec::len).max().unwrap_or(0)
    }

    /// Fails with a sentence when a wait or the number of attempts is not what the policy says.
    pub fn check(&self, world: &World) -> Result<(), String> {
        for (split, waits) in &self.lock().waits {
            // Sessions that begin an epoch have a budget of their own each time.
            let many_budgets = split == "connection";
            if waits.len() > world.setup.max_retries as usize && !many_budgets {
                return Err(format!("{split} was tried again {} times", waits.len()));
            }
            for (i, (cause, ms)) in waits.iter().enumerate() {
                let least = CLASSES.iter().find(|(code, ..)| cause.contains(code)).map_or(0, |(.., after)| *after);
                let doublings = if many_budgets { 0..world.setup.max_retries } else { i as u32..i as u32 + 1 };
                let fits = doublings.into_iter().any(|n| {
                    let pause = (BACKOFF_MS << n).min(MAX_BACKOFF_MS);
                    ((pause / 2).max(least)..=pause.max(least)).contains(ms)
                });
                if !fits {
                    return Err(format!("{split} waited {ms} ms before retry {} after {cause}", i + 1));
                }
            }
        }
        Ok(())
    }
}

impl Progress for Heard {
    fn planned(&self, _: &Plan, _: Option<u64>) {
        self.lock().planned = true;
    }
    fn read(&self, _: &str, _: u64, _: u64) {}
    fn split_done(&self, _: &str, _: usize, _: usize) {}
    fn retrying(&self, _: &str, retry: &Retrying<'_>) {
        self.lock().waits.entry(retry.split.to_owned()).or_default().push((retry.cause.to_owned(), retry.after_ms));
    }
    fn warn(&self, _: &str, _: &str) {}
    fn ended(&self, _: &str) {}
}
