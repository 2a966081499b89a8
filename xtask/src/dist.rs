//! Release host and plugins, laid out as they are installed: the host finds the plugins beside itself.
//! It must not know any plugin's name.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::args::Args;
use crate::plugins::{build_release, collect, place};
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "dist";

/// `dist`.
///
/// # Errors
/// When the build fails or the folder cannot be written.
pub fn dist(words: &[String]) -> Result<()> {
    Args::parse(words, &[], &[])?;
    let workspace = Workspace::read()?;
    let built = build_release(&workspace)?;
    let dist = workspace.target.join("dist");
    let (bin, plugins) = (dist.join("bin"), dist.join("lib/rivet/plugins"));
    fs::create_dir_all(&bin).with_context(|| format!("failed to create {}", bin.display()))?;
    place(&built.join("rivet"), &bin.join("rivet"))?;
    collect(workspace.plugins(), &built, &plugins)?;
    print_size(&bin.join("rivet"))?;
    let mut libraries: Vec<_> = fs::read_dir(&plugins)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    libraries.sort();
    libraries.iter().try_for_each(|library| print_size(library))
}

/// Prints a file with its size.
///
/// # Errors
/// When it is not there.
pub fn print_size(file: &Path) -> Result<()> {
    let n_bytes = fs::metadata(file).with_context(|| format!("there is no {}", file.display()))?.len();
    println!("{:6.1} MiB  {}", n_bytes as f64 / f64::from(1 << 20), file.display());
    Ok(())
}
