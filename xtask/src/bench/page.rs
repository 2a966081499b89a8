//! Results as files: every figure in `dev/bench/results/`, tables and a plot in `docs/`.
//! It must not know how figures are taken.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::harm::Harms;
use super::machine;
use super::report::{Outcome, plot};
use super::tables::Sizes;
use crate::run::root;

/// What is known so far: how fast tools are, and what they do to others.
pub struct Results(Value);

impl Results {
    /// Nothing yet, about this machine and tables of such sizes.
    pub fn about(sizes: Sizes, is_local: bool) -> Self {
        Self(json!({
            "machine": machine::facts(is_local),
            "lineitem_scale": sizes.lineitem_scale,
            "content_rows": sizes.content_rows,
            "wide_rows": sizes.wide_rows,
            "cases": [],
            "narrow_rows": sizes.narrow_rows,
            "harm": [],
        }))
    }

    /// Takes what was found out about a case, in the place of what was known; `part` is `cases` or `harm`.
    pub fn put(&mut self, part: &str, about_case: &Value) {
        if let Some(all) = self.0[part].as_array_mut() {
            match all.iter_mut().find(|one| one["case"] == about_case["case"]) {
                Some(known) => known.clone_from(about_case),
                None => all.push(about_case.clone()),
            }
        }
    }

    /// With what was kept before and is not known yet.
    fn over(&self, mut kept: Self) -> Self {
        for part in ["cases", "harm"] {
            self.0[part].as_array().into_iter().flatten().for_each(|one| kept.put(part, one));
        }
        kept
    }

    /// Whether both are about one machine and tables of one size.
    fn is_comparable(&self, other: &Self) -> bool {
        ["machine", "lineitem_scale", "content_rows", "wide_rows", "narrow_rows"]
            .iter()
            .all(|what| self.0[what] == other.0[what])
    }

    fn part<T>(&self, part: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        self.0[part].as_array().into_iter().flatten().filter_map(read).collect()
    }
}

/// Writes results under a name, to those of earlier runs of that name, and into the page that shows them.
///
/// # Errors
/// When a file cannot be written, or the page has no place for them.
pub fn keep(name: &str, new: &Results) -> Result<()> {
    let file = file_of(name);
    let results = kept(name)?.map_or_else(|| Results(new.0.clone()), |kept| new.over(kept));
    fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&results.0)?))?;
    let about =
        format!("{}. Every figure is in `dev/bench/results/{name}.json`.\n", machine::line(&results.0["machine"]));
    let outcomes = results.part("cases", Outcome::read);
    if !outcomes.is_empty() {
        fs::write(root().join("docs/benchmarks.svg"), plot(&outcomes))?;
        let tables = outcomes.iter().map(Outcome::table);
        put("results", std::iter::once(about.clone()).chain(tables).collect())?;
    }
    let harms = results.part("harm", Harms::read);
    if !harms.is_empty() {
        let tables = harms.iter().map(Harms::table);
        put("harm", std::iter::once(about).chain(tables).collect())?;
    }
    println!("wrote {} and docs/benchmarks.md", file.display());
    Ok(())
}

/// Refuses a name under which there are results that these must not stand beside.
///
/// # Errors
/// When they are of another machine or of tables of other sizes, or the file is no file of results.
pub fn refuse_others(name: &str, new: &Results) -> Result<()> {
    match kept(name)? {
        Some(kept) if !new.is_comparable(&kept) => {
            bail!("the results '{name}' are of another machine or of tables of other sizes: choose another name")
        }
        _ => Ok(()),
    }
}

/// What is kept under a name.
fn kept(name: &str) -> Result<Option<Results>> {
    let file = file_of(name);
    let kept = fs::read_to_string(&file).ok().map(|text| serde_json::from_str(&text)).transpose();
    Ok(kept.with_context(|| format!("{} is no file of results", file.display()))?.map(Results))
}

fn file_of(name: &str) -> PathBuf {
    root().join("dev/bench/results").join(format!("{name}.json"))
}

/// Replaces a part of the page, which stands between two comments.
fn put(part: &str, tables: Vec<String>) -> Result<()> {
    let (begin, end) = (format!("<!-- begin {part}: written by cargo xtask bench -->"), format!("<!-- end {part} -->"));
    let page = root().join("docs/benchmarks.md");
    let old = fs::read_to_string(&page).context("failed to read docs/benchmarks.md")?;
    let split = old.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = split.with_context(|| format!("docs/benchmarks.md has no place for {part}"))?;
    fs::write(&page, format!("{before}{begin}\n\n{}\n{end}{after}", tables.join("\n")))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_replaces_itself_and_no_other() {
        let of = |cores: u8, cases: Value| Results(json!({"machine": {"cores": cores}, "cases": cases, "harm": []}));
        let kept = of(2, json!([{"case": "x", "n": 1}, {"case": "y", "n": 2}]));
        let mut new = of(2, json!([]));
        assert!(new.is_comparable(&kept) && !new.is_comparable(&of(3, json!([]))));
        new.put("cases", &json!({"case": "y", "n": 3}));
        new.put("harm", &json!({"case": "y"}));
        let expected = json!({"machine": {"cores": 2}, "cases": [{"case": "x", "n": 1}, {"case": "y", "n": 3}],
                              "harm": [{"case": "y"}]});
        assert_eq!(new.over(kept).0, expected);
    }
}
