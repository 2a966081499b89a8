//! `rivet state`: what is remembered from run to run, shown and changed.
//! It must not know how values of a cursor compare.

use std::fmt::Write as _;

use rivet_core::error::RunError;
use rivet_core::plan::Mark;
use rivet_core::state::{Holder, State, StoredCursor};

use super::files;
use super::history::{Opened, open};
use crate::cli::Global;
use crate::cli::history::{StateCommand, StateFile};
use crate::documents::VERSION;
use crate::documents::history::{CursorDocument, CursorRow, ExportRow, LockRow, RunRow, StateDocument};
use crate::exit::Exit;
use crate::out::{Colour, Text};
use crate::render::{self, grouped, moment};

/// Runs the command.
pub fn run(command: &StateCommand, global: &Global) -> Exit {
    let (StateCommand::Show { file, .. }
    | StateCommand::Files { file, .. }
    | StateCommand::Set { file, .. }
    | StateCommand::Reset { file, .. }) = command;
    match open(file, global) {
        Ok(opened) => dispatch(command, &opened, global).unwrap_or_else(|error| render::failure(global, &error)),
        Err(exit) => exit,
    }
}

fn dispatch(command: &StateCommand, opened: &Opened, global: &Global) -> Result<Exit, RunError> {
    match command {
        StateCommand::Show { export, .. } => {
            let document = show(export, opened)?;
            render::document(global, &document, &document.exports, || shown(&document));
        }
        StateCommand::Files { export, last, .. } => {
            let document = files::document(export, *last, opened)?;
            render::document(global, &document, &document.files, || files::text(&document));
        }
        StateCommand::Set { export, cursor, file } => {
            let document =
                change(export, opened, "rivet state set", |state, old| set(export, state, old, cursor, file))?;
            render::document(global, &document, std::slice::from_ref(&document), || changed(&document));
        }
        StateCommand::Reset { export, .. } => {
            let document =
                change(export, opened, "rivet state reset", |state, _| Ok(state.reset_cursor(export).map(drop)?))?;
            render::document(global, &document, std::slice::from_ref(&document), || changed(&document));
        }
    }
    Ok(Exit::Ok)
}

fn show(names: &[String], opened: &Opened) -> Result<StateDocument, RunError> {
    let names = if names.is_empty() { opened.all()? } else { opened.these(names)? };
    let exports = names.iter().map(|name| export_row(name, opened.state.as_ref())).collect::<Result<_, _>>()?;
    Ok(StateDocument { version: VERSION, state: opened.path.display().to_string(), exports })
}

fn export_row(name: &str, state: Option<&State>) -> Result<ExportRow, RunError> {
    let mut row = ExportRow { export: name.to_owned(), cursor: None, last_run: None, lock: None };
    if let Some(state) = state {
        row.cursor = state.cursor(name)?.map(|c| CursorRow::of(name, &c, state)).transpose()?;
        let last = state.runs_of(&[name.to_owned()], 1)?;
        row.last_run = last.first().map(|run| RunRow::of(run, state)).transpose()?;
        row.lock = state.lock_holder(name)?.map(LockRow::from);
    }
    Ok(row)
}

fn shown(document: &StateDocument) -> Text {
    let mut text = Text::for_stdout();
    text.line(format_args!("state {}", document.state));
    for export in &document.exports {
        text.line("");
        text.line(&export.export);
        match &export.cursor {
            None => text.line("  cursor    none"),
            Some(cursor) => {
                let by = if cursor.run_id == rivet_core::state::BY_HAND { "" } else { "by run " };
                text.line(format_args!("  cursor    {}", cursor.shown()));
                text.line(format_args!("            moved {} UTC {by}{}", moment(&cursor.updated_at), cursor.run_id));
                text.line(format_args!("            fingerprint {}", cursor.fingerprint));
                let parts = [("source", &cursor.source), ("relation", &cursor.relation), ("to", &cursor.destination)];
                for (word, part) in parts {
                    if let Some(part) = part {
                        text.line(format_args!("            {word} {part}"));
                    }
                }
            }
        }
        match &export.last_run {
            None => text.line("  last run  none"),
            Some(run) => {
                let [(status, colour), (rest, _)] = &ended(run);
                text.spans(&[
                    ("  last run  ", None),
                    (&run.run_id, None),
                    (" ", None),
                    (status, *colour),
                    (rest, None),
                ]);
            }
        }
        if let Some(lock) = &export.lock {
            text.line(format_args!("  running   {}", holder(lock)));
        }
    }
    text
}

