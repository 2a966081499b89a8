//! Plugins built by a test: the fixtures as they are, or against an edited copy of the SDK.
//! It must not know what an edit means.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

use crate::library_dir;

/// A replacement in the SDK's source; the text must be there exactly once, so that a stale edit is found out.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    /// File, relative to the repository.
    pub file: &'static str,
    /// What is there.
    pub from: &'static str,
    /// What takes its place.
    pub to: &'static str,
}

const PROFILE: &str = "[profile.dev]\nopt-level = 0\ndebug = false\n";

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Folder that fixtures are built in.
///
/// # Errors
/// When the test does not run from a cargo target folder.
pub fn fixture_dir() -> Result<PathBuf> {
    Ok(library_dir()?.parent().context("the test runs outside a target folder")?.join("fixtures"))
}

/// Cargo on a manifest of a fixture, in a target folder that all fixtures share; without network where it can.
///
/// # Errors
/// When cargo cannot be started.
pub fn cargo(verb: &str, manifest: &Path, environment: &[(&str, &str)]) -> Result<Output> {
    let dir = fixture_dir()?;
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let run = |offline: bool| {
        let mut command = Command::new(&program);
        // What the outer cargo sets for its own packages is not meant for this one.
        for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.arg(verb).arg("--manifest-path").arg(manifest).arg("--target-dir").arg(dir.join("build"));
        command.args(offline.then_some("--offline")).envs(environment.iter().copied());
        command.output().context("failed to start cargo")
    };
    let output = run(true)?;
    // Cargo has no exit code for "not downloaded"; its advice is the same in every version.
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("--offline") {
        return run(false);
    }
    Ok(output)
}

fn foreign(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_PROFILE_", "CARGO_MANIFEST_", "CARGO_ENCODED_"].iter().any(|p| name.starts_with(p))
        || matches!(name, "CARGO_TARGET_DIR" | "RUSTFLAGS")
}

/// Builds a fixture as it is; returns its library.
///
/// # Errors
/// What the compiler says.
pub fn build_fixture(name: &str) -> Result<PathBuf> {
    build(&repository().join("tests/fixtures").join(name).join("Cargo.toml"), name)
}

/// Builds the fixture `growth-plugin` against a copy of the SDK with `edits`; returns its library.
///
/// # Errors
/// When an edit does not apply; what the compiler says.
pub fn build_revision(revision: &str, abi_version: &str, edits: &[Edit]) -> Result<PathBuf> {
    let (from, workspace) = (repository(), fixture_dir()?.join(revision));
    // Cargo knows a package by its path within the workspace: equal paths would be one package in the target folder.
    let to = workspace.join(revision);
    let version = format!("version = \"{abi_version}\"");
    let mut edits = edits.to_vec();
    copy(&from.join("tests/fixtures/growth-plugin/src"), &to.join("plugin/src"), "", &mut Vec::new())?;
    copy(&from.join("plugin-api"), &to.join("plugin-api"), "plugin-api", &mut edits)?;
    ensure!(edits.is_empty(), "no such files: {edits:?}");

    let abi = fs::read_to_string(from.join("plugin-api/abi/Cargo.toml"))?;
    let dev = abi.find("[dev-dependencies]").context("dev-dependencies of the ABI")?;
    let lints = abi.find("[lints]").context("lints of the ABI")?;
    let abi = format!("{}{}", &abi[..dev], &abi[lints..]);
    write(&to.join("plugin-api/abi/Cargo.toml"), &replaced_once(&abi, "version = \"0.1.0\"", &version)?)?;

    // The root manifest is the copy's root manifest, so the SDK resolves its `workspace = true` keys as here.
    let root = fs::read_to_string(from.join("Cargo.toml"))?;
    let (before, rest) = root.split_once("members = [").context("members")?;
    let (_, after) = rest.split_once(']').context("end of members")?;
    let (after, _) = after.split_once("[profile.dev]").context("profiles")?;
    let members =
        format!("members = [\"{revision}/plugin\", \"{revision}/plugin-api\", \"{revision}/plugin-api/abi\"]");
    let abi_line = "rivet-plugin-abi = { path = \"plugin-api/abi\", ";
    let after = replaced_once(after, &format!("{abi_line}version = \"0.1.0\""), &format!("{abi_line}{version}"))?;
    let after = after.replace("path = \"plugin-api", &format!("path = \"{revision}/plugin-api"));
    write(&workspace.join("Cargo.toml"), &format!("{before}{members}{after}{PROFILE}"))?;

    let plugin = fs::read_to_string(from.join("tests/fixtures/growth-plugin/Cargo.toml"))?;
    let (plugin, _) = plugin.split_once("[workspace]").context("an own workspace")?;
    let plugin = replaced_once(plugin, "../../../plugin-api", "../plugin-api")?;
    // Cargo tells shared libraries in one target folder apart by nothing but their names.
    let package = format!("growth-{revision}");
    write(&to.join("plugin/Cargo.toml"), &replaced_once(&plugin, "growth-plugin", &package)?)?;
    if !workspace.join("Cargo.lock").exists() {
        fs::copy(from.join("tests/fixtures/growth-plugin/Cargo.lock"), workspace.join("Cargo.lock"))?;
    }
    build(&to.join("plugin/Cargo.toml"), &package)
}

fn build(manifest: &Path, package: &str) -> Result<PathBuf> {
    let output = cargo("build", manifest, &[])?;
    ensure!(output.status.success(), "failed to build '{package}': {}", String::from_utf8_lossy(&output.stderr));
    Ok(fixture_dir()?.join("build/debug").join(format!("lib{}.so", package.replace('-', "_"))))
}

/// Copies sources and manifests, without tests; a file that did not change keeps its time, so that nothing is rebuilt.
fn copy(from: &Path, to: &Path, within: &str, edits: &mut Vec<Edit>) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if within.is_empty() { name.clone() } else { format!("{within}/{name}") };
        if entry.file_type()?.is_dir() {
            if name != "tests" {
                copy(&entry.path(), &to.join(&name), &path, edits)?;
            }
        } else if path != "plugin-api/abi/Cargo.toml" {
            let mut text = fs::read_to_string(entry.path())?;
            for edit in edits.extract_if(.., |edit| edit.file == path) {
                text = replaced_once(&text, edit.from, edit.to).with_context(|| path.clone())?;
            }
            write(&to.join(&name), &text)?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn replaced_once(text: &str, from: &str, to: &str) -> Result<String> {
    match text.matches(from).count() {
        1 => Ok(text.replacen(from, to, 1)),
        n => bail!("expected once, found {n} times: {from}"),
    }
}
