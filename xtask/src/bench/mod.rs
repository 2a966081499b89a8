//! Measures exports against the floor and against other tools, in turn within one run.
//! It must not know how one tool is called or one figure is taken.

mod cases;
mod engine;
mod harm;
mod machine;
mod measure;
mod page;
mod profile;
mod report;
mod server;
mod tables;
mod tools;
mod words;

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use self::cases::{ALL, CASES, Case};
use self::engine::Engine;
use self::measure::{Job, Run, measure};
use self::page::Results;
pub use self::profile::{USAGE as PROFILE_USAGE, profile};
use self::report::{Outcome, Series};
use self::server::Server;
use self::tables::Sizes;
use self::tools::{Tool, Tools};
use crate::args::Args;
use crate::plugins::build_dev;
use crate::run::{cargo, run, timed};
use crate::suggest::did_you_mean;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "bench [harm|micro] [--quick] [--runs N] [--scale N] [--cases A,B,…] [--tools A,B,…] [--name RESULT] [--url-env VARIABLE]";

/// What is watched when nothing is named.
const HARM_CASES: [&str; 3] = ["lineitem", "lineitem-2", "narrow"];
/// Whose harm is measured in each case of one worker.
const PROFILES: [Tool; 3] = [Tool::Rivet, Tool::RivetBalanced, Tool::RivetSafe];
/// Rounds that count, after one that warms up.
const N_RUNS: usize = 5;

/// `bench`.
///
/// # Errors
/// When something cannot be built, installed, started or exported.
pub fn bench(words: &[String]) -> Result<()> {
    if let Some(("micro", filter)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return micro(filter);
    }
    let (is_harm, words) = match words.split_first() {
        Some((first, rest)) if first == "harm" => (true, rest),
        _ => (false, words),
    };
    let args = Args::parse(words, &["--quick"], &["--runs", "--scale", "--cases", "--tools", "--name", "--url-env"])?;
    let quick = args.has("--quick");
    let n_runs = number::<NonZero<usize>>(&args, "--runs")?.map_or(if quick { 1 } else { N_RUNS }, NonZero::get);
    let scale: f64 = number(&args, "--scale")?.unwrap_or(if quick { 0.1 } else { 1.0 });
    let sizes = if quick {
        Sizes { lineitem_scale: scale, content_rows: 5_000, wide_rows: 50_000, narrow_rows: 500_000 }
    } else {
        Sizes { lineitem_scale: scale, content_rows: 100_000, wide_rows: 1_000_000, narrow_rows: 6_000_000 }
    };
    let cases = match args.list("--cases") {
        None if is_harm => choose(Some(HARM_CASES.to_vec()))?,
        names => choose(names)?,
    };
    if let Some(case) = cases.iter().find(|case| is_harm && case.engine != Engine::Postgres) {
        bail!("only a PostgreSQL is watched: leave out the case '{}'", case.name);
    }
    let takes_part = choose_tools(args.list("--tools"), quick)?;
    let workspace = Workspace::read()?;
    let scratch = workspace.target.join("bench/scratch");
    fs::create_dir_all(&scratch)?;
    let mut engines: Vec<Engine> = Vec::new();
    for case in &cases {
        if !engines.contains(&case.engine) {
            engines.push(case.engine);
        }
    }
    let tools = timed("getting the tools", || Tools::get(&workspace, takes_part.contains(&Tool::RivetCli)))?;
    // One after the other: a server that nobody asks still has memory and chores of its own.
    for engine in engines {
        let n_rows = (sizes.lineitem_scale * 3e6) as u64;
        let server = Server::get(&workspace, engine, args.value("--url-env"), n_rows, &scratch)?;
        let mut results = Results::about(sizes, server.is_local());
        if let Some(name) = args.value("--name") {
            page::refuse_others(name, &results)?;
        }
        let here: Vec<&Case> = cases.iter().copied().filter(|case| case.engine == engine).collect();
        for case in &here {
            timed(case.table, || tables::fill(case, sizes, &server, &tools, &scratch))?;
        }
        for case in here {
            let is_asked =
                |tool: &&Tool| case.tools.contains(tool) || (is_harm && case.parallel == 1 && PROFILES.contains(tool));
            let chosen: Vec<Tool> = takes_part.iter().filter(is_asked).copied().collect();
            if is_harm {
                let harms = harm::watch(case, &chosen, &server, &tools, &scratch)?;
                println!("\n{}", harms.table());
                results.put("harm", &harms.json());
            } else {
                let outcome = rounds(case, chosen, n_runs, &server, &tools, &scratch)?;
                println!("\n{}", outcome.table());
                results.put("cases", &outcome.json());
            }
            // After each case: what was measured is not lost when the next one fails.
            if let Some(name) = args.value("--name") {
                page::keep(name, &results)?;
            }
        }
    }
    Ok(())
}