/// The status in its colour, and all else.
fn ended(run: &RunRow) -> [(String, Option<Colour>); 2] {
    let rows = run.rows.map_or_else(String::new, |n| format!(", {} rows", grouped(n)));
    let error = run.error.as_ref().map_or_else(String::new, |e| format!(" ({})", e.code));
    let time = match &run.ended_at {
        Some(end) => format!(", finished {} UTC", moment(end)),
        None => format!(", started {} UTC", moment(&run.started_at)),
    };
    [(run.status.clone(), render::status_colour(&run.status)), (format!("{error}{rows}{time}"), None)]
}

fn holder(lock: &LockRow) -> String {
    let mut text = match lock.pid {
        Some(pid) => format!("process {pid}"),
        None => "by an unknown process".to_owned(),
    };
    if let Some(host) = &lock.host {
        let _ = write!(text, " on {host}");
    }
    if let Some(since) = &lock.since {
        let _ = write!(text, " since {} UTC", moment(since));
    }
    if let (Some(command), Some(run_id)) = (&lock.command, &lock.run_id) {
        let _ = write!(text, " ({command}, run {run_id})");
    }
    text
}

/// Changes the cursor while nobody runs the export.
fn change(
    export: &String,
    opened: &Opened,
    command: &str,
    work: impl FnOnce(&State, &StoredCursor) -> Result<(), RunError>,
) -> Result<CursorDocument, RunError> {
    opened.one(export)?;
    let nothing = || RunError::Impossible {
        what: format!("export '{export}' has no cursor"),
        hint: "the first run of an incremental export stores one; exports of other modes have none".to_owned(),
    };
    let state = opened.state.as_ref().ok_or_else(nothing)?;
    let _lock = state.lock_export(export, &Holder::this_process("none", command))?;
    let old = state.cursor(export)?.ok_or_else(nothing)?;
    let before = CursorRow::of(export, &old, state)?;
    work(state, &old)?;
    let new = state.cursor(export)?.map(|c| CursorRow::of(export, &c, state)).transpose()?;
    Ok(CursorDocument { version: VERSION, export: export.clone(), old: Some(before), new })
}

fn set(export: &str, state: &State, old: &StoredCursor, text: &str, file: &StateFile) -> Result<(), RunError> {
    if text.is_empty() {
        return Err(RunError::Impossible {
            what: "the new value of the cursor is empty".to_owned(),
            hint: format!("to read everything, use `rivet state reset -e {export}{}`", where_from(file)),
        });
    }
    let mark: Mark = serde_json::from_value(old.value.clone()).map_err(|_| RunError::Integrity {
        what: format!("the stored cursor of '{export}' cannot be read"),
        hint: format!("forget it with `rivet state reset -e {export}{}`", where_from(file)),
    })?;
    let value = serde_json::to_value(mark.moved_to(text)).map_err(|e| RunError::Internal(e.to_string()))?;
    Ok(state.set_cursor(export, old, &value)?)
}

/// The words that lead a further command to the same state.
fn where_from(file: &StateFile) -> String {
    match &file.state {
        Some(path) => format!(" --state {}", path.display()),
        None => format!(" -c {}", file.config.display()),
    }
}

fn changed(document: &CursorDocument) -> Text {
    let shown = |row: &Option<CursorRow>| row.as_ref().map_or_else(|| "none".to_owned(), CursorRow::shown);
    let mut text = Text::for_stdout();
    text.line(&document.export);
    text.line(format_args!("  old cursor  {}", shown(&document.old)));
    text.line(format_args!("  new cursor  {}", shown(&document.new)));
    text
}
