//! What every plugin is tested with: each connector once linked and once loaded, through the same calls.
//! It must not know any plugin's own options.

pub mod conformance;
pub mod fixture;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rivet_plugin_api::load;
use rivet_plugin_api::wire::{Connector, Trust, register};

/// The folder that cargo puts plugin libraries into: beside the folder of the running test.
///
/// # Errors
/// When the test does not run from a cargo target folder.
pub fn library_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("failed to find the running test")?;
    let dir = exe.parent().and_then(|deps| deps.parent()).context("the test runs outside a target folder")?;
    Ok(dir.to_owned())
}

/// The connector `name` of a package, twice: linked into this test and loaded from its library. The test names the
/// package (`use rivet_source_x as _;`) so that it is linked, and cargo builds its library with the workspace.
///
/// # Errors
/// When either is missing; a library that is missing was not built: `cargo xtask test` builds it first.
pub fn linked_and_loaded(package: &str, name: &str) -> Result<[Connector; 2]> {
    let linked = register::linked()?.into_iter().find(|c| c.info().name == name);
    let linked = linked.with_context(|| format!("'{name}' is not linked into this test"))?;
    let path = library_dir()?.join(format!("lib{}.so", package.replace('-', "_")));
    if !path.exists() {
        bail!("{} is not built: run `cargo build --workspace` first", path.display());
    }
    let library = load::open(&path, Trust::Full).map_err(|e| anyhow::anyhow!("{e}; hint: {}", e.hint()))?;
    let loaded = library.connectors.into_iter().find(|c| c.info().name == name);
    Ok([linked, loaded.with_context(|| format!("{} has no '{name}'", path.display()))?])
}
