//! `rivet validate`: whether what exports wrote is still as they wrote it.
//! It must not know what makes a part right.

use rivet_core::error::RunError;
use rivet_core::plural;
use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;
use rivet_core::run::audit::{Depth, Wanted, audit};

use crate::cli::Global;
use crate::cli::validate::{DepthArg, ValidateArgs};
use crate::commands::run::{Tables, without_effects};
use crate::documents::validate::{ValidateDocument, ValidatedRow};
use crate::documents::{ProblemRow, VERSION};
use crate::exit::Exit;
use crate::out::{Colour, Text};
use crate::render::{self, counted, size};

/// Runs the command.
pub fn run(args: &ValidateArgs, global: &Global) -> Exit {
    let wanted = Wanted {
        depth: match args.depth {
            DepthArg::Light => Depth::Light,
            DepthArg::Sample => Depth::Sample,
            DepthArg::Full => Depth::Full,
        },
        run_id: args.run_id.clone(),
        prefix: args.prefix.clone(),
    };
    let chosen = args.chosen.run("-");
    without_effects(&chosen, global, Tables::ListedIfReached, |specs, env| validate(specs, &wanted, env, global))
}

fn validate(specs: &[ExportSpec], wanted: &Wanted, env: &Env<'_>, global: &Global) -> Exit {
    let (mut rows, mut exits) = (Vec::new(), Vec::new());
    for spec in specs {
        audit(spec, wanted, env, &mut |audited, error| {
            exits.extend(error.as_ref().map(|e| Exit::from(e.class())));
            let error = error.map(|e| problem(&spec.name, &e));
            if !audited.findings.is_empty() {
                exits.push(Exit::Integrity);
            }
            rows.push(ValidatedRow::of(&spec.name, audited, error));
        });
    }
    let runs = rows.iter().filter(|row| row.run_id.is_some()).count();
    let document = ValidateDocument { version: VERSION, valid: exits.is_empty(), runs, exports: rows };
    render::document(global, &document, &document.exports, || Text::apart(&texts(&document)));
    match exits[..] {
        [] => Exit::Ok,
        // What is damaged comes before what could not be looked at.
        _ if exits.contains(&Exit::Integrity) => Exit::Integrity,
        [first, ..] if exits.iter().all(|exit| *exit == first) => first,
        _ => Exit::Several,
    }
}

fn problem(export: &str, e: &RunError) -> ProblemRow {
    ProblemRow::of_export(export, &e.code(), &e.to_string(), e.hint())
}

fn texts(document: &ValidateDocument) -> Vec<Text> {
    let mut sum = Text::for_stdout();
    sum.line(format_args!("{} run{} looked at", document.runs, plural::s(document.runs)));
    document.exports.iter().map(text).chain([sum]).collect()
}

fn text(row: &ValidatedRow) -> Text {
    let mut text = Text::for_stdout();
    let failed = row.error.is_some() || !row.findings.is_empty();
    let (mark, colour, gap) = if failed { ("[FAIL]", Colour::Red, " ") } else { ("[OK]", Colour::Green, "  ") };
    let run = row.run_id.as_deref().map(|run| format!(", run {run}")).unwrap_or_default();
    let head = format!("{}{run}", row.export);
    text.spans(&[(mark, Some(colour)), (gap, None), (&head, None)]);
    if row.run_id.is_some() {
        text.line(format_args!(
            "  {} part{}, {} of them read; {}, {}",
            row.parts,
            plural::s(row.parts),
            row.parts_read,
            counted(row.rows, "row"),
            size(row.bytes)
        ));
    }
    for finding in &row.findings {
        text.line(format_args!("  {}: {} {}", finding.code, finding.object, finding.message));
    }
    if let Some(error) = &row.error {
        text.line(format_args!("  {}", error.message));
        if let Some(hint) = &error.hint {
            text.line(format_args!("  hint: {hint}"));
        }
    }
    text
}
