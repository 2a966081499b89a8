//! What every plugin is tested with: each connector once linked and once loaded, through the same calls.
//! It must not know any plugin's own options.
//!
//! An author's crate has it as a dev-dependency; `docs/writing-a-plugin.md` shows how.

pub mod conformance;
#[doc(hidden)]
pub mod fixture;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rivet_plugin_api::load;
use rivet_plugin_api::wire::{Connector, register};

/// The folder that cargo puts plugin libraries into: beside the folder of the running test.
///
/// # Errors
/// When the test does not run from a cargo target folder.
pub fn library_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("failed to find the running test")?;
    let dir = exe.parent().and_then(|deps| deps.parent()).context("the test runs outside a target folder")?;
    Ok(dir.to_owned())
}

/// The connector `name` that is linked into this test. The test names its package (`use rivet_source_x as _;`), so that
/// it is.
///
/// # Errors
/// When it is not linked.
pub fn linked(name: &str) -> Result<Connector> {
    let found = register::linked()?.into_iter().find(|c| c.info().name == name);
    found.with_context(|| format!("'{name}' is not linked into this test: add `use PACKAGE as _;`"))
}

/// The connector `name` of a package, loaded from its library. Cargo builds it with the package's own tests, and with
/// the tests of packages that depend on it.
///
/// # Errors
/// When the library was not built, cannot be loaded or has no such connector.
pub fn loaded(package: &str, name: &str) -> Result<Connector> {
    let path = library(package)?;
    let library = load::open(&path).map_err(|e| anyhow::anyhow!("{e}; hint: {}", e.hint()))?;
    let found = library.connectors.into_iter().find(|c| c.info().name == name);
    found.with_context(|| format!("{} has no '{name}'", path.display()))
}

/// Both: what is linked and what is loaded must do the same.
///
/// # Errors
/// As [`linked`] and [`loaded`].
pub fn linked_and_loaded(package: &str, name: &str) -> Result<[Connector; 2]> {
    Ok([linked(name)?, loaded(package, name)?])
}

/// The library of a package, as cargo built it last: beside its tests, and one folder higher when it was asked for.
fn library(package: &str) -> Result<PathBuf> {
    let dir = library_dir()?;
    let file = format!("{DLL_PREFIX}{}{DLL_SUFFIX}", package.replace('-', "_"));
    let built = [dir.join(&file), dir.join("deps").join(&file)];
    let newest = built.iter().filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path))).max();
    match newest {
        Some((_, path)) => Ok(path.clone()),
        None => bail!("{file} is not built: its package needs `crate-type = [\"cdylib\", \"rlib\"]`"),
    }
}

/// The code of the authors' documentation that stands for itself.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-a-plugin.md")]
pub struct WritingAPlugin;
