//! The tables of the acceptance plan, and its checks: made and followed through `rivet-test-servers`.
//! It must not know what is in a table or what is checked.

use std::process::Command;

use anyhow::Result;

use crate::plugins::{build_dev, collect_dev};
use crate::run::{self, QUICK, root, run};
use crate::workspace::Workspace;

/// How the chores are called.
pub const USAGE: &str = "uat [SUITE…]";
/// As [`USAGE`].
pub const SEED_USAGE: &str = "seed --target postgres|sqlite [--url-env NAME] [--path FILE] [SIZES…]";
/// What `seed` does.
pub const SEED_ABOUT: &str = "the tables of the acceptance plan: --users, --orders-per-user, --events-per-user, --page-views, \
                              --content-items, --sparse-chunk-rows, --sparse-chunk-id-gap; --only-sparse-chunk-demo";

/// `seed`.
///
/// # Errors
/// When the tables cannot be made.
pub fn seed(words: &[String]) -> Result<()> {
    let workspace = Workspace::read()?;
    run(&mut run::build(QUICK, ["rivet-test-servers"]))?;
    run(Command::new(workspace.target.join(QUICK).join("rivet-test-servers")).arg("seed").args(words))
}

/// `uat`.
///
/// # Errors
/// When the build fails, a server does not start, or a check fails.
pub fn uat(words: &[String]) -> Result<()> {
    let workspace = Workspace::read()?;
    let built = build_dev(&workspace)?;
    let plugins = collect_dev(&workspace)?;
    let mut follow = Command::new(built.join("rivet-test-servers"));
    follow.arg("uat").arg(built.join("rivet")).arg(plugins).arg(root().join("dev"));
    run(follow.args(words))
}
