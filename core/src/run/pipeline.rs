//! A worker's line: read, encode and upload overlap, each bounded in bytes. While a split is read, the one before may still be
//! on its way to the store. It must not know retries, which splits there are, or when parts become visible.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use rivet_plugin_api::wire::FormatHandle;
use rivet_plugin_api::{CancelToken, RecordBatch, Session, Store};
use serde::{Deserialize, Serialize};

use super::channel::{Disconnected, Receiver, Sender, bounded};
use super::encode::{Encoder, PIECE_BYTES};
use super::env::{Env, lock};
use super::guard::Guard;
use super::ledger::Ledger;
use super::read::read;
use super::shape::{Seen, Shaper};
use super::upload::{Item, Uploader};
use crate::error::RunError;
use crate::memory::Shares;
use crate::plan::{Plan, PlannedSplit};
use crate::quality::Observed;

/// Attempts of one line that are begun and not done: one is read, and one written.
pub const N_OPEN: usize = 2;

/// What all attempts of a run share.
pub struct Shared<'a> {
    pub plan: &'a Plan,
    pub env: &'a Env<'a>,
    /// Ends what is under way.
    pub cancel: &'a CancelToken,
    pub store: &'a dyn Store,
    pub format: &'a FormatHandle,
    pub shares: Shares,
    /// What to do about a value that is refused because of the memory, where memory is what limits values.
    pub value_hint: Option<String>,
    /// Takes each part that is durable, before the attempt goes on.
    pub ledger: &'a Ledger<'a>,
    /// Rows that were exported before.
    pub seen: &'a Seen,
    /// What is measured in those that are written.
    pub observed: &'a Observed,
    /// What batches and the process may hold.
    pub guard: &'a Guard<'a>,
    /// When the snapshot that is read is to be given up, on the monotonic clock, ms.
    pub until_ms: Option<u64>,
    /// After so long without a word from it the source is given up, ms.
    pub silence_limit_ms: u64,
}

/// Which attempt it is.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    pub split: &'a PlannedSplit,
    /// Number of the attempt at this split, from 0.
    pub number: u32,
    /// Statements to read the split in.
    pub pieces: usize,
    /// Write a part even when there are no rows.
    pub keep_empty: bool,
}

/// What an attempt that succeeded found.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub rows: u64,
    /// Rows read and left out.
    pub rows_known: u64,
    pub longest_statement_ms: u64,
    /// Most relations that one session held a lock on.
    #[serde(default)]
    pub locks: u64,
    pub policy_hits: Vec<(String, String, u64)>,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
    /// NULLs of each column of `null_ratio_max`, in the order of their names.
    pub nulls: Vec<u64>,
}

impl Tally {
    /// Adds what was found in another split, but for the NULLs, which are counted where they are measured.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.rows_known += other.rows_known;
        self.longest_statement_ms = self.longest_statement_ms.max(other.longest_statement_ms);
        self.locks = self.locks.max(other.locks);
        self.policy_hits.extend(other.policy_hits);
        self.warnings.extend(other.warnings);
    }
}

/// Why a step ended early: by itself, or because another step did.
pub enum Stop {
    Failed(RunError),
    Follows,
}

impl From<Disconnected> for Stop {
    fn from(_: Disconnected) -> Self {
        Self::Follows
    }
}

/// A split on its way to the encoder; only its last item says that all came.
pub enum Batches<'a> {
    Begin(Attempt<'a>),
    Batch(RecordBatch),
    End(Box<Read<'a>>),
}

/// What is known of a split when it is read.
pub struct Read<'a> {
    pub tally: Tally,
    /// Kept when the split is done.
    pub shaper: Shaper<'a>,
}

/// An attempt that has begun.
#[derive(Debug, Clone, Copy)]
pub struct Begun<'a> {
    pub attempt: Attempt<'a>,
    /// On the monotonic clock, ms.
    pub at_ms: u64,
}

/// What became of a line that ended early.
pub struct Broken<'a> {
    /// The first cause, whichever step it happened in.
    pub error: RunError,
    /// The split it happened to, where it did to one.
    pub split: Option<&'a PlannedSplit>,
    /// Attempts without an end. Their parts in the ledger are the caller's to forget.
    pub unfinished: Vec<Begun<'a>>,
}

