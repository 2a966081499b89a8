//! All checks and all tests, in the order in which they fail fastest.
//! It must not start servers itself: the tests do, through `rivet-test-servers`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::docs;
use crate::legs::{self, Servers};
use crate::plugins;
use crate::run::{DEV, cargo, run, timed};
use crate::side_by_side::side_by_side;
use crate::tidy;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "test [--no-servers] [--only A,B] [-- FILTER…]";

/// Test programs that run at once: each of them waits for its servers, locks and timeouts for most of its time.
const AT_ONCE: usize = 2;

/// `test`.
///
/// # Errors
/// When a check or a test fails.
pub fn test(words: &[String]) -> Result<()> {
    let args = Args::parse(words, &["--no-servers"], &["--only"])?;
    let servers = Servers::choose(args.has("--no-servers"), args.list("--only"))?;
    let workspace = Workspace::read()?;
    eprintln!("# cargo {}; servers: {}", DEV.join(" "), servers.describe());
    check()?;
    build(&workspace)?;
    tests(&workspace, &servers, &args.behind)
}

/// Format, our own rules, lints.
///
/// # Errors
/// When something is not in order.
pub fn check() -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    tidy::tidy(&[])?;
    timed("clippy", || run(cargo(["clippy", "--all-targets"]).args(DEV).args(["--", "-D", "warnings"])))
}

/// Builds everything that is tested, once; benchmarks are not. Cargo does not build plugin libraries for the tests that
/// load them.
///
/// # Errors
/// When the build fails.
pub fn build(workspace: &Workspace) -> Result<()> {
    let targets = ["--lib", "--bins", "--examples", "--tests"];
    timed("build", || run(cargo(["build"]).args(targets).args(DEV)))?;
    plugins::collect_dev(workspace).map(drop)
}

/// Installs the servers and readers that the tests need.
///
/// # Errors
/// When something cannot be had.
pub fn install(workspace: &Workspace) -> Result<()> {
    timed("install", || run(Command::new(workspace.target.join("debug/rivet-test-servers")).arg("install")))
}

/// Installs what the tests need, then runs them, those that need servers first: they take longest. `cargo test` and not nextest: a test process starts its servers once for all its tests.
///
/// # Errors
/// When a test fails, after all have run.
pub fn tests(workspace: &Workspace, servers: &Servers, filter: &[String]) -> Result<()> {
    let legs = legs::divide(workspace, servers, legs::needs)?;
    if *servers == Servers::All {
        install(workspace)?;
    }
    timed("docs", || docs::check(workspace, servers.allow(&["postgres", "mariadb"])))?;
    let doc = timed("doc tests", || run(cargo(["test", "--doc", "--no-fail-fast"]).args(DEV).arg("--").args(filter)));
    let selected = |words: &[&str]| {
        let mut one = cargo(["test", "--no-fail-fast"]);
        one.args(words).args(DEV).arg("--").args(filter);
        one
    };
    let programs = legs.run.iter().map(|name| selected(&["--test", name]));
    let all = programs.chain([selected(&["--lib", "--bins", "--examples"])]);
    let all = timed("tests", || side_by_side(AT_ONCE, all.collect::<Vec<_>>()));
    let left_out = match servers {
        Servers::All => String::new(),
        Servers::Only(names) if names.is_empty() => format!("--no-servers: left out {}", legs.left_out.join(", ")),
        Servers::Only(names) => format!("--only {}: left out {}", names.join(","), legs.left_out.join(", ")),
    };
    match [doc, all].into_iter().filter_map(Result::err).map(|e| e.to_string()).collect::<Vec<_>>() {
        failed if failed.is_empty() && left_out.is_empty() => Ok(()),
        failed if failed.is_empty() => {
            println!("{left_out}");
            Ok(())
        }
        failed => bail!("{} {left_out}", failed.join("; ")),
    }
}
