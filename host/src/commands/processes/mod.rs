//! Exports in processes of their own: what the two sides tell each other, a JSON object a line, over one socket.
//! It must not know the steps of a run.

pub mod child;
pub mod parent;

use std::path::PathBuf;

use rivet_core::error::FailureClass;
use rivet_core::plan::Plan;
use rivet_core::summary::Summary;
use serde::{Deserialize, Serialize};

use crate::cli::RunArgs;
use crate::documents::ProblemRow;

/// The command that a child is; no help shows it.
pub const COMMAND: &str = "export-process";

/// What a child is asked for: the first line, from its parent. It may hold secrets, which no command line does.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// What the parent was asked for.
    pub args: RunArgs,
    /// Folders to load plugins from.
    pub plugin_dir: Vec<PathBuf>,
    /// The export.
    pub export: String,
    /// Its share of what all exports have.
    pub n_at_once: usize,
    /// Workers that it may have.
    pub n_workers: usize,
    /// What all runs that were started together have in common.
    pub invocation: String,
}

/// The only word after it: the run is to end. When the socket ends, so does the child.
pub const CANCEL: &str = "cancel";

/// What a child tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Started {
        run_id: String,
    },
    Planned {
        plan: Box<Plan>,
        rows: Option<u64>,
    },
    Read {
        rows: u64,
        bytes: u64,
    },
    PartWritten {
        name: String,
        rows: u64,
        bytes: u64,
    },
    SplitDone {
        done: usize,
        of: usize,
    },
    Retrying {
        split: String,
        cause: String,
        number: u32,
        of: u32,
        after_ms: u64,
    },
    Warning {
        message: String,
    },
    /// The export is over. The class of its failure is no part of a summary.
    Ended {
        summary: Box<Summary>,
        class: Option<FailureClass>,
    },
    /// The export was not begun.
    NotBegun {
        problems: Vec<ProblemRow>,
        exit: u8,
    },
}
