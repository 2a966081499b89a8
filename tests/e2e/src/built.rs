//! Where the built binary and plugin libraries are, and the private plugin folder of a test process.
//! Must not know what a plugin does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// The plugin libraries by the middle of their file name: `librivet_{name}.so`.
pub const PLUGINS: [&str; 12] = [
    "source_sqlite",
    "source_postgres",
    "source_mysql",
    "source_mssql",
    "format_parquet",
    "format_csv",
    "format_arrow",
    "dest_local",
    "dest_stdout",
    "dest_s3",
    "dest_gcs",
    "dest_azure",
];

/// The folder of the build that this test belongs to, such as `target/debug`.
fn build_dir() -> Result<PathBuf> {
    let test = std::env::current_exe().context("find the running test")?;
    let dir = test.ancestors().nth(2).context("find the build folder above the running test")?;
    Ok(dir.to_owned())
}

fn built(name: &str) -> Result<PathBuf> {
    let file = build_dir()?.join(name);
    if !file.is_file() {
        bail!(
            "find {}: run `cargo xtask test`, or `cargo build --workspace --features rivet/fault` first",
            file.display()
        );
    }
    Ok(file)
}

/// The `rivet` binary.
///
/// # Errors
/// When it was not built.
pub fn rivet() -> Result<PathBuf> {
    built("rivet")
}

/// The same binary with all of [`PLUGINS`] linked in.
///
/// # Errors
/// When it was not built.
pub fn rivet_linked() -> Result<PathBuf> {
    built("rivet-linked")
}

/// The library of one of [`PLUGINS`], as built.
///
/// # Errors
/// When it was not built.
pub fn library(plugin: &str) -> Result<PathBuf> {
    built(&format!("librivet_{plugin}.so"))
}

/// Copies these plugins' libraries into `dir`.
///
/// # Errors
/// When one was not built or cannot be copied.
pub fn copy_plugins(plugins: &[&str], dir: &Path) -> Result<()> {
    for plugin in plugins {
        let from = library(plugin)?;
        let to = dir.join(from.file_name().context("a library has a name")?);
        // A link is fast; over file systems only a copy works.
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        }
        // As whoever installs plugins does: those that others can change are not loaded.
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).context("set the rights of a library")?;
    }
    Ok(())
}

/// The private folder of this process that holds all of [`PLUGINS`] and nothing else.
///
/// # Errors
/// When a library was not built.
pub fn plugin_dir() -> Result<&'static Path> {
    static DIR: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let dir = DIR.get_or_init(|| make_plugin_dir().map_err(|e| format!("{e:#}")));
    dir.as_deref().map_err(|text| anyhow::anyhow!("{text}"))
}

/// Made once a build: tests of one process share it, and it lies in the build folder, so that nothing is left elsewhere.
fn make_plugin_dir() -> Result<PathBuf> {
    let parent = build_dir()?.join("e2e-plugins");
    fs::create_dir_all(&parent).with_context(|| format!("create {}", parent.display()))?;
    remove_dirs_of_the_dead(&parent);
    let dir = parent.join(std::process::id().to_string());
    let made = TempDir::with_prefix_in("new-", &parent).context("create a plugin folder")?.keep();
    copy_plugins(&PLUGINS, &made)?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).context("open the plugin folder for reading")?;
    // The process id may have had an earlier owner.
    let _ = fs::remove_dir_all(&dir);
    fs::rename(&made, &dir).context("name the plugin folder")?;
    Ok(dir)
}

/// A process cannot remove its folder at its end, so the next one does.
fn remove_dirs_of_the_dead(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_id = name.to_string_lossy().parse::<u32>().is_ok();
        if is_id && !Path::new("/proc").join(&name).exists() {
            // Another test process may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
