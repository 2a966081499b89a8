//! `rivet init`: looks at a source and writes a config for its tables.
//! It must not know what suits a table, nor any plugin but by the name that the URL gives.

mod place;
mod source;
mod wizard;
mod yaml;

use rivet_core::config::{TablePattern, Tables, did_you_mean};
use rivet_core::error::RunError;
use rivet_core::plural;
use rivet_core::propose::{Known, Proposal, Refusal, Surveyed, Way, propose};
use rivet_core::resolve::ExportSpec;
use rivet_core::run::{Env, listing, survey};
use rivet_plugin_api::{ListedTable, TableKind};

use self::place::Place;
use self::source::Source;
use super::direct;
use super::run::at_source;
use crate::cli::Global;
use crate::cli::init::InitArgs;
use crate::documents::discovery::DiscoveryDocument;
use crate::exit::Exit;
use crate::out::Text;
use crate::plugins::Plugins;
use crate::render::{self, grouped};

/// Runs the command.
pub fn run(args: &InitArgs, global: &Global) -> Exit {
    let go = || {
        let report = |error: RunError| render::failure(global, &error);
        let args = wizard::answered(args, global).map_err(report)?;
        let place = Place::of(&args).map_err(report)?;
        let source = Source::of(&args).map_err(report)?;
        let config = source.config(&args, &place.base).map_err(report)?;
        at_source((config, place.base.clone()), global, |spec, plugins, env| {
            let made = init(&args, (&source, &place), spec, plugins, env, global);
            env.progress.ended(&spec.name);
            made.map_err(report)
        })
    };
    go().unwrap_or_else(|exit: Exit| exit)
}

fn init(
    args: &InitArgs,
    (source, place): (&Source, &Place),
    spec: &ExportSpec,
    plugins: &Plugins,
    env: &Env<'_>,
    global: &Global,
) -> Result<Exit, RunError> {
    let append_only = patterns(&args.append_only)?;
    let found = look(args, spec, env)?;
    let can = spec.source_capabilities();
    let known = Known { append_only: &append_only, policies: &can.policies, overrides: can.overrides };
    let proposed = propose(&found.surveyed, known);
    if args.discover {
        let document = DiscoveryDocument::of(&found.surveyed, &proposed);
        render::document(global, &document, &document.relations, || Text::pretty_json(&document));
        return Ok(Exit::Ok);
    }
    let text = written(args, source, &found, &proposed)?;
    // What is written can be read.
    source.read(&text, &place.base)?;
    place.write(&text, plugins, args.force, global)?;
    tell(place, source, (&proposed, found.others.len()), global);
    Ok(Exit::Ok)
}

/// What was looked at, and what was passed over since it is no table.
struct Look {
    surveyed: Vec<Surveyed>,
    others: Vec<ListedTable>,
}

fn look(args: &InitArgs, spec: &ExportSpec, env: &Env<'_>) -> Result<Look, RunError> {
    let mut listed = listing::tables(spec, env)?;
    for schema in &args.schema {
        let known: Vec<&str> = listed.iter().filter_map(|table| table.schema.as_deref()).collect();
        if !known.contains(&schema.as_str()) {
            let hint = did_you_mean(schema, known.iter().copied());
            return Err(RunError::Impossible {
                what: format!("no schema with a table is called '{schema}'"),
                hint: hint.unwrap_or_else(|| "names are case-sensitive".to_owned()),
            });
        }
    }
    let is_in = |table: &ListedTable| table.schema.as_ref().is_some_and(|schema| args.schema.contains(schema));
    listed.retain(|table| args.schema.is_empty() || is_in(table));
    let named = [&args.table[..], &args.include].concat();
    let tables = Tables { patterns: patterns(&named)?, except: patterns(&args.exclude)? };
    if let Some(idle) = tables.patterns.iter().find(|pattern| !listed.iter().any(|table| pattern.matches(table))) {
        let what = format!("no table matches '{}'", idle.text());
        return Err(RunError::Impossible { what, hint: idle.nearest(&listed) });
    }
    let is_excluded = |table: &ListedTable| tables.except.iter().any(|pattern| pattern.matches(table));
    let is_all = tables.patterns.is_empty();
    let is_meant = |table: &&ListedTable| {
        if is_all { table.kind == TableKind::Table && !is_excluded(table) } else { tables.mean(table) }
    };
    let meant: Vec<&ListedTable> = listed.iter().filter(is_meant).collect();
    let is_other = |table: &&ListedTable| matches!(table.kind, TableKind::View | TableKind::Other);
    let others = listed.iter().filter(|table| is_all && is_other(table) && !is_excluded(table)).cloned().collect();
    Ok(Look { surveyed: survey::survey(spec, &meant, env)?, others })
}