/// Records a split as done, with what was found in it.
pub type Done<'d, 'a> = &'d (dyn Fn(Begun<'a>, Tally) -> Result<(), RunError> + Sync);

/// What reads splits, one after the other, and hands them on.
pub struct Line<'l, 'a> {
    shared: &'l Shared<'a>,
    steps: &'l Steps<'a>,
    batches: Sender<Batches<'a>>,
}

impl<'a> Line<'_, 'a> {
    /// Waits until another split may be read; false where the line is broken. Asked before a split is taken.
    pub fn has_room(&self) -> bool {
        self.steps.wait_for_room()
    }

    /// Whether nothing more is read, for what happened to a split before.
    pub fn is_broken(&self) -> bool {
        self.steps.is_over(&lock(&self.steps.state))
    }

    /// Reads the whole split and hands it on. Its parts are prepared later, and by the end of the line.
    ///
    /// # Errors
    /// The line is broken, by this split or one before: nothing more can be read in this session.
    pub fn read(&self, split: &'a PlannedSplit, keep_empty: bool, session: &mut dyn Session) -> Result<(), Halted> {
        let shared = self.shared;
        let mut read = || {
            let number = shared.ledger.begin_attempt(split.id).map_err(Stop::Failed)?;
            let attempt = Attempt { split, number, pieces: shared.ledger.pieces(split.id), keep_empty };
            lock(&self.steps.state).open.push(Begun { attempt, at_ms: shared.env.clock.monotonic_ms() });
            self.batches.send(Batches::Begin(attempt), 0)?;
            read(shared, attempt, session, &self.steps.token.cx(), &self.batches)
        };
        read().map_err(|stop| match stop {
            Stop::Failed(error) => self.fail(split, error),
            Stop::Follows => Halted,
        })
    }

    /// The split cannot be read. What was read before it is still written.
    pub fn fail(&self, split: &'a PlannedSplit, error: RunError) -> Halted {
        lock(&self.steps.state).failed.get_or_insert((Some(split), error));
        Halted
    }
}

/// The line is broken.
#[derive(Debug, Clone, Copy)]
pub struct Halted;

/// Lets `work` read splits while what it read is encoded and uploaded, and waits until all is.
///
/// # Errors
/// What broke it.
pub fn line<'a>(shared: &Shared<'a>, done: Done<'_, 'a>, work: impl FnOnce(&Line<'_, 'a>)) -> Result<(), Broken<'a>> {
    // Its own token: a failed upload must wake a reader that waits for the server.
    let token = CancelToken::new();
    token.keep_warnings();
    let steps = Steps { token, state: Mutex::default(), changed: Condvar::new() };
    let cancel = || steps.cancel();
    shared.cancel.cx().with_wake(&cancel, || overlap(shared, &steps, done, work));
    let State { failed, open, .. } = steps.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let broken = |split, error| Err(Broken { error, split, unfinished: open.clone() });
    match failed {
        _ if shared.env.cancel.is_cancelled() => broken(None, RunError::Interrupted),
        Some((split, error)) => broken(split, error),
        None if open.is_empty() => Ok(()),
        // One that only followed was told to stop: what was read is not all written.
        None => broken(None, RunError::Internal("a step of the run stopped without a cause".to_owned())),
    }
}

fn overlap<'a>(shared: &Shared<'a>, steps: &Steps<'a>, done: Done<'_, 'a>, work: impl FnOnce(&Line<'_, 'a>)) {
    // What the encoder and the upload are busy with counts too.
    let shares = &shared.shares;
    let (batch_sender, batches) = bounded(shares.read_ahead_bytes + shares.max_batch_bytes);
    let (item_sender, items) = bounded::<Item>(shares.upload_ahead_bytes + PIECE_BYTES);
    std::thread::scope(|scope| {
        let upload = std::thread::Builder::new().name("rivet-upload".to_owned()).spawn_scoped(scope, || {
            let _ended = Ended(steps);
            Uploader::new(shared, steps, done).run(items);
        });
        let encode = std::thread::Builder::new().name("rivet-encode".to_owned()).spawn_scoped(scope, || {
            let _ended = Ended(steps);
            encode(shared, steps, batches, item_sender);
        });
        let line = Line { shared, steps, batches: batch_sender };
        work(&line);
        // The end for the encoder, and then for the upload.
        drop(line);
        for (thread, name) in [(encode, "encoder"), (upload, "uploader")] {
            match thread.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(())) => {}
                Ok(Err(_)) => steps.fail(None, RunError::Internal(format!("the {name} panicked"))),
                Err(e) => steps.fail(None, RunError::no_thread(name, e)),
            }
        }
    });
}

