//! All tests, and what CI runs.
//! It must not start servers itself: the tests do, through `rivet-test-servers`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::build;
use crate::run::{DEV_FEATURES, cargo, run, target};
use crate::tidy;

/// Packages whose tests need a server.
const NEED_SERVERS: [&str; 3] = ["rivet-test-servers", "rivet-test-e2e", "rivet-source-postgres"];

/// `test [--no-servers] [-- FILTER…]`.
pub fn test(arguments: &[String]) -> Result<()> {
    let (flags, filter) = match arguments.iter().position(|a| a == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let no_servers = flags.iter().any(|f| f == "--no-servers");
    if let Some(unknown) = flags.iter().find(|f| *f != "--no-servers") {
        bail!("test takes --no-servers and, behind --, a filter; not '{unknown}'");
    }
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    tidy::tidy()?;
    run(cargo(["clippy", "--workspace", "--all-targets", "--locked"])
        .args(DEV_FEATURES)
        .args(["--", "-D", "warnings"]))?;
    // Cargo does not build the plugin libraries for the tests that load them.
    build::plugins()?;
    if !no_servers {
        run(Command::new(target().join("debug/rivet-test-servers")).arg("install"))?;
    }
    let mut tests = cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
    tests.args(DEV_FEATURES);
    if no_servers {
        for package in NEED_SERVERS {
            tests.args(["--exclude", package]);
        }
    }
    run(tests.arg("--").args(filter))?;
    if no_servers {
        println!("passed without servers: {} were left out", NEED_SERVERS.join(", "));
    }
    Ok(())
}

/// All tests, then a slim binary that exports the demo's sample.
pub fn ci() -> Result<()> {
    test(&[])?;
    let slim = build::slim(&["sqlite", "parquet", "local"], None)?;
    let dir = target().join("slim-demo");
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    run(Command::new(slim).args(["demo", "--rows", "20000", "--dir"]).arg(dir))
}

/// `services …`: the program of the test servers.
pub fn services(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed: Vec<&str> = match words.as_slice() {
        ["run"] => vec!["run", "postgres"],
        ["run", rest @ ..] => [&["run"], rest].concat(),
        ["install"] => vec!["install"],
        _ => bail!("services takes `run [postgres] [--major N]` or `install`"),
    };
    run(cargo(["run", "--quiet", "--locked", "--package", "rivet-test-servers", "--"]).args(passed))
}
