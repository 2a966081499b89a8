//! `rivet state rebuild`: the state made again of what the destinations say.
//! It must not know what a manifest says.

use std::path::{Path, PathBuf};

use rivet_core::run::rebuild::rebuild;
use rivet_core::state::State;

use super::run::{Tables, at_state};
use crate::cli::{Global, RunArgs};
use crate::documents::VERSION;
use crate::documents::chunks::{RebuildDocument, RebuildRow};
use crate::exit::Exit;
use crate::out::Text;
use crate::render;

/// Runs the command; one export that cannot be made again does not keep the others from it.
pub fn run(config: &Path, export: &[String], param: &[(String, String)], global: &Global) -> Exit {
    let args =
        RunArgs { config: PathBuf::from(config), export: export.to_vec(), param: param.to_vec(), ..RunArgs::default() };
    at_state(&args, global, Tables::Listed, State::open, |specs, env| {
        let (mut exports, mut failures) = (Vec::new(), Vec::new());
        for spec in specs {
            match rebuild(spec, env) {
                Ok(rebuilt) => exports.push(RebuildRow {
                    export: spec.name.clone(),
                    runs: rebuilt.runs,
                    files: rebuilt.n_parts,
                    cursor: rebuilt.cursor,
                    left_out: rebuilt.left_out,
                }),
                Err(error) => {
                    failures.push(error.class());
                    render::failure(global, &error);
                }
            }
        }
        let document = RebuildDocument { version: VERSION, exports };
        if !document.exports.is_empty() {
            render::document(global, &document, &document.exports, || text(&document));
        }
        Exit::of(&failures)
    })
}

fn text(document: &RebuildDocument) -> Text {
    let mut text = Text::for_stdout();
    for row in &document.exports {
        let (n_runs, files) = (row.runs.len(), row.files);
        text.line(format_args!("{}: {n_runs} runs with {files} files are recorded", row.export));
        if let Some(cursor) = &row.cursor {
            text.line(format_args!("  cursor {cursor}; rows at this value come again with the next run"));
        }
        row.left_out.iter().for_each(|told| text.line(format_args!("  left out: {told}")));
    }
    text
}
