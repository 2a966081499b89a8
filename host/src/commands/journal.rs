//! `rivet journal`: the events of one run.
//! It must not know which kinds of events there are.

use rivet_core::clock::format_rfc3339;
use rivet_core::error::RunError;
use rivet_core::state::State;
use serde_json::Value;

use super::history::{Opened, open};
use crate::cli::Global;
use crate::cli::history::JournalArgs;
use crate::documents::VERSION;
use crate::documents::history::{EventRow, JournalDocument, RunRow};
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
    match document(args, &opened) {
        Ok(document) => {
            render::document(global, &document, &document.events, || text(&document));
            Exit::Ok
        }
        Err(error) => render::failure(global, &error),
    }
}

fn document(args: &JournalArgs, opened: &Opened) -> Result<JournalDocument, RunError> {
    let names = opened.these(args.export.as_slice())?;
    let state = opened.state.as_ref().ok_or_else(no_runs)?;
    let run_id = match &args.run_id {
        Some(run_id) => run_id.clone(),
        None if names.is_empty() && args.export.is_some() => return Err(no_runs()),
        None => newest(&names, state)?,
    };
    let run = state.run(&run_id)?.map(|run| RunRow::of(&run, state)).transpose()?;
    let events: Vec<EventRow> = state
        .events(&run_id)?
        .into_iter()
        .map(|e| EventRow { at: format_rfc3339(e.at_ms), event: e.kind, details: e.details })
        .collect();
    if run.is_none() && events.is_empty() {
        return Err(RunError::Impossible {
            what: format!("no run is called '{run_id}'"),
            hint: "`rivet metrics` lists the last runs".to_owned(),
        });
    }
    Ok(JournalDocument { version: VERSION, run_id, run, events })
}

fn newest(names: &[String], state: &State) -> Result<String, RunError> {
    let newest = state.runs_of(names, 1)?.into_iter().next();
    newest.map(|run| run.run_id).ok_or_else(no_runs)
}

fn no_runs() -> RunError {
    RunError::Impossible { what: "no run is remembered yet".to_owned(), hint: "`rivet run` makes one".to_owned() }
}

fn text(document: &JournalDocument) -> Text {
    let mut table = Table::new(&[("TIME (UTC)", Side::Left), ("EVENT", Side::Left), ("DETAILS", Side::Left)]);
    for event in &document.events {
        let time = event.at.replace('T', " ").replace('Z', "");
        table.row(vec![time.into(), event.event.as_str().into(), details(&event.details).into()]);
    }
    let mut text = Text::for_stdout();
    match &document.run {
        Some(run) => text.line(format_args!("run {} of export '{}': {}", run.run_id, run.export, run.status)),
        None => text.line(format_args!("run {}: it was refused before it did anything", document.run_id)),
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
