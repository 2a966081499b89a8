//! `rivet check`: judges exports before they run.
//! It must not know how a plan is made, nor by what an export is judged.

use rivet_core::error::{FailureClass, RunError};
use rivet_core::memory::key_bytes;
use rivet_core::plan::{Plan, expected_ms, snapshot_ms};
use rivet_core::plural;
use rivet_core::preflight::{Facts, judge};
use rivet_core::quality::Rules;
use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;
use rivet_core::run::rehearse::{self, Rehearsal};
use rivet_core::targets::{Target, reading};
use rivet_plugin_api::arrow_schema::Field;
use rivet_plugin_api::{Column, FIDELITY_KEY, FieldMapping, KeyValue};

use super::dry_run::{asked, told_not_asked};
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
    let output = if args.json { Output::Json } else { global.output };
    let global = &Global { output, ..global.clone() };
    without_effects(&args.chosen.run("out"), global, Tables::Listed, |specs, env| check(specs, env, args, global))
}

fn check(specs: &[ExportSpec], env: &Env<'_>, args: &CheckArgs, global: &Global) -> Exit {
    let mut exports = Vec::with_capacity(specs.len());
    let mut failures: Vec<FailureClass> = Vec::new();
    for spec in specs {
        match rehearse::plan(spec, args.probe, env).and_then(|found| row(spec, found, args)) {
            Ok(row) => {
                failures.extend((!row.strict.is_empty()).then_some(FailureClass::Integrity));
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
    if global.output == Output::Text {
        document.exports.iter().filter(|row| !row.strict.is_empty()).for_each(|row| say_strict(row, global));
    }
    Exit::of_begun(&failures, document.exports.len(), specs.len())
}

/// What `--strict` fails on.
fn say_strict(row: &CheckRow, global: &Global) {
    let n = row.strict.len();
    let s = plural::s(n);
    let message = format!("export '{}': --strict fails on {n} column{s}: {}", row.export, row.strict.join("; "));
    let hint = "choose another type with `columns: {NAME: TYPE}`, or leave a column out with `exclude`";
    render::problem(global, "check.strict", &message, Some(hint));
}

fn row(spec: &ExportSpec, found: Rehearsal, args: &CheckArgs) -> Result<CheckRow, RunError> {
    let Rehearsal { plan, estimate, explained, foreseen, holds_snapshot, health, mut warnings, .. } = found;
    let explained = foreseen.next.unwrap_or(explained);
    let judged = judge(Facts {
        relation: &spec.relation,
        schema: &plan.schema,
        has_condition: spec.condition.is_some(),
        whole: &foreseen.whole,
        explained: &explained,
        health: &health,
        mode: &spec.mode(),
        tuning: &spec.tuning,
        n_workers: plan.n_workers,
        key_is_indexed: foreseen.key_is_indexed,
    });
    warnings.extend(judged.warnings);
    let text = |value: KeyValue| value.text;
    let expected_ms = estimate.rows.map(|_| expected_ms(spec, &estimate, plan.n_workers));
    let limit_ms = snapshot_ms(spec, &plan);
    let columns = types(spec, &plan, args.target)?;
    // What the config says itself happens to nobody in silence.
    let chosen = spec.choices().columns;
    let is_chosen = |name: &String| chosen.get(name).is_some_and(|choice| choice.logical.is_some());
    let counted = columns.iter().filter(|c| args.strict && (c.problem.is_some() || !is_chosen(&c.name)));
    let inexact = counted.filter_map(inexact);
    Ok(CheckRow {
        export: spec.name.clone(),
        relation: spec.relation.label(),
        strict: inexact.collect(),
        columns,
        quality: costs(spec, &plan.quality),
        strategy: Some(plan.strategy),
        estimated_rows: estimate.rows,
        estimated_bytes: estimate.bytes,
        scan: explained.scan,
        cursor_range: plan.increment.map(|i| (i.lower.map(text), i.upper.map(text))),
        verdict: judged.verdict.map(|v| v.word().to_owned()),
        reason: judged.reason,
        workers: Some(plan.n_workers),
        expected_ms,
        snapshot_held_ms: expected_ms.filter(|_| holds_snapshot).map(|ms| limit_ms.map_or(ms, |limit| limit.min(ms))),
        profile: Some(spec.tuning.profile.to_string()),
        recommended_profile: judged.profile.map(|p| p.to_string()),
        recommended_parallel: judged.parallel,
        parallel_reason: judged.parallel_reason,
        server: Some(health.server_version).filter(|version| !version.is_empty()),
        warnings,
        suggestions: judged.suggestions,
        index_statements: explained.index_statements,
        asked: asked(foreseen.asked),
        not_asked: foreseen.not_asked,
        error: None,
    })
}

/// What is inexact about a column, if anything is.
fn inexact(column: &TypeRow) -> Option<String> {
    let name = &column.name;
    match &column.problem {
        Some(problem) => Some(format!("column '{name}': {problem}")),
        None if column.fidelity != "exact" => {
            Some(format!("column '{name}' is {}, held as {}", column.native_type, column.fidelity))
        }
        None => None,
    }
}

/// What it takes to judge each of `unique_columns`.
fn costs(spec: &ExportSpec, rules: &Rules) -> Vec<String> {
    let memory = size(key_bytes(spec.tuning.memory_bytes) as u64);
    let cost = |column: &String| {
        if rules.proved.contains(column) {
            return format!("unique_columns {column}: proved by the catalogue");
        }
        format!(
            "unique_columns {column}: each value is compared, 16 bytes a row, in {memory} of memory and beyond it on disk"
        )
    };
    rules.quality.unique_columns.iter().map(cost).collect()
}

fn types(spec: &ExportSpec, plan: &Plan, target: Option<TargetName>) -> Result<Vec<TypeRow>, RunError> {
    let schema = plan.schema.arrow_schema(plan.types);
    let name = spec.format.info().name.clone();
    let format =
        spec.format.open_format(&spec.format_options).map_err(RunError::plugin("open format", name.clone()))?;
    let mapped = format.map(&schema).map_err(RunError::plugin("ask format", name))?;
    let columns = plan.schema.columns.iter().zip(schema.fields()).zip(mapped);
    Ok(columns.map(|((column, field), mapping)| type_row(column, field, mapping, target.map(known))).collect())
}

fn type_row(column: &Column, field: &Field, mapping: FieldMapping, target: Option<Target>) -> TypeRow {
    let (file_type, refused) = match mapping {
        FieldMapping::Keep(physical) => (Some(physical), None),
        FieldMapping::Refuse(why) => (None, Some(why)),
    };
    let read = target.map(|target| (target, reading(field, target)));
    let surprise = read.as_ref().and_then(|(target, read)| Some(format!("{} {}", target.name(), read.surprise?)));
    TypeRow {
        name: column.name.clone(),
        native_type: column.native_type.clone(),
        logical_type: column.logical.to_string(),
        arrow_type: field.data_type().to_string(),
        file_type,
        nullable: column.nullable,
        fidelity: field.metadata().get(FIDELITY_KEY).cloned().unwrap_or_default(),
        target_status: read.as_ref().map(|(_, read)| read.status.word()),
        target_type: read.and_then(|(_, read)| read.type_name),
        problem: refused.or(surprise),
    }
}

fn known(name: TargetName) -> Target {
    match name {
        TargetName::Spark => Target::Spark,
        TargetName::Duckdb => Target::DuckDb,
        TargetName::Bigquery => Target::BigQuery,
        TargetName::Snowflake => Target::Snowflake,
    }
}

fn text(row: &CheckRow, args: &CheckArgs) -> Text {
    let unknown = || "unknown".to_owned();
    let mut text = Text::for_stdout();
    text.line(format_args!("{}: {}", row.export, row.verdict.as_deref().unwrap_or("UNKNOWN")));
    let mut line = |word: &str, what: &str| text.line(format_args!("  {word:<12} {what}"));
    line("reason", &row.reason);
    line("relation", &row.relation);
    line("strategy", row.strategy.as_deref().unwrap_or_default());
    let rows = row.estimated_rows.map_or_else(unknown, |n| format!("about {}", grouped(n)));
    let bytes = row.estimated_bytes.map_or_else(String::new, |n| format!(" ({} in the source)", size(n)));
    line("rows", &format!("{rows}{bytes}"));
    line("scan", row.scan.as_deref().unwrap_or("unknown"));
    if let Some((from, to)) = &row.cursor_range {
        let last = if row.not_asked.iter().any(|q| q.starts_with("the largest")) { "the last" } else { "no row" };
        line("cursor", &format!("{} to {}", from.as_deref().unwrap_or("the first"), to.as_deref().unwrap_or(last)));
    }
    line("expected", &expected(row));
    let profile = row.recommended_profile.clone().unwrap_or_else(unknown);
    let why = row.parallel_reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    let parallel = row.recommended_parallel.map_or_else(String::new, |n| format!(", parallel {n}{why}"));
    line("recommended", &format!("profile {profile}{parallel}"));
    line("asked", &row.asked.join(", "));
    if let Some(told) = told_not_asked(&row.not_asked) {
        line("not asked", &told);
    }
    row.quality.iter().for_each(|q| line("quality", q));
    row.warnings.iter().for_each(|w| line("warning", w));
    row.suggestions.iter().for_each(|s| line("suggestion", s));
    let problems = row.columns.iter().filter_map(|c| Some((&c.name, c.problem.as_ref()?)));
    problems.for_each(|(name, problem)| line("type", &format!("column '{name}': {problem}")));
    if args.type_report {
        type_report(row, args.target.map(known)).write(&mut text);
    }
    text
}

/// How long the coming run takes, and its snapshot is held.
fn expected(row: &CheckRow) -> String {
    let workers = match row.workers {
        Some(n) if n > 1 => format!(" with {n} workers"),
        _ => String::new(),
    };
    let profile = row.profile.as_deref().unwrap_or_default();
    let held = match row.snapshot_held_ms {
        None => String::new(),
        held if held == row.expected_ms => "; the snapshot is held as long".to_owned(),
        Some(ms) => format!("; each snapshot is held for {}", about_time(ms)),
    };
    let time = row.expected_ms.map_or_else(|| "unknown time".to_owned(), about_time);
    format!("{time} at profile {profile}{workers}{held}")
}

/// A time that is a guess.
fn about_time(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    match seconds {
        0..=1 => "about a second or less".to_owned(),
        2..120 => format!("about {seconds} s"),
        120..7200 => format!("about {} min", seconds.div_ceil(60)),
        _ => format!("about {} h", seconds.div_ceil(3600)),
    }
}

fn type_report(row: &CheckRow, target: Option<Target>) -> Table {
    let mut heads = vec!["  COLUMN", "NATIVE TYPE", "LOGICAL TYPE", "ARROW TYPE", "FILE TYPE", "NULLS", "FIDELITY"];
    heads.extend(match target {
        None => &[][..],
        Some(Target::Spark) => &["SPARK TYPE", "STATUS"],
        Some(Target::DuckDb) => &["DUCKDB TYPE", "STATUS"],
        Some(Target::BigQuery) => &["BIGQUERY TYPE", "STATUS"],
        Some(Target::Snowflake) => &["SNOWFLAKE TYPE", "STATUS"],
    });
    let mut table = Table::new(&heads.into_iter().map(|head| (head, Side::Left)).collect::<Vec<_>>());
    for column in &row.columns {
        let mut cells = vec![
            format!("  {}", column.name).into(),
            column.native_type.as_str().into(),
            column.logical_type.as_str().into(),
            column.arrow_type.as_str().into(),
            column.file_type.as_deref().unwrap_or("refused").into(),
            if column.nullable { "yes" } else { "no" }.into(),
            column.fidelity.as_str().into(),
        ];
        if let Some(status) = column.target_status {
            cells.push(column.target_type.as_deref().unwrap_or("none").into());
            cells.push(status.into());
        }
        table.row(cells);
    }
    table
}