fn patterns(texts: &[String]) -> Result<Vec<TablePattern>, RunError> {
    let one = |text: &String| {
        TablePattern::try_from(text.clone()).map_err(|problem| RunError::Impossible {
            what: format!("the pattern '{text}' {problem}"),
            hint: "write name or schema.name; * stands for any characters, ? for one".to_owned(),
        })
    };
    texts.iter().map(one).collect()
}

fn written(
    args: &InitArgs,
    source: &Source,
    found: &Look,
    proposed: &[Result<Proposal, Refusal>],
) -> Result<String, RunError> {
    if proposed.iter().all(Result::is_err) {
        let why = proposed.iter().zip(&found.surveyed).find_map(|(one, of)| {
            let refusal = one.as_ref().err()?;
            Some(format!(": {}: {}", of.table.relation().label(), refusal.why))
        });
        return Err(RunError::Impossible {
            what: format!("nothing was found that can be exported{}", why.unwrap_or_default()),
            hint: "is this the right database and login? --table and --include name what to look at".to_owned(),
        });
    }
    let to = args.to.clone().unwrap_or_else(|| "out".to_owned());
    let to = if to.contains("{export}") { to } else { format!("{}/{{export}}", to.trim_end_matches('/')) };
    let frame = yaml::Frame {
        source: &source.text,
        source_notes: &source.notes,
        state: args.shape.state.as_deref(),
        shape: &direct::shape(&args.shape, None)?,
        has_profile: args.shape.profile.is_some(),
        to: &to,
        others: &found.others,
    };
    Ok(yaml::config(&frame, &found.surveyed, proposed))
}

/// What was written, and what to do next.
fn tell(place: &Place, source: &Source, (proposed, n_others): (&[Result<Proposal, Refusal>], usize), global: &Global) {
    let Some(file) = place.file.as_ref().filter(|_| !global.quiet) else { return };
    let exports: Vec<&Proposal> = proposed.iter().filter_map(|one| one.as_ref().ok()).collect();
    let n_full = exports.iter().filter(|p| p.way == Way::Full).count();
    let n_left = proposed.len() - exports.len();
    let count = |n: usize| grouped(u64::try_from(n).unwrap_or(u64::MAX));
    let left = if n_left > 0 { format!("; {} left out, see its end", count(n_left)) } else { String::new() };
    let mut text = Text::for_stderr();
    text.line(format_args!(
        "wrote {}: {} export{} ({} incremental, {} full){left}",
        file.display(),
        count(exports.len()),
        plural::s(exports.len()),
        count(exports.len() - n_full),
        count(n_full),
    ));
    if n_others > 0 {
        text.line(format_args!(
            "left out, since no table: {}, such as views, see its end; {}",
            count(n_others),
            yaml::HOW_OTHERS
        ));
    }
    let schema = file.with_file_name(yaml::SCHEMA_FILE);
    text.line(format_args!("beside it {}, by which editors check and complete the config", schema.display()));
    source.notes.iter().for_each(|note| text.line(note));
    let config = if file.as_os_str() == "rivet.yaml" { String::new() } else { format!(" -c {}", file.display()) };
    text.line(format_args!("next: rivet check{config}, then rivet run{config}"));
    global.streams.say(&text);
}
