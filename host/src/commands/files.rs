//! `rivet state files`: the newest files that good runs have written.
//! It must not know whether they are still there.

use rivet_core::clock::format_rfc3339;
use rivet_core::error::RunError;
use rivet_core::state::{Phase, RunEntry, State};

use super::history::Opened;
use crate::documents::VERSION;
use crate::documents::history::{FileRow, FilesDocument, RunRow};
use crate::out::Text;
use crate::out::table::{Side, Table};
use crate::render::{grouped, moment, size};

/// The newest `last` files of these exports, of all where none is named.
///
/// # Errors
/// `Impossible` for a name that is not known; the state's.
pub fn document(exports: &[String], last: u32, opened: &Opened) -> Result<FilesDocument, RunError> {
    let names = opened.these(exports)?;
    let n_wanted = usize::try_from(last).unwrap_or(usize::MAX);
    let mut files = Vec::new();
    if let Some(state) = opened.state.as_ref().filter(|_| exports.is_empty() || !names.is_empty()) {
        for run in state.runs_of(&names, usize::MAX)?.iter().filter(|run| run.phase == Phase::Finished) {
            if files.len() >= n_wanted {
                break;
            }
            files.extend(of_run(run, state)?);
        }
    }
    files.truncate(n_wanted);
    Ok(FilesDocument { version: VERSION, files })
}

fn of_run(run: &RunEntry, state: &State) -> Result<Vec<FileRow>, RunError> {
    let parts = state.parts_of(&run.run_id)?;
    let row = RunRow::of(run, state)?;
    let locations = run.summary["locations"].as_array().filter(|l| l.len() == parts.len());
    let compression = run.summary["compression"].as_str();
    let file = |(i, part): (usize, rivet_core::state::RecordedPart)| {
        let location = locations.and_then(|l| l[i].as_str()).unwrap_or(&part.part.name).to_owned();
        FileRow {
            run_id: run.run_id.clone(),
            export: run.export.clone(),
            format: row.format.clone(),
            compression: compression.map(str::to_owned),
            created_at: run.ended_at_ms.map(format_rfc3339),
            name: part.part.name,
            path: location,
            split: part.split_id,
            rows: part.part.rows,
            bytes: part.part.bytes,
            digest: part.part.digest,
        }
    };
    Ok(parts.into_iter().enumerate().map(file).collect())
}

const COLUMNS: [(&str, Side); 8] = [
    ("RUN ID", Side::Left),
    ("EXPORT", Side::Left),
    ("CREATED (UTC)", Side::Left),
    ("FORMAT", Side::Left),
    ("COMPRESSION", Side::Left),
    ("ROWS", Side::Right),
    ("BYTES", Side::Right),
    ("FILE", Side::Left),
];

/// The document as a table.
pub fn text(document: &FilesDocument) -> Text {
    let mut text = Text::for_stdout();
    if document.files.is_empty() {
        text.line("no files: no run has written any yet");
        return text;
    }
    let mut table = Table::new(&COLUMNS);
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    for file in &document.files {
        table.row(vec![
            file.run_id.as_str().into(),
            file.export.as_str().into(),
            file.created_at.as_deref().map_or_else(|| "–".to_owned(), moment).into(),
            word(&file.format).into(),
            word(&file.compression).into(),
            grouped(file.rows).into(),
            size(file.bytes).into(),
            file.path.as_str().into(),
        ]);
    }
    table.write(&mut text);
    text
}
