//! One pass over splits: who takes which, and what ends it early.
//! It must not know how a split is read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use rivet_plugin_api::{CancelToken, Session};

use super::env::lock;
use crate::error::RunError;
use crate::plan::PlannedSplit;

/// One state of the database, as long as it is read.
pub struct Pass<'p> {
    /// Splits that nobody has begun.
    pub queue: Mutex<VecDeque<&'p PlannedSplit>>,
    /// How many they were.
    pub n_splits: usize,
    /// What ends it before the queue is empty: the first of all.
    pub halted: Mutex<Option<Halt>>,
    /// After this no further split is begun, on the monotonic clock, ms: the snapshot is given up before it is old.
    pub until_ms: Option<u64>,
    /// What holds the snapshot for the workers that join it, until nobody reads any more.
    pub holder: Mutex<Option<Box<dyn Session>>>,
    /// When it was let go before all was uploaded, on the monotonic clock, ms.
    pub let_go_ms: OnceLock<u64>,
    /// Workers that read.
    pub n_reading: AtomicUsize,
    /// Ends what is under way at once: as long as a session lives, so do its locks, and somebody may wait for them.
    pub cancel: CancelToken,
}

impl<'p> Pass<'p> {
    /// The split to read next at this moment; the first one always.
    pub fn next(&self, now_ms: u64) -> Option<&'p PlannedSplit> {
        let mut queue = lock(&self.queue);
        let is_over = self.until_ms.is_some_and(|until_ms| now_ms >= until_ms) && queue.len() < self.n_splits;
        if is_over || self.is_halted() { None } else { queue.pop_front() }
    }

    /// A worker of a pass that is to be short has read all: after the last one others are not to wait for the snapshot, as long as
    /// the upload may take.
    pub fn has_read(&self, now_ms: u64) -> Option<Box<dyn Session>> {
        if self.until_ms.is_none() || self.n_reading.fetch_sub(1, Ordering::SeqCst) != 1 {
            return None;
        }
        let _ = self.let_go_ms.set(now_ms);
        lock(&self.holder).take()
    }

    pub fn is_halted(&self) -> bool {
        lock(&self.halted).is_some()
    }

    pub fn halt(&self, halt: Halt) {
        lock(&self.halted).get_or_insert(halt);
        self.cancel.cancel();
    }
}

/// Why a worker stopped.
pub enum Halt {
    /// For good.
    Failed(RunError),
    /// The state of the database that was read so far cannot be read any more, and why.
    NewEpoch(String),
}
