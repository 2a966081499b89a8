//! `rivet check`: judges exports before they run.
//! It must not know how a plan is made, nor by what an export is judged.

use rivet_core::error::{FailureClass, RunError};
use rivet_core::preflight::{Facts, judge};
use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;
use rivet_core::run::rehearse::{self, Rehearsal};
use rivet_core::targets::{Target, surprise};
use rivet_plugin_api::{FIDELITY_KEY, FieldMapping};

use crate::cli::check::{CheckArgs, TargetName};
use crate::cli::{Global, Output};
use crate::commands::run::{Tables, without_effects};
use crate::documents::checks::{CheckRow, ChecksDocument, TypeRow};
use crate::documents::{ProblemRow, VERSION};
use crate::exit::Exit;
use crate::out::Text;
use crate::out::table::{Side, Table};
use crate::render::{self, grouped, size};

/// Runs the command.
pub fn run(args: &CheckArgs, global: &Global) -> Exit {
    without_effects(&args.chosen.run("out"), global, Tables::Listed, |specs, env| check(specs, env, args, global))
}

fn check(specs: &[ExportSpec], env: &Env<'_>, args: &CheckArgs, global: &Global) -> Exit {
    let mut exports = Vec::with_capacity(specs.len());
    let mut failures: Vec<FailureClass> = Vec::new();
    for spec in specs {
        match rehearse::plan(spec, env).and_then(|found| row(spec, found, args.target)) {
            Ok(row) => {
                // What the config says itself happens to nobody in silence.
                let chosen = spec.choices().columns;
                let is_chosen = |name: &String| chosen.get(name).is_some_and(|choice| choice.logical.is_some());
                let inexact = |c: &TypeRow| c.fidelity != "exact" && !is_chosen(&c.name);
                let lossy = row.columns.iter().any(|c| c.problem.is_some() || inexact(c));
                failures.extend((args.strict && lossy).then_some(FailureClass::Integrity));
                exports.push(row);
            }
            Err(error) => {
                failures.push(error.class());
                let problem = ProblemRow {
                    code: error.code(),
                    message: format!("export '{}': {error}", spec.name),
                    hint: error.hint(),
                };
                if global.output == Output::Text {
                    render::problem(global, &problem.code, &problem.message, problem.hint.as_deref());
                }
                let (export, relation) = (spec.name.clone(), spec.relation.label());
                exports.push(CheckRow { export, relation, error: Some(problem), ..Default::default() });
            }
        }
        env.progress.ended(&spec.name);
        if env.cancel.is_cancelled() {
            break;
        }
    }
    let document = ChecksDocument { version: VERSION, exports };
    let shown = |row: &&CheckRow| row.error.is_none();
    render::document(global, &document, &document.exports, || {
        let texts: Vec<Text> = document.exports.iter().filter(shown).map(|row| text(row, args)).collect();
        Text::apart(&texts)
    });
    Exit::of(&failures)
}

fn row(spec: &ExportSpec, found: Rehearsal, target: Option<TargetName>) -> Result<CheckRow, RunError> {
    let Rehearsal { plan, estimate, explained, health, mut warnings } = found;
    let judged = judge(Facts {
        estimate: &estimate,
        explained: &explained,
        health: &health,
        mode: &spec.mode(),
        tuning: &spec.tuning,
        n_workers: spec.n_workers,
    });
    warnings.extend(judged.warnings);
    let text = |value: rivet_plugin_api::KeyValue| value.text;
    Ok(CheckRow {
        export: spec.name.clone(),
        relation: spec.relation.label(),
        columns: types(spec, &plan, target)?,
        strategy: Some(plan.strategy),
        estimated_rows: estimate.rows,
        estimated_bytes: estimate.bytes,
        scan: explained.scan,
        cursor_range: plan.increment.map(|i| (i.lower.map(text), i.upper.map(text))),
        verdict: judged.verdict.map(|v| v.word().to_owned()),
        recommended_profile: judged.profile.map(|p| p.to_string()),
        recommended_parallel: judged.parallel,
        server: Some(health.server_version).filter(|version| !version.is_empty()),
        warnings,
        suggestions: judged.suggestions,
        error: None,
    })
}

