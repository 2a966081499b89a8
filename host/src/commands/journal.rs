//! `rivet journal`: the events of one run, or of the newest ones.
//! It must not know which kinds of events there are.

use rivet_core::clock::format_rfc3339;
use rivet_core::error::RunError;
use rivet_core::state::{Event, State};
use serde_json::Value;

use super::history::{Opened, open};
use crate::cli::Global;
use crate::cli::history::JournalArgs;
use crate::documents::VERSION;
use crate::documents::history::{EventRow, JournalDocument, JournalRow, RunRow};
use crate::exit::Exit;
use crate::out::Text;
use crate::out::table::{Side, Table};
use crate::render;

/// Runs the command.
pub fn run(args: &JournalArgs, global: &Global) -> Exit {
    let opened = match open(&args.file, global) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    match found(args, &opened) {
        Ok(runs) => {
            let events: Vec<EventRow> = runs.iter().flat_map(|run| run.events.clone()).collect();
            render::document(global, &document(&runs), &events, || {
                Text::apart(&runs.iter().map(text).collect::<Vec<_>>())
            });
            Exit::Ok
        }
        Err(error) => render::failure(global, &error),
    }
}

/// One run at least, the newest first.
fn document(runs: &[JournalRow]) -> JournalDocument {
    let JournalRow { run_id, run, events } = runs[0].clone();
    JournalDocument { version: VERSION, run_id, run, events, earlier: runs[1..].to_vec() }
}

fn found(args: &JournalArgs, opened: &Opened) -> Result<Vec<JournalRow>, RunError> {
    let names = opened.these(args.export.as_slice())?;
    let state = opened.state.as_ref().ok_or_else(no_runs)?;
    if let Some(run_id) = args.run_id.as_ref().or(args.run.as_ref()) {
        return Ok(vec![row(run_id, state)?]);
    }
    if names.is_empty() && args.export.is_some() {
        return Err(no_runs());
    }
    let newest = state.runs_of(&names, usize::try_from(args.last.unwrap_or(1)).unwrap_or(usize::MAX))?;
    if newest.is_empty() {
        return Err(no_runs());
    }
    newest.iter().map(|run| row(&run.run_id, state)).collect()
}

fn row(run_id: &str, state: &State) -> Result<JournalRow, RunError> {
    let run = state.run(run_id)?.map(|run| RunRow::of(&run, state)).transpose()?;
    let event = |e: Event| EventRow {
        run_id: run_id.to_owned(),
        at: format_rfc3339(e.at_ms),
        event: e.kind,
        details: e.details,
    };
    let events: Vec<EventRow> = state.events(run_id)?.into_iter().map(event).collect();
    if run.is_none() && events.is_empty() {
        return Err(RunError::Impossible {
            what: format!("no run is called '{run_id}'"),
            hint: "`rivet metrics` lists the last runs".to_owned(),
        });
    }
    Ok(JournalRow { run_id: run_id.to_owned(), run, events })
}

fn no_runs() -> RunError {
    RunError::Impossible { what: "no run is remembered yet".to_owned(), hint: "`rivet run` makes one".to_owned() }
}

fn text(journal: &JournalRow) -> Text {
    let mut table = Table::new(&[("TIME (UTC)", Side::Left), ("EVENT", Side::Left), ("DETAILS", Side::Left)]);
    for event in &journal.events {
        let time = event.at.replace('T', " ").replace('Z', "");
        // Drawn, it is read at once; written out, it is figures without end.
        let said = match event.event.as_str() {
            "timeline" => "pace, memory and pauses over time: `rivet report` draws them".to_owned(),
            _ => details(&event.details),
        };
        table.row(vec![time.into(), event.event.as_str().into(), said.into()]);
    }
    let mut text = Text::for_stdout();
    match &journal.run {
        Some(run) => text.line(format_args!("run {} of export '{}': {}", run.run_id, run.export, run.status)),
        None => text.line(format_args!("run {}: it was refused before it did anything", journal.run_id)),
    }
    table.write(&mut text);
    text
}

/// `key=value` for each member that says something.
fn details(value: &Value) -> String {
    let Some(map) = value.as_object() else { return String::new() };
    let said = map.iter().filter(|(_, value)| !value.is_null());
    let words: Vec<String> = said
        .map(|(key, value)| format!("{key}={}", value.as_str().map_or_else(|| short(value).to_string(), str::to_owned)))
        .collect();
    words.join(" ")
}

/// The value with a count in the place of each list: all of it is in the JSON.
fn short(value: &Value) -> Value {
    match value {
        Value::Array(items) => format!("{} items", items.len()).into(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), short(value))).collect(),
        other => other.clone(),
    }
}
