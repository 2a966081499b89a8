//! The pipe among our destinations under the conformance suite, on the descriptor 1 of a child: this executable itself.
//! It must not know how the plugin works.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test with a harness of its own")]

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use rivet_dest_stdout as _;
use rivet_test_kit::{conformance, linked_and_loaded};
use serde_json::json;

/// Which of the two connectors the child tries.
const CHILDREN: [&str; 2] = ["child-linked", "child-loaded"];

fn main() -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    let result = match CHILDREN.iter().position(|child| *child == word) {
        Some(which) => child(which),
        None if std::env::args().any(|word| word == "--list") => {
            println!("stdout: test");
            Ok(())
        }
        None => parent(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("failed: {e:?}");
            ExitCode::FAILURE
        }
    }
}

fn child(which: usize) -> Result<()> {
    let connectors = linked_and_loaded("rivet-dest-stdout", "stdout")?;
    let listed = conformance::store(&connectors[which], &json!({}))?;
    ensure!(listed.is_empty(), "a pipe lists {listed:?}");
    Ok(())
}

fn parent() -> Result<()> {
    for child in CHILDREN {
        let output = Command::new(std::env::current_exe()?).arg(child).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{child}: {errors}");
        let piped = std::str::from_utf8(&output.stdout).context("text")?;
        ensure!(output.stdout == conformance::PIPED, "{child}: {piped:?} came out");
    }
    println!("\ntest result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", CHILDREN.len());
    Ok(())
}