fn encode<'a>(shared: &Shared<'a>, steps: &Steps<'a>, batches: Receiver<Batches<'a>>, items: Sender<Item>) {
    let items = std::sync::Arc::new(items);
    let mut encoder: Option<Encoder<'_, 'a>> = None;
    while let Ok(next) = batches.recv() {
        let attempt = encoder.as_ref().map(Encoder::attempt);
        let step = match (next, &mut encoder) {
            (Batches::Begin(attempt), None) => {
                let begun = Encoder::new(shared, attempt, steps.token.cx(), items.clone());
                encoder = Some(begun);
                Ok(())
            }
            (Batches::Batch(batch), Some(encoder)) => encoder.write(&batch),
            (Batches::End(read), Some(writing)) => writing.finish(read.tally.rows).and_then(|()| {
                encoder = None;
                lock(&steps.state).encoded.push_back(*read);
                Ok(items.send(Item::AllSent, 0)?)
            }),
            _ => Err(Stop::Failed(RunError::Internal("batches out of order".to_owned()))),
        };
        if let Err(stop) = step {
            return steps.stop(attempt, stop);
        }
    }
}

/// What the steps of a line know of each other.
pub struct Steps<'a> {
    /// Ends them all.
    pub token: CancelToken,
    state: Mutex<State<'a>>,
    changed: Condvar,
}

#[derive(Default)]
struct State<'a> {
    /// The first failure, and the split it happened to.
    failed: Option<(Option<&'a PlannedSplit>, RunError)>,
    /// Attempts that have begun and are not done, the oldest first.
    open: Vec<Begun<'a>>,
    /// Of those, what is all encoded.
    encoded: VecDeque<Read<'a>>,
    /// A step has ended.
    ended: bool,
}

impl<'a> Steps<'a> {
    /// A step that stops by itself is the cause; the others only follow.
    pub fn stop(&self, attempt: Option<Attempt<'a>>, stop: Stop) {
        if let Stop::Failed(error) = stop {
            self.fail(attempt.map(|attempt| attempt.split), error);
        }
    }

    fn fail(&self, split: Option<&'a PlannedSplit>, error: RunError) {
        lock(&self.state).failed.get_or_insert((split, error));
        self.cancel();
    }

    fn cancel(&self) {
        self.token.cancel();
        // Whoever is about to wait has looked at the token before, or waits by now.
        drop(lock(&self.state));
        self.changed.notify_all();
    }

    fn is_over(&self, state: &State<'_>) -> bool {
        state.ended || state.failed.is_some() || self.token.is_cancelled()
    }

    /// Waits until fewer than [`N_OPEN`] attempts are open.
    fn wait_for_room(&self) -> bool {
        let full = |state: &mut State<'_>| state.open.len() >= N_OPEN && !self.is_over(state);
        let state = self.changed.wait_while(lock(&self.state), full).unwrap_or_else(PoisonError::into_inner);
        !self.is_over(&state)
    }

    /// The attempt that began at first of those that are open: it is the one that ends next.
    pub fn oldest(&self) -> Option<Begun<'a>> {
        lock(&self.state).open.first().copied()
    }

    /// What was read by the oldest attempt, when it is all encoded.
    pub fn take_encoded(&self) -> Option<Read<'a>> {
        lock(&self.state).encoded.pop_front()
    }

    /// The oldest attempt is done.
    pub fn close_oldest(&self) {
        let mut state = lock(&self.state);
        if !state.open.is_empty() {
            state.open.remove(0);
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// Says that a step has ended, whatever way it does.
struct Ended<'s, 'a>(&'s Steps<'a>);

impl Drop for Ended<'_, '_> {
    fn drop(&mut self) {
        lock(&self.0.state).ended = true;
        self.0.changed.notify_all();
    }
}
