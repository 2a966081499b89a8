//! `rivet state chunks` and `rivet state reset-chunks`: how far a run has come, and that nothing of it is kept.
//! It must not know when a run can be gone on with.

use std::collections::BTreeMap;

use rivet_core::clock::format_rfc3339;
use rivet_core::error::RunError;
use rivet_core::plan::Plan;
use rivet_core::state::{Checkpoint, Holder, Phase, RunEntry, State};

use super::history::Opened;
use crate::cli::Global;
use crate::documents::VERSION;
use crate::documents::chunks::{ChunkRow, ChunkRunRow, ChunksDocument, ResetDocument, ResetRow};
use crate::documents::history::RunRow;
use crate::out::Text;
use crate::out::table::{Side, Table};
use crate::render::{self, counted, grouped, moment};

/// The runs of these exports, of all where none is named.
///
/// # Errors
/// `Impossible` for a name that is not known; the state's.
pub fn document(exports: &[String], opened: &Opened) -> Result<ChunksDocument, RunError> {
    let names = if exports.is_empty() { opened.all()? } else { opened.these(exports)? };
    let mut runs = Vec::new();
    for name in &names {
        for state in opened.views(name)? {
            let Some(run_id) = state.last_planned_run(name)? else { continue };
            if let Some(run) = state.run(&run_id)? {
                runs.extend(of_run(&run, &state)?);
            }
        }
    }
    Ok(ChunksDocument { version: VERSION, runs })
}

/// A run as a row; none where an older version planned it in a way that cannot be read.
fn of_run(run: &RunEntry, state: &State) -> Result<Option<ChunkRunRow>, RunError> {
    let plan = state.plan_of(&run.run_id)?.and_then(|plan| serde_json::from_value::<Plan>(plan).ok());
    let Some(plan) = plan else { return Ok(None) };
    let progress = state.progress_of(&run.run_id)?;
    let mut parts: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
    for part in state.parts_of(&run.run_id)? {
        let (rows, files) = parts.entry(part.split_id).or_default();
        (*rows, *files) = (*rows + part.part.rows, *files + 1);
    }
    let done: BTreeMap<u32, &Checkpoint> = progress.checkpoints.iter().map(|c| (c.done.split_id, c)).collect();
    let chunks: Vec<ChunkRow> = plan
        .splits
        .iter()
        .map(|split| {
            let checkpoint = done.get(&split.id);
            let (rows, files) = parts.get(&split.id).copied().unwrap_or_default();
            let attempts = progress.attempts.get(&split.id).copied().unwrap_or_default();
            let attempts = attempts.max(checkpoint.map_or(0, |c| c.done.attempt + 1));
            let status = match (checkpoint, attempts) {
                (Some(_), _) => "completed",
                (None, 0) => "pending",
                (None, _) => "begun",
            };
            ChunkRow {
                chunk: split.id,
                label: split.label(),
                status: status.to_owned(),
                attempts,
                rows: checkpoint.map(|_| rows),
                files: checkpoint.map(|_| files),
                epoch: checkpoint.map(|c| c.done.epoch),
                completed_at: checkpoint.and_then(|c| c.at_ms).map(format_rfc3339),
            }
        })
        .collect();
    Ok(Some(ChunkRunRow {
        export: run.export.clone(),
        run_id: run.run_id.clone(),
        status: status(run, state)?,
        strategy: plan.strategy.clone(),
        plan_hash: plan.fingerprint.hash(),
        started_at: format_rfc3339(run.started_at_ms),
        completed: progress.checkpoints.len(),
        rows: chunks.iter().filter_map(|chunk| chunk.rows).sum(),
        chunks,
    }))
}

fn status(run: &RunEntry, state: &State) -> Result<String, RunError> {
    let is_reset = || -> Result<bool, RunError> {
        let left = state.unfinished_run(&run.export)?;
        Ok(left.is_some_and(|left| left.run_id == run.run_id && left.is_reset))
    };
    Ok(match run.phase {
        Phase::Finished => "completed".to_owned(),
        Phase::Extracting | Phase::Judged => match RunRow::of(run, state)?.status.as_str() {
            "unfinished" if is_reset()? => "reset".to_owned(),
            "unfinished" => "in_progress".to_owned(),
            other => other.to_owned(),
        },
        over => over.name().to_owned(),
    })
}

const COLUMNS: [(&str, Side); 6] = [
    ("CHUNK", Side::Right),
    ("STATUS", Side::Left),
    ("ATTEMPTS", Side::Right),
    ("ROWS", Side::Right),
    ("COMPLETED (UTC)", Side::Left),
    ("WHAT", Side::Left),
];

/// The document as tables.
pub fn text(document: &ChunksDocument) -> Text {
    let mut text = Text::for_stdout();
    if document.runs.is_empty() {
        text.line("no chunks: no run has planned any yet");
    }
    for (i, run) in document.runs.iter().enumerate() {
        if i > 0 {
            text.line("");
        }
        text.spans(&[
            (&run.export, None),
            ("  run ", None),
            (&run.run_id, None),
            ("  status: ", None),
            (&run.status, render::status_colour(&run.status)),
        ]);
        let (done, of, rows) = (run.completed, run.chunks.len(), counted(run.rows, "row"));
        text.line(format_args!("  {}, plan_hash {}", run.strategy, run.plan_hash));
        text.line(format_args!("  {done} of {of} completed, {rows}"));
        let mut table = Table::new(&COLUMNS);
        for chunk in &run.chunks {
            table.row(vec![
                chunk.chunk.to_string().into(),
                chunk.status.as_str().into(),
                chunk.attempts.to_string().into(),
                chunk.rows.map_or_else(|| "–".to_owned(), grouped).into(),
                chunk.completed_at.as_deref().map_or_else(|| "–".to_owned(), moment).into(),
                chunk.label.as_str().into(),
            ]);
        }
        table.write(&mut text);
    }
    text
}

/// Says that nothing is kept of the interrupted run of an export, or of all that are not running.
///
/// # Errors
/// `Impossible` for a name that is not known; `Locked` when that export runs; the state's.
pub fn reset(export: Option<&str>, opened: &Opened, global: &Global) -> Result<(), RunError> {
    let names = match export {
        Some(name) => opened.these(&[name.to_owned()])?,
        None => opened.all()?,
    };
    let mut reset = Vec::new();
    for name in &names {
        for state in opened.views(name)? {
            let holder = Holder::this_process("none", "rivet state reset-chunks");
            let _lock = match state.lock_export(name, &holder) {
                Err(rivet_core::state::StateError::Locked { .. }) if export.is_none() => continue,
                locked => locked?,
            };
            let Some(run) = state.unfinished_run(name)?.filter(|run| run.phase == Phase::Extracting) else { continue };
            state.reset_run(&run.run_id)?;
            reset.push(ResetRow { export: name.clone(), run_id: run.run_id, completed: run.splits.len() });
        }
    }
    let document = ResetDocument { version: VERSION, reset };
    render::document(global, &document, &document.reset, || {
        let mut text = Text::for_stdout();
        if document.reset.is_empty() {
            text.line("nothing to reset: no run was interrupted");
        }
        for ResetRow { export, run_id, completed } in &document.reset {
            text.line(format_args!(
                "{export}: run {run_id} with {completed} completed chunks is reset; the next run discards them and starts anew"
            ));
        }
        text
    });
    Ok(())
}
