//! One attempt at one split: read, encode and upload overlap, each bounded in bytes.
//! It must not know retries, other splits, or when parts become visible.

use std::sync::Mutex;

use rivet_plugin_api::wire::FormatHandle;
use rivet_plugin_api::{CancelToken, ErrorKind, HostCx, RecordBatch, Scan, Session, Split, SplitRequest, Store};
use serde::{Deserialize, Serialize};

use super::channel::{Disconnected, Receiver, Sender, bounded};
use super::encode::{Encoder, PIECE_BYTES};
use super::env::Env;
use super::guard::Guard;
use super::ledger::Ledger;
use super::pace::Pace;
use super::shape::{Seen, Shaper};
use super::silence::Silence;
use super::upload::{Item, Uploader};
use super::{drift, env};
use crate::error::RunError;
use crate::memory::Shares;
use crate::plan::{Plan, PlannedSplit};
use crate::quality::Observed;

/// What all attempts of a run share.
pub struct Shared<'a> {
    pub plan: &'a Plan,
    pub env: &'a Env<'a>,
    /// Ends the attempt.
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

/// Batches on their way to the encoder; the last item says that all came.
pub enum Batches {
    Batch(RecordBatch),
    End { rows: u64 },
}

/// Reads the whole split, writes its parts and prepares them.
///
/// # Errors
/// The first cause, whichever step it happened in. Parts already in the ledger are the caller's to forget.
pub fn run(shared: &Shared<'_>, attempt: Attempt<'_>, session: &mut dyn Session) -> Result<Tally, RunError> {
    // Its own token: a failed upload must wake a reader that waits for the server.
    let token = CancelToken::new();
    token.keep_warnings();
    let cancel_all = || token.cancel();
    let mut shaper = Shaper::new(shared.plan, shared.seen, shared.observed);
    let tally = shared.cancel.cx().with_wake(&cancel_all, || overlap(shared, attempt, session, &mut shaper, &token))?;
    let nulls = shaper.keep()?;
    let warnings = token.take_warnings().into_iter().chain(tally.warnings).collect();
    Ok(Tally { warnings, nulls, ..tally })
}

fn overlap(
    shared: &Shared<'_>,
    attempt: Attempt<'_>,
    session: &mut dyn Session,
    shaper: &mut Shaper<'_>,
    token: &CancelToken,
) -> Result<Tally, RunError> {
    // What the encoder and the upload are busy with counts too.
    let shares = &shared.shares;
    let (batch_sender, batches) = bounded(shares.read_ahead_bytes + shares.max_batch_bytes);
    let (item_sender, items) = bounded::<Item>(shares.upload_ahead_bytes + PIECE_BYTES);
    let first_failure = Mutex::new(None::<RunError>);
    let silence = Silence::new(shared.env, &shared.plan.export, attempt.split.label(), shared.silence_limit_ms);
    // A step that fails by itself is the cause; the others only follow.
    let note = |stop: Stop| {
        if let Stop::Failed(error) = stop {
            let mut first = env::lock(&first_failure);
            if first.is_none() {
                *first = Some(error);
            }
            drop(first);
            token.cancel();
        }
    };
    let tally = std::thread::scope(|scope| {
        let upload = std::thread::Builder::new()
            .name("rivet-upload".to_owned())
            .spawn_scoped(scope, || Uploader::new(shared, attempt, token).run(items).map_err(note));
        let encode = std::thread::Builder::new()
            .name("rivet-encode".to_owned())
            .spawn_scoped(scope, || encode(shared, attempt, token, batches, item_sender).map_err(note));
        // Without a watcher nothing is told, and all else is as it was.
        let watcher = std::thread::Builder::new().name("rivet-watch".to_owned());
        drop(watcher.spawn_scoped(scope, || silence.watch()));
        let watched = silence.until_dropped();
        let tally = read(shared, attempt, (session, &silence), shaper, token, batch_sender).map_err(note);
        drop(watched);
        let ended = |step: Result<Result<(), ()>, RunError>| {
            step.unwrap_or_else(|e| {
                note(Stop::Failed(e));
                Err(())
            })
        };
        let (encoded, uploaded) = (ended(join(encode, "encoder")), ended(join(upload, "uploader")));
        // One that only followed was told to stop: what was read is not all written.
        encoded.and(uploaded).and(tally)
    });
    if shared.env.cancel.is_cancelled() {
        return Err(RunError::Interrupted);
    }
    match (env::lock(&first_failure).take(), tally) {
        (Some(error), _) => Err(error),
        (None, Ok(tally)) => Ok(tally),
        (None, Err(())) => Err(RunError::Internal("a step of the run stopped without a cause".to_owned())),
    }
}

/// A thread that could not start or panicked is a failure of its own.
fn join(
    thread: std::io::Result<std::thread::ScopedJoinHandle<'_, Result<(), ()>>>,
    name: &str,
) -> Result<Result<(), ()>, RunError> {
    match thread.map(std::thread::ScopedJoinHandle::join) {
        Ok(Ok(ended)) => Ok(ended),
        Ok(Err(_)) => Err(RunError::Internal(format!("the {name} panicked"))),
        Err(e) => Err(RunError::no_thread(name, e)),
    }
}

fn encode(
    shared: &Shared<'_>,
    attempt: Attempt<'_>,
    token: &CancelToken,
    batches: Receiver<Batches>,
    items: Sender<Item>,
) -> Result<(), Stop> {
    let mut encoder = Encoder::new(shared, attempt, token.cx(), items);
    loop {
        match batches.recv()? {
            Batches::Batch(batch) => encoder.write(&batch)?,
            Batches::End { rows } => return encoder.finish(rows),
        }
    }
}