fn types(
    spec: &ExportSpec,
    plan: &rivet_core::plan::Plan,
    target: Option<TargetName>,
) -> Result<Vec<TypeRow>, RunError> {
    let schema = plan.schema.arrow_schema(plan.types);
    let name = spec.format.info().name.clone();
    let format =
        spec.format.open_format(&spec.format_options).map_err(RunError::plugin("open format", name.clone()))?;
    let mapped = format.map(&schema).map_err(RunError::plugin("ask format", name))?;
    let columns = plan.schema.columns.iter().zip(schema.fields()).zip(mapped);
    let one = |((column, field), mapping): ((&rivet_plugin_api::Column, _), FieldMapping)| {
        let field: &rivet_plugin_api::arrow_schema::FieldRef = field;
        let (file_type, refused) = match mapping {
            FieldMapping::Keep(physical) => (Some(physical), None),
            FieldMapping::Refuse(why) => (None, Some(why)),
        };
        let surprise = || {
            let (name, target) = target.map(known)?;
            surprise(field, target).map(|what| format!("{name} {what}"))
        };
        TypeRow {
            name: column.name.clone(),
            native_type: column.native_type.clone(),
            logical_type: column.logical.to_string(),
            arrow_type: field.data_type().to_string(),
            file_type,
            nullable: column.nullable,
            fidelity: field.metadata().get(FIDELITY_KEY).cloned().unwrap_or_default(),
            problem: refused.or_else(surprise),
        }
    };
    Ok(columns.map(one).collect())
}

fn known(name: TargetName) -> (&'static str, Target) {
    match name {
        TargetName::Spark => ("Spark", Target::Spark),
        TargetName::Duckdb => ("DuckDB", Target::DuckDb),
        TargetName::Bigquery => ("BigQuery", Target::BigQuery),
        TargetName::Snowflake => ("Snowflake", Target::Snowflake),
    }
}

fn text(row: &CheckRow, args: &CheckArgs) -> Text {
    let unknown = || "unknown".to_owned();
    let mut text = Text::for_stdout();
    text.line(format_args!("{}: {}", row.export, row.verdict.as_deref().unwrap_or("UNKNOWN")));
    let mut line = |word: &str, what: &str| text.line(format_args!("  {word:<12} {what}"));
    line("relation", &row.relation);
    line("strategy", row.strategy.as_deref().unwrap_or_default());
    let rows = row.estimated_rows.map_or_else(unknown, |n| format!("about {}", grouped(n)));
    let bytes = row.estimated_bytes.map_or_else(String::new, |n| format!(" ({} in the source)", size(n)));
    line("rows", &format!("{rows}{bytes}"));
    line("scan", row.scan.as_deref().unwrap_or("unknown"));
    if let Some((from, to)) = &row.cursor_range {
        let end = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
        line("cursor", &format!("{} to {}", end(from, "the first"), end(to, "no row")));
    }
    let profile = row.recommended_profile.clone().unwrap_or_else(unknown);
    let parallel = row.recommended_parallel.map_or_else(String::new, |n| format!(", parallel {n}"));
    line("recommended", &format!("profile {profile}{parallel}"));
    row.warnings.iter().for_each(|w| line("warning", w));
    row.suggestions.iter().for_each(|s| line("suggestion", s));
    let problems = row.columns.iter().filter_map(|c| Some((&c.name, c.problem.as_ref()?)));
    problems.for_each(|(name, problem)| line("type", &format!("column '{name}': {problem}")));
    if args.type_report {
        type_report(row).write(&mut text);
    }
    text
}

fn type_report(row: &CheckRow) -> Table {
    let mut table = Table::new(&[
        ("  COLUMN", Side::Left),
        ("NATIVE TYPE", Side::Left),
        ("LOGICAL TYPE", Side::Left),
        ("ARROW TYPE", Side::Left),
        ("FILE TYPE", Side::Left),
        ("NULLS", Side::Left),
        ("FIDELITY", Side::Left),
    ]);
    for column in &row.columns {
        table.row(vec![
            format!("  {}", column.name).into(),
            column.native_type.as_str().into(),
            column.logical_type.as_str().into(),
            column.arrow_type.as_str().into(),
            column.file_type.as_deref().unwrap_or("refused").into(),
            if column.nullable { "yes" } else { "no" }.into(),
            column.fidelity.as_str().into(),
        ]);
    }
    table
}
