//! What the compiler does not check: who depends on whom, how long things are, what may stand where.
//! It must not fix anything.

mod deny;
mod edges;
mod exceptions;
mod external;
mod features;
mod layout;
mod lengths;
mod licence;
mod links;
mod servers;
mod source;
mod words;

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::run::root;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "tidy";

/// Where our crates' edges are listed.
const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";
/// What is allowed for a while.
const EXCEPTIONS: &str = "xtask/tidy-exceptions.txt";

/// Something that is not in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// File, relative to the root.
    pub path: String,
    /// Line, 1-based.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What it is about, inside the file; may be empty.
    pub item: String,
    /// How much of it there is: lines, for what is too long, else 1.
    pub amount: usize,
    /// What to do.
    pub advice: String,
}

impl Violation {
    /// One occurrence.
    pub fn new(path: impl Into<String>, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.into(), line, rule, item: String::new(), amount: 1, advice: advice.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.advice)
    }
}

/// Runs every check and lists all that is wrong.
///
/// # Errors
/// When something is, or a file cannot be read.
pub fn tidy(words: &[String]) -> Result<()> {
    Args::parse(words, &[], &[])?;
    let root = root();
    let workspace = Workspace::read()?;
    let files = source::walk(&root)?;
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("failed to read {path}"));
    let mut wrong = Vec::new();
    wrong.extend(edges::check(&workspace, &read(ARCHITECTURE)?));
    wrong.extend(external::check(&external::packages()?, &deny::read(&read("deny.toml")?)));
    wrong.extend(layout::check(&workspace, &root));
    wrong.extend(servers::check(&workspace, &files.rust));
    wrong.extend(links::check(&files.texts, &root));
    for file in &files.rust {
        wrong.extend(lengths::check(file));
        wrong.extend(features::check(file));
        wrong.extend(words::check(file));
        wrong.extend(layout::header(file));
    }
    wrong.extend(files.texts.iter().flat_map(words::check_text));
    let exceptions = fs::read_to_string(root.join(EXCEPTIONS)).unwrap_or_default();
    report(exceptions::apply(wrong, &exceptions), files.rust.len() + files.texts.len())
}

fn report(mut wrong: Vec<Violation>, n_files: usize) -> Result<()> {
    wrong.sort();
    wrong.iter().for_each(|violation| eprintln!("{violation}"));
    match wrong.len() {
        0 => {
            eprintln!("tidy: {n_files} files are in order");
            Ok(())
        }
        n => bail!("tidy: {n} things to mend"),
    }
}

/// Whether a path is one of these files or lies in one of these folders.
fn is_below(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| Path::new(path).starts_with(place))
}
