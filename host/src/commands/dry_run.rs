//! `rivet run --dry-run`: what a run would do.
//! It must not know how a plan is made.

use rivet_core::error::{FailureClass, RunError};
use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;
use rivet_core::run::rehearse::{Rehearsal, rehearse};

use crate::cli::{Global, Output};
use crate::documents::plans::{ColumnRow, EndpointRow, PlanRow, PlansDocument, SplitRow};
use crate::documents::{ProblemRow, VERSION};
use crate::exit::Exit;
use crate::out::Text;
use crate::out::table::{Side, Table};
use crate::render::{self, grouped, size};

/// Rehearses all exports, one after the other; a failed one does not keep the others from being shown.
pub fn run(specs: &[ExportSpec], probe: bool, env: &Env<'_>, global: &Global) -> Exit {
    let mut exports = Vec::with_capacity(specs.len());
    let mut failures: Vec<FailureClass> = Vec::new();
    for spec in specs {
        let rehearsed = rehearse(spec, probe, env);
        if let Err(error) = &rehearsed {
            failures.push(error.class());
            if global.output == Output::Text {
                let error = of_export(&spec.name, error);
                render::problem(global, &error.code, &error.message, error.hint.as_deref());
            }
        }
        exports.push(row(spec, &rehearsed));
        env.progress.ended(&spec.name);
        if env.cancel.is_cancelled() {
            break;
        }
    }
    let document = PlansDocument { version: VERSION, dry_run: true, exports };
    render::document(global, &document, &document.exports, || text(&document.exports));
    Exit::of_begun(&failures, document.exports.len(), specs.len())
}

pub fn of_export(export: &str, error: &RunError) -> ProblemRow {
    ProblemRow::of_export(export, &error.code(), &error.to_string(), error.hint())
}

/// What is told of an export.
pub fn row(spec: &ExportSpec, rehearsed: &Result<Rehearsal, RunError>) -> PlanRow {
    let mut row = PlanRow {
        export: spec.name.clone(),
        relation: spec.relation.label(),
        strategy: None,
        source: EndpointRow::of(&spec.source, ""),
        format: EndpointRow::of(&spec.format, ""),
        destination: EndpointRow::of(&spec.destination, &spec.destination_identity),
        estimated_rows: None,
        estimated_bytes: None,
        workers: None,
        splits: Vec::new(),
        columns: Vec::new(),
        warnings: Vec::new(),
        asked: Vec::new(),
        not_asked: Vec::new(),
        error: None,
    };
    match rehearsed {
        Err(error) => row.error = Some(of_export(&spec.name, error)),
        Ok(Rehearsal { plan, estimate, warnings, foreseen, .. }) => {
            row.columns = plan.schema.columns.iter().map(|c| ColumnRow::of(c, plan.types)).collect();
            row.splits = plan.splits.iter().map(SplitRow::of).collect();
            row.strategy = Some(plan.strategy.clone());
            row.source.identity.clone_from(&plan.source.identity);
            row.estimated_rows = estimate.rows;
            row.estimated_bytes = estimate.bytes;
            row.workers = Some(plan.n_workers);
            row.warnings.clone_from(warnings);
            row.asked = asked(foreseen.asked.clone());
            row.not_asked.clone_from(&foreseen.not_asked);
        }
    }
    row
}

fn text(exports: &[PlanRow]) -> Text {
    let planned = exports.iter().filter(|row| row.error.is_none());
    let texts: Vec<Text> = planned.map(|row| export_text(row, ", can be written", &[])).collect();
    Text::apart(&texts)
}

/// A plan, for people; `probed` is what is known of its destination, `beside` what else is told of it.
pub fn export_text(row: &PlanRow, probed: &str, beside: &[(&str, String)]) -> Text {
    let mut text = Text::for_stdout();
    text.line(format_args!("{}: {}", row.export, row.strategy.as_deref().unwrap_or_default()));
    let mut line = |word: &str, what: &str| text.line(format_args!("  {word:<12} {what}"));
    line("source", &format!("{} {}, {}", row.source.plugin, row.source.identity, row.relation));
    let rows = row.estimated_rows.map_or_else(|| "unknown".to_owned(), |n| format!("about {}", grouped(n)));
    let bytes = row.estimated_bytes.map_or_else(String::new, |n| format!(" ({} in the source)", size(n)));
    line("rows", &format!("{rows}{bytes}"));
    line("splits", &splits(row));
    line("format", &row.format.plugin);
    line("destination", &format!("{}{probed}", row.destination.identity));
    line("asked", &row.asked.join(", "));
    if let Some(told) = told_not_asked(&row.not_asked) {
        line("not asked", &told);
    }
    beside.iter().for_each(|(word, what)| line(word, what));
    for warning in &row.warnings {
        line("warning", warning);
    }
    let mut table = Table::new(&[
        ("  COLUMN", Side::Left),
        ("NATIVE TYPE", Side::Left),
        ("ARROW TYPE", Side::Left),
        ("NULLS", Side::Left),
        ("FIDELITY", Side::Left),
    ]);
    for column in &row.columns {
        let nulls = if column.nullable { "yes" } else { "no" };
        table.row(vec![
            format!("  {}", column.name).into(),
            column.native_type.as_str().into(),
            column.arrow_type.as_str().into(),
            nulls.into(),
            column.fidelity.as_str().into(),
        ]);
    }
    table.write(&mut text);
    text
}

/// What a rehearsal asks of every source, and then of this one.
pub fn asked(questions: Vec<String>) -> Vec<String> {
    [vec!["catalogue, statistics and planner".to_owned()], questions].concat()
}

/// What was not asked, and how it can be.
pub fn told_not_asked(questions: &[String]) -> Option<String> {
    let all = questions.join(", ");
    (!questions.is_empty()).then(|| format!("{all}: no index answers that; --probe asks, by a scan"))
}

/// Splits that text shows by name.
const MAX_SHOWN_SPLITS: usize = 8;

fn splits(row: &PlanRow) -> String {
    let labels: Vec<&str> = row.splits.iter().take(MAX_SHOWN_SPLITS).map(|s| s.label.as_str()).collect();
    let more = if row.splits.len() > labels.len() { ", …" } else { "" };
    let workers = row.workers.filter(|n| *n > 1).map_or_else(String::new, |n| format!(" by {n} workers"));
    format!("{}{workers}: {}{more}", row.splits.len(), labels.join(", "))
}
