//! Measures exports against the floor and against other tools, in turn within one run.
//! It must not know how one tool is called or one figure is taken.

mod cases;
mod machine;
mod measure;
mod report;
mod server;
mod tables;
mod tools;
mod words;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

use self::cases::{CASES, Case};
use self::measure::{Job, Run, measure};
use self::report::{Outcome, Series, plot};
use self::server::Server;
use self::tables::Sizes;
use self::tools::{Tool, Tools};
use crate::args::Args;
use crate::run::{root, timed};
use crate::suggest::did_you_mean;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str =
    "bench [--quick] [--runs N] [--scale N] [--cases A,B,…] [--no-peers] [--name RESULT] [--url-env VARIABLE]";

/// Rounds that count, after one that warms up.
const N_RUNS: usize = 5;

/// `bench`.
///
/// # Errors
/// When something cannot be built, installed, started or exported.
pub fn bench(words: &[String]) -> Result<()> {
    let args =
        Args::parse(words, &["--quick", "--no-peers"], &["--runs", "--scale", "--cases", "--name", "--url-env"])?;
    let quick = args.has("--quick");
    let n_runs = number(&args, "--runs")?.unwrap_or(if quick { 1.0 } else { N_RUNS as f64 }) as usize;
    let scale = number(&args, "--scale")?.unwrap_or(if quick { 0.1 } else { 1.0 });
    let sizes = if quick {
        Sizes { lineitem_scale: scale, content_rows: 5_000, wide_rows: 50_000 }
    } else {
        Sizes { lineitem_scale: scale, content_rows: 100_000, wide_rows: 1_000_000 }
    };
    let cases = choose(args.list("--cases"))?;
    let peers = !args.has("--no-peers");
    let workspace = Workspace::read()?;
    let scratch = workspace.target.join("bench/scratch");
    fs::create_dir_all(&scratch)?;
    let url = args.value("--url-env").map(|name| std::env::var(name).with_context(|| format!("{name} is not set")));
    let server = Server::get(&workspace, url.transpose()?)?;
    let tools = timed("getting the tools", || Tools::get(&workspace, server.psql.clone(), peers && !quick))?;
    for case in &cases {
        timed(case.table, || tables::fill(case.table, sizes, &server, &tools.tpchgen, &scratch))?;
    }
    let mut outcomes = Vec::new();
    for case in cases {
        let chosen = case.tools.iter().filter(|t| peers || !t.is_peer()).filter(|t| !(quick && **t == Tool::RivetCli));
        let outcome = rounds(case, chosen.copied().collect(), n_runs, &server, &tools, &scratch)?;
        println!("\n{}", outcome.table());
        outcomes.push(outcome);
    }
    match args.value("--name") {
        Some(name) => keep(name, &outcomes, sizes, n_runs, &server),
        None => Ok(()),
    }
}

fn number(args: &Args, option: &str) -> Result<Option<f64>> {
    args.value(option).map(|text| text.parse().with_context(|| format!("{option} needs a number"))).transpose()
}

fn choose(names: Option<Vec<&str>>) -> Result<Vec<&'static Case>> {
    let Some(names) = names else { return Ok(CASES.iter().collect()) };
    let find = |name: &&str| {
        let known = CASES.iter().map(|c| c.name);
        let unknown = || format!("there is no case '{name}'{}", did_you_mean(name, known));
        CASES.iter().find(|c| c.name == *name).with_context(unknown)
    };
    names.iter().map(find).collect()
}

/// All tools of a case in turn, round after round; the first round warms up.
fn rounds<'c>(
    case: &'c Case,
    chosen: Vec<Tool>,
    n_runs: usize,
    server: &Server,
    tools: &Tools,
    scratch: &Path,
) -> Result<Outcome<'c>> {
    let mut series: Vec<Series> = chosen.into_iter().map(|tool| Series { tool, runs: Vec::new() }).collect();
    let environment = server.environment().into_iter().collect();
    let (out, settings, log) = (scratch.join("out"), scratch.join("rivet.yaml"), scratch.join("log"));
    for round in 0..=n_runs {
        for one in &mut series {
            let words = tools.words(one.tool, case.task(), &server.url, &out, &settings)?;
            let run: Run = measure(&Job { words, environment: &environment, out: &out, log: &log })?;
            if one.tool != Tool::Floor && run.bytes == 0 {
                bail!("{} wrote nothing", one.tool.name());
            }
            eprintln!("{} {round}/{n_runs} {}: {run:?}", case.name, one.tool.name());
            if round > 0 {
                one.runs.push(run);
            }
            // Each run begins with nothing to remember and nothing left to write back.
            for entry in fs::read_dir(scratch)?.flatten() {
                if entry.file_name().to_string_lossy().starts_with(".rivet_state") {
                    fs::remove_file(entry.path())?;
                }
            }
            fs::remove_dir_all(&out)?;
        }
    }
    Ok(Outcome { case, series })
}

/// Writes the results of this run, and the page that shows them.
fn keep(name: &str, outcomes: &[Outcome<'_>], sizes: Sizes, n_runs: usize, server: &Server) -> Result<()> {
    let machine = machine::facts(&server.sql("select version()")?);
    let results = json!({
        "machine": machine,
        "runs": n_runs,
        "lineitem_scale": sizes.lineitem_scale,
        "content_rows": sizes.content_rows,
        "wide_rows": sizes.wide_rows,
        "cases": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
    });
    let file = root().join("dev/bench/results").join(format!("{name}.json"));
    fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&results)?))?;
    fs::write(root().join("docs/benchmarks.svg"), plot(outcomes))?;
    let page = root().join("docs/benchmarks.md");
    let old = fs::read_to_string(&page).context("failed to read docs/benchmarks.md")?;
    let (before, rest) = old.split_once(BEGIN).context("docs/benchmarks.md has no place for results")?;
    let (_, after) = rest.split_once(END).context("docs/benchmarks.md has no end of results")?;
    let mut tables: Vec<String> = outcomes.iter().map(Outcome::table).collect();
    tables.insert(
        0,
        format!(
            "Medians of {n_runs} runs after a warm-up; {}. Every run is in `dev/bench/results/{name}.json`.\n",
            machine::line(&machine)
        ),
    );
    fs::write(&page, format!("{before}{BEGIN}\n\n{}\n{END}{after}", tables.join("\n")))?;
    println!("wrote {} and docs/benchmarks.md", file.display());
    Ok(())
}

/// What the results stand between on the page.
const BEGIN: &str = "<!-- results: written by cargo xtask bench --name -->";
const END: &str = "<!-- end of results -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_chosen_by_its_name() {
        let names = |list| choose(list).map(|cases| cases.iter().map(|c| c.name).collect::<Vec<_>>());
        assert_eq!(names(None).map(|all| all.len()).ok(), Some(CASES.len()));
        assert_eq!(names(Some(vec!["wide", "content"])).ok(), Some(vec!["wide", "content"]));
        let error = names(Some(vec!["wide", "contend"])).expect_err("there is none");
        assert_eq!(error.to_string(), "there is no case 'contend'; did you mean 'content'?");
    }
}
