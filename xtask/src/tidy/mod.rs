//! What the compiler does not check: who depends on whom, how long things are, what may stand where.
//! It must not fix anything.

mod banned;
mod budgets;
mod edges;
mod layout;
mod source;

use anyhow::{Result, bail};

use crate::run::{metadata, root};

/// Runs every check and lists all that is wrong.
pub fn tidy() -> Result<()> {
    let files = source::tracked_rust_files(&root())?;
    let metadata = metadata()?;
    let mut wrong = Vec::new();
    wrong.extend(edges::check(&metadata, &root())?);
    wrong.extend(budgets::check(&files, &root())?);
    wrong.extend(layout::check(&files, &root())?);
    wrong.extend(banned::check(&files, &root())?);
    if wrong.is_empty() {
        eprintln!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    for line in &wrong {
        eprintln!("{line}");
    }
    bail!("tidy: {} things to mend", wrong.len())
}
