//! The results of a run as files: every figure in `dev/bench/results/`, tables and a plot in `docs/`.
//! It must not know how figures are taken.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::cases::Case;
use super::harm::{self, Harm};
use super::machine;
use super::report::{Outcome, plot};
use super::server::Server;
use super::tables::Sizes;
use crate::run::root;

/// What a run found out: how fast tools are, or what they do to others.
pub struct Results<'c> {
    pub sizes: Sizes,
    pub n_runs: usize,
    pub outcomes: Vec<Outcome<'c>>,
    pub harms: Vec<(&'c Case, Vec<Harm>)>,
}

/// Writes the results of this run, and its part of the page that shows them.
///
/// # Errors
/// When a file cannot be written, or the page has no place for them.
pub fn keep(name: &str, results: &Results<'_>, server: &Server) -> Result<()> {
    let machine = machine::facts(&server.sql("select version()")?);
    let harm = |h: &Harm| json!({"tool": h.tool.map(super::Tool::name), "parallel": h.parallel, "facts": h.facts});
    let all = json!({
        "machine": machine,
        "runs": results.n_runs,
        "lineitem_scale": results.sizes.lineitem_scale,
        "content_rows": results.sizes.content_rows,
        "wide_rows": results.sizes.wide_rows,
        "cases": results.outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
        "harm": results.harms.iter().map(|(case, harms)| json!({
            "case": case.name, "tools": harms.iter().map(harm).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    let file = root().join("dev/bench/results").join(format!("{name}.json"));
    fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&all)?))?;
    let about = |what: &str| {
        format!("{what}; {}. Every figure is in `dev/bench/results/{name}.json`.\n", machine::line(&machine))
    };
    if !results.outcomes.is_empty() {
        fs::write(root().join("docs/benchmarks.svg"), plot(&results.outcomes))?;
        let mut tables = vec![about(&format!("Medians of {} runs after a warm-up", results.n_runs))];
        tables.extend(results.outcomes.iter().map(Outcome::table));
        put("results", &tables)?;
    }
    if !results.harms.is_empty() {
        let mut tables = vec![about("One run of each")];
        tables.extend(results.harms.iter().map(|(case, harms)| harm::table(case.title, harms)));
        put("harm", &tables)?;
    }
    println!("wrote {} and docs/benchmarks.md", file.display());
    Ok(())
}

/// Replaces a part of the page, which stands between two comments.
fn put(part: &str, tables: &[String]) -> Result<()> {
    let (begin, end) = (format!("<!-- begin {part}: written by cargo xtask bench -->"), format!("<!-- end {part} -->"));
    let page = root().join("docs/benchmarks.md");
    let old = fs::read_to_string(&page).context("failed to read docs/benchmarks.md")?;
    let split = old.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = split.with_context(|| format!("docs/benchmarks.md has no place for {part}"))?;
    fs::write(&page, format!("{before}{begin}\n\n{}\n{end}{after}", tables.join("\n")))?;
    Ok(())
}
