//! `rivet doctor`: what stands between the exports and their run.
//! It must not know which probes there are beyond their words, nor how one is made.

use std::sync::PoisonError;

use rivet_core::doctor::{Examined, Outcome, examine};
use rivet_core::error::FailureClass;
use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;

use crate::cli::doctor::DoctorArgs;
use crate::cli::{Global, Held};
use crate::commands::run::{Tables, without_effects};
use crate::documents::VERSION;
use crate::documents::doctor::{DoctorDocument, ProbeRow};
use crate::exit::Exit;
use crate::out::{Colour, Text, shown};
use crate::render;

/// Runs the command.
pub fn run(args: &DoctorArgs, global: &Global) -> Exit {
    let held = Held::default();
    let holding = Global { held: Some(held.clone()), ..global.clone() };
    let chosen = args.chosen.run("-");
    let exit = without_effects(&chosen, &holding, Tables::ListedIfReached, |specs, env| doctor(specs, env, global));
    // What keeps a command from its exports is a line among the others here.
    let problems = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
    if !problems.is_empty() {
        let rows = problems.iter().map(|problem| ProbeRow::of_config(Some(problem))).collect();
        show(&[], rows, global);
    }
    exit
}

fn doctor(specs: &[ExportSpec], env: &Env<'_>, global: &Global) -> Exit {
    let all = examine(specs, env);
    show(&all, vec![ProbeRow::of_config(None)], global);
    all.iter().find_map(first_failure).map_or(Exit::Ok, Exit::from)
}

fn show(all: &[Examined], of_config: Vec<ProbeRow>, global: &Global) {
    let mut texts = vec![config_text(&of_config)];
    let mut probes = of_config;
    for examined in all {
        let rows: Vec<ProbeRow> = examined.probes.iter().map(|probe| ProbeRow::of(examined, probe)).collect();
        texts.push(text(examined, &rows));
        probes.extend(rows);
    }
    texts.push(closing(&probes));
    let healthy = probes.iter().all(|probe| probe.status != "failed");
    let document = DoctorDocument { version: VERSION, healthy, probes };
    render::document(global, &document, &document.probes, || Text::apart(&texts));
}

fn first_failure(examined: &Examined) -> Option<FailureClass> {
    examined.probes.iter().find_map(|probe| match &probe.outcome {
        Outcome::Failed(error) => Some(error.class()),
        _ => None,
    })
}

/// Columns that a mark and the space after it take.
const MARK_WIDTH: usize = 7;

fn mark(status: &str) -> (&'static str, Option<Colour>) {
    match status {
        "ok" => ("[OK]", Some(Colour::Green)),
        "warning" => ("[WARN]", Some(Colour::Yellow)),
        "failed" => ("[FAIL]", Some(Colour::Red)),
        _ => ("[--]", None),
    }
}

/// A line that stands for others, or alone.
fn head(text: &mut Text, status: &str, words: &str) {
    let (mark, colour) = mark(status);
    // Two spaces after [OK] and one after [FAIL]: scripts look for these lines.
    let gap = if status == "ok" { "  " } else { " " };
    text.spans(&[(mark, colour), (gap, None), (words, None)]);
}

fn config_text(rows: &[ProbeRow]) -> Text {
    let mut text = Text::for_stdout();
    for row in rows {
        match &row.error {
            None => head(&mut text, row.status, "Config parsed successfully"),
            Some(error) => {
                head(&mut text, row.status, &format!("Config: {}", error.message));
                text.line(format_args!("{}fix: {}", " ".repeat(MARK_WIDTH), error.fix));
            }
        }
    }
    text
}

/// The worst that one of them came to.
fn worst<'r>(rows: &[ProbeRow], order: &[&'r str]) -> &'r str {
    order.iter().find(|status| rows.iter().any(|row| row.status == **status)).unwrap_or(&"ok")
}

fn closing(rows: &[ProbeRow]) -> Text {
    let n_of = |status: &str| rows.iter().filter(|row| row.status == status).count();
    let mut text = Text::for_stdout();
    match (n_of("failed"), n_of("warning")) {
        (0, 0) => text.line(format_args!("All checks passed.")),
        (0, 1) => text.line(format_args!("All checks passed, one with a warning.")),
        (0, n) => text.line(format_args!("All checks passed, {n} with a warning.")),
        (n, _) => text.line(format_args!(
            "Some checks failed ({n} of {}). Fix what is marked [FAIL] before running exports.",
            rows.len() - n_of("skipped")
        )),
    }
    text
}

fn text(examined: &Examined, rows: &[ProbeRow]) -> Text {
    // The identity of a destination names its plugin already.
    let name = match &examined.identity {
        Some(identity) if identity.starts_with(&examined.plugin) => identity.clone(),
        Some(identity) => format!("{} {identity}", examined.plugin),
        None => examined.plugin.clone(),
    };
    let kind = if examined.kind == "source" { "Source" } else { "Destination" };
    let mut text = Text::for_stdout();
    head(&mut text, worst(rows, &["failed", "warning"]), &format!("{kind} {name}"));
    let labels: Vec<String> = rows.iter().map(label).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    for (row, label) in rows.iter().zip(labels) {
        let (mark, colour) = mark(row.status);
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
