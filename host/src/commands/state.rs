//! `rivet state`: what is remembered from run to run, shown.
//! It must not know how a cursor is changed.

use std::fmt::Write as _;

use rivet_core::error::RunError;
use rivet_core::state::State;

use super::chunks;
use super::cursor;
use super::files;
use super::history::{Opened, open, open_to_change};
use super::rebuild;
use crate::cli::Global;
use crate::cli::history::StateCommand;
use crate::documents::VERSION;
use crate::documents::history::{CursorRow, ExportRow, LockRow, RunRow, StateDocument};
use crate::exit::Exit;
use crate::out::{Colour, Text};
use crate::render::{self, counted, moment};

/// Runs the command.
pub fn run(command: &StateCommand, global: &Global) -> Exit {
    let opened = match command {
        StateCommand::Rebuild { config, export, param } => return rebuild::run(config, export, param, global),
        StateCommand::Show { file, .. }
        | StateCommand::Files { file, .. }
        | StateCommand::Chunks { file, .. }
        | StateCommand::Import { file, dry_run: true, .. } => open(file, global),
        StateCommand::ResetChunks { file, .. }
        | StateCommand::Set { file, .. }
        | StateCommand::Import { file, .. }
        | StateCommand::Reset { file, .. } => open_to_change(file, global),
    };
    match opened {
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
        StateCommand::Chunks { export, .. } => {
            let document = chunks::document(export, opened)?;
            render::document(global, &document, &document.runs, || chunks::text(&document));
        }
        StateCommand::ResetChunks { export, .. } => chunks::reset(export.as_deref(), opened, global)?,
        StateCommand::Set { export, cursor, file } => cursor::set(export, cursor, file, opened, global)?,
        StateCommand::Reset { export, .. } => cursor::reset(export, opened, global)?,
        // It opens the state itself.
        StateCommand::Rebuild { .. } => {}
        StateCommand::Import { from, export, dry_run, .. } => {
            return cursor::import(from, export, *dry_run, opened, global);
        }
    }
    Ok(Exit::Ok)
}

fn show(names: &[String], opened: &Opened) -> Result<StateDocument, RunError> {
    let names = if names.is_empty() { opened.all()? } else { opened.these(names)? };
    let mut exports = Vec::with_capacity(names.len());
    for name in &names {
        let views = opened.views(name)?;
        if views.is_empty() {
            exports.push(export_row(name, None)?);
        }
        for view in &views {
            let config = view.config().filter(|config| !opened.reads_config() && !config.is_empty());
            exports.push(ExportRow { config: config.map(str::to_owned), ..export_row(name, Some(view))? });
        }
    }
    Ok(StateDocument { version: VERSION, state: opened.path.display().to_string(), exports })
}

fn export_row(name: &str, state: Option<&State>) -> Result<ExportRow, RunError> {
    let mut row = ExportRow { export: name.to_owned(), config: None, cursor: None, last_run: None, lock: None };
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
        match &export.config {
            None => text.line(&export.export),
            Some(config) => text.line(format_args!("{} of {config}", export.export)),
        }
        match &export.cursor {
            None => text.line("  cursor    none"),
            Some(cursor) => {
                let by = if cursor.run_id == rivet_core::state::BY_HAND { "" } else { "by run " };
                text.line(format_args!("  cursor    {}", cursor.shown()));
                text.line(format_args!("            moved {} UTC {by}{}", moment(&cursor.updated_at), cursor.run_id));
                match cursor.fingerprint.as_str() {
                    "" => text.line("            of what the next run reads"),
                    digest => text.line(format_args!("            fingerprint {digest}")),
                }
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
    let rows = run.rows.map_or_else(String::new, |n| format!(", {}", counted(n, "row")));
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
