//! `rivet metrics`: the last runs as a table.
//! It must not know how a run works.

use rivet_core::error::RunError;

use super::history::{Opened, open};
use crate::cli::Global;
use crate::cli::history::MetricsArgs;
use crate::documents::VERSION;
use crate::documents::history::{MetricsDocument, RunRow};
use crate::exit::Exit;
use crate::out::Text;
use crate::out::table::{Cell, Side, Table};
use crate::render::{self, grouped, moment, size};

/// Runs the command.
pub fn run(args: &MetricsArgs, global: &Global) -> Exit {
    let opened = match open(&args.file, global) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    match rows(args, &opened) {
        Ok(runs) => {
            let document = MetricsDocument { version: VERSION, runs };
            render::document(global, &document, &document.runs, || text(&document.runs));
            Exit::Ok
        }
        Err(error) => render::failure(global, &error),
    }
}

fn rows(args: &MetricsArgs, opened: &Opened) -> Result<Vec<RunRow>, RunError> {
    let names = opened.these(&args.export)?;
    let Some(state) = &opened.state else { return Ok(Vec::new()) };
    if names.is_empty() && !args.export.is_empty() {
        return Ok(Vec::new());
    }
    let runs = state.runs_of(&names, usize::try_from(args.last).unwrap_or(usize::MAX))?;
    runs.iter().map(|run| Ok(RunRow::of(run, state)?)).collect()
}

const COLUMNS: [(&str, Side); 17] = [
    ("RUN ID", Side::Left),
    ("EXPORT", Side::Left),
    ("STATUS", Side::Left),
    ("MODE", Side::Left),
    ("PROFILE", Side::Left),
    ("FORMAT", Side::Left),
    ("STARTED (UTC)", Side::Left),
    ("DURATION", Side::Right),
    ("ROWS", Side::Right),
    ("FILES", Side::Right),
    ("BYTES", Side::Right),
    ("ROWS/S", Side::Right),
    ("PEAK RSS", Side::Right),
    ("RETRIES", Side::Right),
    ("VALIDATED", Side::Left),
    ("SCHEMA", Side::Left),
    ("ERROR", Side::Left),
];

fn text(runs: &[RunRow]) -> Text {
    let mut text = Text::for_stdout();
    if runs.is_empty() {
        text.line("no runs yet");
        return text;
    }
    let mut table = Table::new(&COLUMNS);
    let shown = |n: Option<u64>, show: fn(u64) -> String| Cell::from(n.map_or_else(|| "–".to_owned(), show));
    let word = |text: Option<&str>| Cell::from(text.unwrap_or("–"));
    for run in runs {
        table.row(vec![
            run.run_id.as_str().into(),
            run.export.as_str().into(),
            Cell::painted(&run.status, render::status_colour(&run.status)),
            word(run.mode.as_deref()),
            word(run.profile.as_deref()),
            word(run.format.as_deref()),
            moment(&run.started_at).into(),
            shown(run.duration_ms, render::duration),
            shown(run.rows, grouped),
            shown(run.files, grouped),
            shown(run.bytes, size),
            shown(run.rows_per_second, grouped),
            shown(run.peak_rss_bytes, size),
            shown(run.retries, grouped),
            word(run.validated.filter(|passed| *passed).map(|_| "pass")),
            word(run.schema_changed.map(|changed| if changed { "CHANGED" } else { "unchanged" })),
            run.error.as_ref().map_or("", |e| e.code.as_str()).into(),
        ]);
    }
    table.write(&mut text);
    text
}
