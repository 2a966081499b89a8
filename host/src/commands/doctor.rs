//! `rivet doctor`: what stands between the exports and their run.
//! It must not know which probes there are beyond their words, nor how one is made.

use rivet_core::doctor::{Examined, Outcome, examine};
use rivet_core::error::FailureClass;
use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;

use crate::cli::Global;
use crate::cli::doctor::DoctorArgs;
use crate::commands::run::{Tables, without_effects};
use crate::documents::VERSION;
use crate::documents::doctor::{DoctorDocument, ProbeRow};
use crate::exit::Exit;
use crate::out::{Colour, Text, shown};
use crate::render;

/// Runs the command.
pub fn run(args: &DoctorArgs, global: &Global) -> Exit {
    without_effects(&args.chosen.run("-"), global, Tables::ListedIfReached, |specs, env| doctor(specs, env, global))
}

fn doctor(specs: &[ExportSpec], env: &Env<'_>, global: &Global) -> Exit {
    let all = examine(specs, env);
    let failure = all.iter().find_map(first_failure);
    let probes = all.iter().flat_map(rows_of).collect();
    let document = DoctorDocument { version: VERSION, healthy: failure.is_none(), probes };
    render::document(global, &document, &document.probes, || {
        let texts: Vec<Text> = all.iter().map(|examined| text(examined, &rows_of(examined))).collect();
        Text::apart(&texts)
    });
    failure.map_or(Exit::Ok, Exit::from)
}

fn rows_of(examined: &Examined) -> Vec<ProbeRow> {
    examined.probes.iter().map(|probe| ProbeRow::of(examined, probe)).collect()
}

fn first_failure(examined: &Examined) -> Option<FailureClass> {
    examined.probes.iter().find_map(|probe| match &probe.outcome {
        Outcome::Failed(error) => Some(error.class()),
        _ => None,
    })
}

/// Columns that a mark and the space after it take.
const MARK_WIDTH: usize = 7;

fn text(examined: &Examined, rows: &[ProbeRow]) -> Text {
    // The identity of a destination names its plugin already.
    let name = match &examined.identity {
        Some(identity) if identity.starts_with(&examined.plugin) => identity.clone(),
        Some(identity) => format!("{} {identity}", examined.plugin),
        None => examined.plugin.clone(),
    };
    let mut text = Text::for_stdout();
    text.line(format_args!("{} {name}", examined.kind));
    let labels: Vec<String> = rows.iter().map(label).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    for (row, label) in rows.iter().zip(labels) {
        let (mark, colour) = match row.status {
            "ok" => ("[OK]", Some(Colour::Green)),
            "failed" => ("[FAIL]", Some(Colour::Red)),
            _ => ("[--]", None),
        };
        let gap = " ".repeat(MARK_WIDTH - mark.len());
        let said = row.error.as_ref().map(|e| format!("{}: {}", e.category, e.message)).or_else(|| row.fact.clone());
        let said = said.map_or(label.clone(), |said| format!("{label:<width$}  {said}"));
        text.spans(&[("  ", None), (mark, colour), (&gap, None), (&said, None)]);
        if let Some(error) = &row.error {
            text.line(format_args!("  {}fix: {}", " ".repeat(MARK_WIDTH), error.fix));
        }
    }
    text
}

/// What people call a probe.
fn label(row: &ProbeRow) -> String {
    let words = match (row.probe.as_str(), row.kind) {
        ("resolve", _) => "name resolution",
        ("tcp", _) => "TCP",
        ("tls", _) => "TLS",
        ("open", "source") => "session",
        ("write", _) => "write and delete",
        (word, _) => word,
    };
    match (&row.export, &row.relation) {
        // Shown as it is measured.
        (Some(export), Some(relation)) => shown(&format!("{words}, export '{export}' ({relation})")),
        _ => words.to_owned(),
    }
}
