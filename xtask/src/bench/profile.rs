//! Where an export spends its instructions, counted by callgrind.
//! It must not know the product beyond how a case is exported.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::engine::Engine;
use super::server::Server;
use super::tables::{self, Sizes};
use super::tools::{Tool, Tools};
use super::{choose, number};
use crate::args::Args;
use crate::run::{output, run};
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "profile [--cases CASE] [--scale N] [--url-env VARIABLE]";

/// Rows enough for the shares to settle, few enough for a program that runs 50 times slower.
const SCALE: f64 = 0.02;
/// Functions that are printed.
const N_LINES: usize = 60;

/// `profile`.
///
/// # Errors
/// When something cannot be built or installed, or the export fails.
pub fn profile(words: &[String]) -> Result<()> {
    let args = Args::parse(words, &[], &["--cases", "--scale", "--url-env"])?;
    let scale = number(&args, "--scale")?.unwrap_or(SCALE);
    let sizes = Sizes {
        lineitem_scale: scale,
        content_rows: (100_000.0 * scale) as u64,
        wide_rows: (1e6 * scale) as u64,
        narrow_rows: (6e6 * scale) as u64,
    };
    let workspace = Workspace::read()?;
    install_valgrind()?;
    let scratch = workspace.target.join("bench/scratch");
    let out = scratch.join("out");
    fs::create_dir_all(&out)?;
    let server = Server::get(&workspace, Engine::Postgres, args.value("--url-env"), 0, &scratch)?;
    let tools = Tools::get(&workspace, false)?;
    for case in choose(Some(args.list("--cases").unwrap_or_else(|| vec!["lineitem"])))? {
        tables::fill(case, sizes, &server, &tools, &scratch)?;
        let counts = workspace.target.join(format!("bench/callgrind-{}.out", case.name));
        let words = tools.words(Tool::RivetSlim, case.task(), &server, &out, &scratch.join("rivet.yaml"))?;
        let mut valgrind = Command::new("valgrind");
        valgrind.arg("--quiet").args(["--tool=callgrind", "--cache-sim=no"]);
        valgrind.arg(format!("--callgrind-out-file={}", counts.display())).args(words).envs(server.environment());
        run(&mut valgrind)?;
        super::forget_state(&scratch)?;
        let summary = output(Command::new("callgrind_annotate").arg(&counts))?;
        println!("{}", summary.lines().take(N_LINES).collect::<Vec<_>>().join("\n"));
        println!("\nall of it: callgrind_annotate {}", counts.display());
    }
    fs::remove_dir_all(&out).context("failed to remove what was exported")
}

fn install_valgrind() -> Result<()> {
    if output(Command::new("valgrind").arg("--version")).is_ok() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["install", "--yes", "--no-install-recommends", "valgrind"]))
}
