//! What neither compiler nor clippy checks: who depends on whom and on what, how files look, what may stand where.
//! It must not fix anything.

mod dependencies;
mod edges;
mod layout;
mod links;
mod words;

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::run::root;
use crate::source;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "tidy";

/// Where our crates' edges are listed.
const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

/// Something that is not in order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// File, relative to the root.
    pub path: String,
    /// Line, 1-based.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What to do.
    pub advice: String,
}

impl Violation {
    /// One occurrence.
    pub fn new(path: impl Into<String>, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.into(), line, rule, advice: advice.into() }
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
    let files = source::read(&root, Path::new("."))?;
    let architecture = fs::read_to_string(root.join(ARCHITECTURE)).context("failed to read the edges")?;
    let mut wrong = edges::check(&workspace, &architecture);
    wrong.extend(layout::check(&workspace, &root));
    wrong.extend(links::check(&files, &root));
    wrong.extend(files.iter().filter(|f| f.is_rust()).flat_map(layout::file));
    wrong.extend(files.iter().flat_map(words::check));
    wrong.sort();
    wrong.iter().for_each(|violation| eprintln!("{violation}"));
    if !wrong.is_empty() {
        bail!("tidy: {} things to mend", wrong.len());
    }
    eprintln!("tidy: {} files are in order", files.len());
    dependencies::check(&workspace)
}

/// Whether a path is one of these files or lies in one of these folders.
fn is_below(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| Path::new(path).starts_with(place))
}
