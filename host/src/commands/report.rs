//! `rivet report`: a page about runs.
//! It must not know what a page shows.

use std::path::Path;

use rivet_core::error::RunError;
use rivet_core::state::{RunEntry, State};
use serde_json::Value;

use super::history::{Opened, open};
use crate::cli::Global;
use crate::cli::report::ReportArgs;
use crate::documents::VERSION;
use crate::documents::history::ReportDocument;
use crate::exit::Exit;
use crate::out::Text;
use crate::render;
use crate::report;

/// Runs the command.
pub fn run(args: &ReportArgs, global: &Global) -> Exit {
    let opened = match open(&args.file, global) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    match write(args, &opened, global) {
        Ok(()) => Exit::Ok,
        Err(error) => render::failure(global, &error),
    }
}

fn write(args: &ReportArgs, opened: &Opened, global: &Global) -> Result<(), RunError> {
    let state = opened.state.as_ref().ok_or_else(no_runs)?;
    let runs = chosen(args, opened, state)?;
    let page = report::page(&runs, state, &global.streams.secrets)?;
    if args.out == "-" {
        global.streams.data(&Text::ours(page));
        return Ok(());
    }
    std::fs::write(Path::new(&args.out), page).map_err(|e| RunError::Impossible {
        what: format!("'{}' cannot be written: {e}", args.out),
        hint: "name another file with -o".to_owned(),
    })?;
    let runs = runs.into_iter().map(|run| run.run_id).collect();
    let document = ReportDocument { version: VERSION, file: args.out.clone(), runs };
    render::document(global, &document, std::slice::from_ref(&document), || {
        let mut text = Text::for_stdout();
        text.line(&args.out);
        text
    });
    Ok(())
}

/// The runs that are asked for; at least one.
fn chosen(args: &ReportArgs, opened: &Opened, state: &State) -> Result<Vec<RunEntry>, RunError> {
    if let Some(run_id) = &args.run_id {
        let run = state.run(run_id)?.ok_or_else(|| RunError::Impossible {
            what: format!("no run is called '{run_id}'"),
            hint: "`rivet metrics` lists the last runs".to_owned(),
        })?;
        return Ok(vec![run]);
    }
    let newest = |names: &[String]| Ok::<_, RunError>(state.runs_of(names, 1)?.into_iter().next());
    let mut runs = Vec::new();
    if args.export.is_empty() {
        runs = newest(&[])?.map(|run| together(run, state)).transpose()?.unwrap_or_default();
    } else {
        for name in opened.these(&args.export)? {
            runs.extend(newest(&[name])?);
        }
    }
    if runs.is_empty() { Err(no_runs()) } else { Ok(runs) }
}

/// All runs that were started together with one.
fn together(run: RunEntry, state: &State) -> Result<Vec<RunEntry>, RunError> {
    const STARTED: &str = "run_started";
    let events = state.events(&run.run_id)?;
    let details = events.iter().find(|event| event.kind == STARTED).map(|event| &event.details["invocation"]);
    let Some(invocation) = details.and_then(Value::as_str) else { return Ok(vec![run]) };
    let runs = state.runs_with(STARTED, "invocation", invocation)?;
    Ok(if runs.is_empty() { vec![run] } else { runs })
}

fn no_runs() -> RunError {
    RunError::Impossible { what: "no run is remembered yet".to_owned(), hint: "`rivet run` makes one".to_owned() }
}
