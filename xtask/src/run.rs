//! Running programs.
//! It must not know what the programs are for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// What every build for development is made with, so that build, lints, tests and demo compile the world once:
/// the whole workspace, because features unify per selection, and the points where a test can kill the host.
pub const DEV: [&str; 4] = ["--workspace", "--locked", "--features", "rivet/fault"];

/// The profile for what has to be there soon and is run seldom: chores, the demo, servers by hand.
pub const QUICK: &str = "quick";

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// `cargo` with arguments, in the root.
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// `cargo build` of these packages and nothing else.
pub fn build<'a>(profile: &str, packages: impl IntoIterator<Item = &'a str>) -> Command {
    let mut build = cargo(["build", "--locked", "--profile", profile]);
    for package in packages {
        build.args(["--package", package]);
    }
    build
}

/// Says the command and runs it.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let line = spoken(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("failed to start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs a step and says how long it took.
///
/// # Errors
/// Those of the step.
pub fn timed<T>(step: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work();
    let verb = if result.is_ok() { "took" } else { "failed after" };
    eprintln!("# {step} {verb} {:.1} s", start.elapsed().as_secs_f64());
    result
}

/// What a command prints.
///
/// # Errors
/// When it cannot be started, fails, or prints something else than UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let line = spoken(command);
    let out = command.output().with_context(|| format!("failed to start `{line}`"))?;
    if !out.status.success() {
        bail!("`{line}` failed: {}", String::from_utf8_lossy(&out.stderr).trim_end());
    }
    String::from_utf8(out.stdout).with_context(|| format!("`{line}` printed no UTF-8"))
}

/// The command as one would type it, with paths below the root shortened.
pub fn spoken(command: &Command) -> String {
    let root = format!("{}/", root().display());
    let program = Path::new(command.get_program());
    let name = if program.ends_with("cargo") { "cargo".into() } else { program.to_string_lossy() };
    let words = std::iter::once(name).chain(command.get_args().map(OsStr::to_string_lossy));
    words.map(|w| w.strip_prefix(&root).unwrap_or(&w).to_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named_in_the_error() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).expect_err("it exits with 3");
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3)");
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 1"])).expect_err("it exits with 1");
        assert!(error.to_string().ends_with("failed: why"), "{error}");
        let long = Command::new(root().join("target/debug/rivet"));
        assert_eq!(spoken(&long), "target/debug/rivet");
    }
}