/// Microbenchmarks, all or those whose names hold a word; built beside the release, whose dependencies they share.
fn micro(filter: &[String]) -> Result<()> {
    let workspace = Workspace::read()?;
    // The boundary is crossed to a plugin of the development build.
    build_dev(&workspace)?;
    let mut bench = cargo(["bench", "--locked", "--package", "rivet-bench", "--target-dir"]);
    run(bench.arg(workspace.target.join("dist-build")).arg("--").args(filter))
}

fn number<N: FromStr>(args: &Args, option: &str) -> Result<Option<N>> {
    let needs = || format!("{option} needs a number");
    args.value(option).map(|text| text.parse().ok().with_context(needs)).transpose()
}

fn choose(names: Option<Vec<&str>>) -> Result<Vec<&'static Case>> {
    let Some(names) = names else { return Ok(CASES.iter().filter(|case| !case.is_long).collect()) };
    let find = |name: &&str| {
        let known = CASES.iter().map(|c| c.name);
        let unknown = || format!("there is no case '{name}'{}", did_you_mean(name, known));
        CASES.iter().find(|c| c.name == *name).with_context(unknown)
    };
    names.iter().map(find).collect()
}

/// The tools that take part: those that are named, else all; a quick run leaves out the one that must be compiled.
fn choose_tools(names: Option<Vec<&str>>, quick: bool) -> Result<Vec<Tool>> {
    let Some(names) = names else {
        return Ok(ALL.iter().copied().filter(|tool| !(quick && *tool == Tool::RivetCli)).collect());
    };
    let find = |name: &&str| {
        let unknown = || format!("there is no tool '{name}'{}", did_you_mean(name, ALL.iter().map(|t| t.id())));
        ALL.iter().copied().find(|tool| tool.id() == *name).with_context(unknown)
    };
    names.iter().map(find).collect()
}

/// All tools of a case in turn, round after round; the first round warms up. Each round begins with another tool, every
/// other one goes backwards: what a tool leaves behind, it does not always leave to the same one.
fn rounds(
    case: &'static Case,
    chosen: Vec<Tool>,
    n_runs: usize,
    server: &Server,
    tools: &Tools,
    scratch: &Path,
) -> Result<Outcome> {
    let mut series: Vec<Series> = chosen.into_iter().map(|tool| Series { tool, runs: Vec::new() }).collect();
    let environment = server.environment().into_iter().collect();
    let (out, settings, log) = (scratch.join("out"), scratch.join("rivet.yaml"), scratch.join("log"));
    for round in 0..=n_runs {
        for index in order(round, series.len()) {
            let one = &mut series[index];
            let words = tools.words(one.tool, case.task(), server, &out, &settings)?;
            let run: Run = measure(&Job { words, environment: &environment, out: &out, log: &log })?;
            if one.tool != Tool::Floor && run.bytes == 0 {
                bail!("{} wrote nothing", one.tool.name());
            }
            eprintln!("{} {round}/{n_runs} {}: {run:?}", case.name, one.tool.name());
            if round > 0 {
                one.runs.push(run);
            }
            forget_state(scratch)?;
            fs::remove_dir_all(&out)?;
        }
    }
    Ok(Outcome { case, commit: machine::commit(), server: server.version.clone(), series })
}

/// In which order a round runs so many tools.
fn order(round: usize, n_tools: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n_tools).map(|i| (i + round) % n_tools).collect();
    if round % 2 == 1 {
        all.reverse();
    }
    all
}

/// Removes what our host and rivet-cli remember: each run begins with nothing.
fn forget_state(scratch: &Path) -> Result<()> {
    for entry in fs::read_dir(scratch)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(".rivet_state") {
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_chosen_by_their_ids() {
        let ids = |names, quick| choose_tools(names, quick).map(|all| all.iter().map(|t| t.id()).collect::<Vec<_>>());
        assert_eq!(ids(None, false).map(|all| all.len()).ok(), Some(ALL.len()));
        assert!(ids(None, true).is_ok_and(|all| !all.contains(&"rivet-cli") && all.contains(&"duckdb")));
        assert_eq!(ids(Some(vec!["slim", "floor"]), true).ok(), Some(vec!["slim", "floor"]));
        let error = ids(Some(vec!["duck"]), false).expect_err("there is none");
        assert!(error.to_string().starts_with("there is no tool 'duck'"), "{error}");
    }

    #[test]
    fn rounds_differ_in_their_order() {
        assert_eq!([order(0, 3), order(1, 3), order(2, 3)], [[0, 1, 2], [0, 2, 1], [2, 0, 1]]);
        assert!(order(1, 0).is_empty());
    }

    #[test]
    fn a_case_is_chosen_by_its_name() {
        let names = |list| choose(list).map(|cases| cases.iter().map(|c| c.name).collect::<Vec<_>>());
        assert!(names(None).is_ok_and(|all| all.len() == CASES.len() - 1 && !all.contains(&"lineitem-10")));
        let named = vec!["wide", "lineitem-10"];
        assert_eq!(names(Some(named.clone())).ok(), Some(named));
        let error = names(Some(vec!["wide", "contend"])).expect_err("there is none");
        assert_eq!(error.to_string(), "there is no case 'contend'; did you mean 'content'?");
    }
}