/// What is read, who listens to it, and how fast.
struct Source<'s, 'a> {
    session: &'s mut dyn Session,
    silence: &'s Silence<'a>,
    pace: &'s mut Pace<'a>,
}

fn read(
    shared: &Shared<'_>,
    attempt: Attempt<'_>,
    source: (&mut dyn Session, &Silence<'_>),
    shaper: &mut Shaper<'_>,
    token: &CancelToken,
    batches: Sender<Batches>,
) -> Result<Tally, Stop> {
    let cx = token.cx();
    let mut tally = Tally::default();
    let (session, silence) = source;
    let mut pace = Pace::new(shared.plan.throttle, shared.until_ms, shared.env.clock);
    for piece in silence.waiting(|| pieces(shared, attempt, session, &cx))? {
        read_piece(
            shared,
            piece,
            Source { session: &mut *session, silence, pace: &mut pace },
            &cx,
            &mut Onward { shaper: &mut *shaper, batches: &batches, tally: &mut tally },
        )?;
    }
    pace.settle(&cx);
    tally.rows_known = shaper.n_left_out();
    batches.send(Batches::End { rows: tally.rows }, 0)?;
    Ok(tally)
}

/// The scans that together read the split: itself, or smaller ones when a statement took too long.
fn pieces(
    shared: &Shared<'_>,
    attempt: Attempt<'_>,
    session: &mut dyn Session,
    cx: &HostCx,
) -> Result<Vec<Option<Split>>, Stop> {
    let whole = attempt.split.split.clone();
    if attempt.pieces <= 1 {
        return Ok(vec![whole]);
    }
    let request = SplitRequest {
        within: whole.clone(),
        filter: shared.plan.filter.clone(),
        ..SplitRequest::new(shared.plan.relation.clone(), attempt.pieces)
    };
    let smaller = session.split(&request, cx).map_err(failed(shared, "cut", attempt.split))?;
    Ok(if smaller.len() > 1 { smaller.into_iter().map(Some).collect() } else { vec![whole] })
}

/// Where batches of a split go.
struct Onward<'s, 'p> {
    shaper: &'s mut Shaper<'p>,
    batches: &'s Sender<Batches>,
    tally: &'s mut Tally,
}

fn read_piece(
    shared: &Shared<'_>,
    piece: Option<Split>,
    source: Source<'_, '_>,
    cx: &HostCx,
    onward: &mut Onward<'_, '_>,
) -> Result<(), Stop> {
    let plan = shared.plan;
    let most_bytes = shared.guard.batch_limit(shared.shares.max_batch_bytes);
    let scan = Scan {
        split: piece.clone(),
        filter: plan.filter.clone(),
        read: plan.read,
        types: plan.types,
        max_batch_rows: plan.max_batch_rows,
        max_batch_bytes: plan
            .max_batch_bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map_or(most_bytes, |bytes| bytes.min(most_bytes)),
        ..Scan::new(plan.relation.clone(), plan.schema.columns.clone())
    };
    let split = PlannedSplit { id: 0, split: piece };
    let Source { session, silence, pace } = source;
    let mut stream =
        silence.waiting(|| pace.working(|| session.scan(&scan, cx))).map_err(failed(shared, "read", &split))?;
    let changes = drift::differences(&plan.schema.arrow_schema(plan.types), &stream.schema());
    if !changes.is_empty() {
        let relation = plan.relation.label();
        return Err(Stop::Failed(RunError::Drift { relation, during_run: true, changes }));
    }
    while let Some(batch) =
        silence.waiting(|| pace.working(|| stream.next(cx))).map_err(failed(shared, "read", &split))?
    {
        let (rows, bytes) = (batch.num_rows(), batch.get_array_memory_size());
        let told = shared.guard.judge(&plan.relation.label(), rows, bytes).map_err(Stop::Failed)?;
        onward.tally.warnings.extend(told.filter(|told| !onward.tally.warnings.contains(told)));
        if let Some(batch) = onward.shaper.shape(batch).map_err(Stop::Failed)? {
            onward.tally.rows += batch.num_rows() as u64;
            onward.batches.send(Batches::Batch(batch), bytes)?;
        }
        shared.env.progress.read(&plan.export, rows as u64, bytes as u64);
        shared.env.faults.pass("batch_read");
        pace.pause(rows, cx);
        onward.tally.warnings.extend(shared.guard.relieve(cx));
    }
    let facts = stream.facts();
    let tally = &mut *onward.tally;
    tally.longest_statement_ms = tally.longest_statement_ms.max(facts.longest_statement_ms);
    tally.locks = tally.locks.max(facts.locks);
    tally.policy_hits.extend(facts.policy_hits);
    Ok(())
}

/// A source's error with relation and split; one that only follows from another step's failure is none.
fn failed<'a>(
    shared: &'a Shared<'_>,
    step: &'static str,
    split: &'a PlannedSplit,
) -> impl FnOnce(rivet_plugin_api::PluginError) -> Stop + use<'a> {
    let at = shared.plan.relation.label();
    move |e| {
        if e.kind() == ErrorKind::Cancelled {
            return Stop::Follows;
        }
        // By convention the end of the code of every source.
        let is_too_large = e.code().ends_with(".value_too_large");
        let e = match &shared.value_hint {
            Some(hint) if is_too_large => e.hint(hint.clone()),
            _ => e,
        };
        let e = if split.split.is_some() { e.detail("split", split.label()) } else { e };
        Stop::Failed(RunError::plugin(step, at)(e))
    }
}
