//! `rivet plan`, `rivet apply` and `rivet finalize`: what a run would do, written down, and followed later.
//! It must not know how a plan is made, nor the steps of a run.

use std::path::Path;

use rivet_core::clock::{Clock, SystemClock, format_rfc3339};
use rivet_core::error::{FailureClass, RunError};
use rivet_core::plan::sealed::Portion;
use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;
use rivet_core::run::rehearse::{self, Rehearsal};
use rivet_plugin_api::KeyValue;

use super::run::{Tables, without_effects};
use super::{artifact, dry_run, run};
use crate::cli::plan::{ApplyArgs, FinalizeArgs, FollowArgs, PlanArgs};
use crate::cli::{Global, Output, RunArgs};
use crate::documents::VERSION;
use crate::documents::plans::{CursorRange, PlanDocument, SealedRow};
use crate::exit::Exit;
use crate::out::Text;
use crate::out::streams::stdout_is_terminal;
use crate::{render, summary};

/// Runs `rivet plan`.
pub fn plan(args: &PlanArgs, global: &Global) -> Exit {
    let run = args.chosen.run("-");
    without_effects(&run, global, Tables::Listed, |specs, env| planned(specs, args.file.as_deref(), env, global))
}

/// Runs `rivet apply`.
pub fn apply(args: &ApplyArgs, global: &Global) -> Exit {
    follow(&args.follow, args.shard.map_or(Portion::Whole, Portion::Shard), global)
}

/// Runs `rivet finalize`.
pub fn finalize(args: &FinalizeArgs, global: &Global) -> Exit {
    follow(&args.follow, Portion::Verdict, global)
}

fn follow(args: &FollowArgs, portion: Portion, global: &Global) -> Exit {
    let read = artifact::read(&args.plan, args.force, portion, SystemClock::default().now_unix_ms());
    let all = match read.and_then(|all| chosen(all.keys(), &args.chosen.export).map(|export| (all, export))) {
        Ok(all) => all,
        Err(error) => return render::failure(global, &error),
    };
    let (replays, export) = all;
    run::run(&RunArgs { export, replays: Some(replays), ..args.run() }, global)
}

/// The exports of a plan that were asked for; all where none was named.
fn chosen<'n>(all: impl Iterator<Item = &'n String>, names: &[String]) -> Result<Vec<String>, RunError> {
    let all: Vec<String> = all.cloned().collect();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        return Err(RunError::Impossible {
            what: format!("the plan has no export '{unknown}'"),
            hint: format!("it has {}", all.join(", ")),
        });
    }
    Ok(if names.is_empty() { all } else { names.to_vec() })
}

/// Plans all exports; where one cannot be planned, nothing is written.
fn planned(specs: &[ExportSpec], file: Option<&Path>, env: &Env<'_>, global: &Global) -> Exit {
    let mut failures: Vec<FailureClass> = Vec::new();
    let mut exports = Vec::with_capacity(specs.len());
    for spec in specs {
        let rehearsed = rehearse::plan(spec, true, env);
        env.progress.ended(&spec.name);
        match row(spec, &rehearsed) {
            Ok(row) => exports.push(row),
            Err(error) => {
                failures.push(error.class());
                let told = dry_run::of_export(&spec.name, error);
                render::problem(global, &told.code, &told.message, told.hint.as_deref());
            }
        }
        if env.cancel.is_cancelled() {
            break;
        }
    }
    if exports.len() < specs.len() {
        return Exit::of_begun(&failures, exports.len() + failures.len(), specs.len());
    }
    let created_at = format_rfc3339(env.clock.now_unix_ms());
    let rivet = env!("CARGO_PKG_VERSION").to_owned();
    let document = PlanDocument { version: VERSION, rivet, created_at, exports, digest: String::new() };
    // Sealed as it is written: what is hidden then is hidden first.
    let open = serde_json::from_str(&global.streams.secrets.without(&Text::json(&document)));
    let sealed = artifact::seal(open.unwrap_or_default());
    let text = Text::pretty_json(&sealed);
    if let Some(file) = file
        && let Err(e) = summary::save_text(global, &text, file)
    {
        let what = format!("failed to write the plan to '{}': {e}", file.display());
        render::problem(global, "plan.write", &what, Some("name a file that can be written"));
        return Exit::Config;
    }
    if global.output != Output::Text || (file.is_none() && !stdout_is_terminal()) {
        let compact = Text::json(&sealed);
        global.streams.data(if global.output == Output::Text { &text } else { &compact });
    } else if !global.quiet {
        global.streams.data(&shown(&document.exports, file));
    }
    Exit::Ok
}

fn row<'r>(spec: &ExportSpec, rehearsed: &'r Result<Rehearsal, RunError>) -> Result<SealedRow, &'r RunError> {
    let shown = dry_run::row(spec, rehearsed);
    let Rehearsal { plan, sealed, statement, .. } = rehearsed.as_ref()?;
    let cursor = plan.increment.as_ref().map(|increment| CursorRange {
        key: increment.key.clone(),
        from: increment.lower.clone(),
        to: increment.upper.clone(),
    });
    Ok(SealedRow {
        shown,
        plan_id: sealed.id().to_owned(),
        sql: statement.clone(),
        cursor,
        window: plan.window.clone(),
        fingerprint: sealed.fingerprint.clone(),
        sealed: serde_json::to_value(sealed).unwrap_or_default(),
    })
}

fn shown(exports: &[SealedRow], file: Option<&Path>) -> Text {
    let mut texts: Vec<Text> = exports.iter().map(export_text).collect();
    if let Some(file) = file {
        let mut text = Text::for_stdout();
        text.line(format_args!("The plan is in {0}; follow it with `rivet apply {0}`.", file.display()));
        texts.push(text);
    }
    Text::apart(&texts)
}

fn export_text(row: &SealedRow) -> Text {
    let mut beside = Vec::new();
    if let Some(CursorRange { key, from, to }) = &row.cursor {
        let word = |key: &Option<KeyValue>| key.as_ref().map_or("none", |key| &key.text).to_owned();
        beside.push(("cursor", format!("{}: from {} to {}", key.join(", "), word(from), word(to))));
    }
    if let Some(window) = &row.window {
        let from = window.from.as_ref().map_or("the beginning", |from| &from.text);
        beside.push(("window", format!("{}: from {from} to {}", window.column, window.to.text)));
    }
    beside.extend(row.sql.iter().map(|sql| ("statement", sql.clone())));
    dry_run::export_text(&row.shown, "", &beside)
}
