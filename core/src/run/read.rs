//! The reading step: one attempt's split, in as many scans as it needs, to batches in the shape they are written in.
//! It must not know how batches are encoded, nor when an attempt counts.

use rivet_plugin_api::{ErrorKind, HostCx, Scan, Session, Split, SplitRequest};

use super::channel::Sender;
use super::drift;
use super::pace::Pace;
use super::pipeline::{Attempt, Batches, Read, Shared, Stop, Tally};
use super::shape::Shaper;
use super::silence::Silence;
use crate::error::RunError;
use crate::plan::PlannedSplit;

/// What is read, who listens to it, and how fast.
struct Source<'s, 'a> {
    session: &'s mut dyn Session,
    silence: &'s Silence<'a>,
    pace: &'s mut Pace<'a>,
}

/// Reads the whole split and hands it on, its end included.
///
/// # Errors
/// `Failed` is the source's; the others ended before all was handed on.
pub fn read<'a>(
    shared: &Shared<'a>,
    attempt: Attempt<'a>,
    session: &mut dyn Session,
    cx: &HostCx,
    batches: &Sender<Batches<'a>>,
) -> Result<(), Stop> {
    let silence = Silence::new(shared.env, &shared.plan.export, attempt.split.label(), shared.silence_limit_ms);
    let mut shaper = Shaper::new(shared.plan, shared.seen, shared.observed);
    let tally = std::thread::scope(|scope| {
        // Without a watcher nothing is told, and all else is as it was.
        let watcher = std::thread::Builder::new().name("rivet-watch".to_owned());
        drop(watcher.spawn_scoped(scope, || silence.watch()));
        let watched = silence.until_dropped();
        let tally = read_pieces(shared, attempt, (session, &silence), cx, (&mut shaper, batches));
        drop(watched);
        tally
    })?;
    Ok(batches.send(Batches::End(Box::new(Read { tally, shaper })), 0)?)
}

fn read_pieces<'a>(
    shared: &Shared<'a>,
    attempt: Attempt<'a>,
    (session, silence): (&mut dyn Session, &Silence<'_>),
    cx: &HostCx,
    (shaper, batches): (&mut Shaper<'a>, &Sender<Batches<'a>>),
) -> Result<Tally, Stop> {
    let mut tally = Tally::default();
    let mut pace = Pace::new(shared.plan.throttle, shared.until_ms, shared.env.clock);
    for piece in silence.waiting(|| pieces(shared, attempt, session, cx))? {
        read_piece(
            shared,
            piece,
            Source { session: &mut *session, silence, pace: &mut pace },
            cx,
            &mut Onward { shaper: &mut *shaper, batches, tally: &mut tally },
        )?;
    }
    pace.settle(cx);
    tally.rows_known = shaper.n_left_out();
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
    batches: &'s Sender<Batches<'p>>,
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
        shared.env.faults.call("batch_read").map_err(Stop::Failed)?;
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
