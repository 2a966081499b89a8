//! The command line: every flag, with the text that help shows.
//! It must not know what a command does.

pub mod check;
pub mod chosen;
pub mod direct;
pub mod doctor;
pub mod history;
pub mod init;
pub mod plan;
pub mod reference;
pub mod report;
pub mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::{Args, Parser, Subcommand, ValueEnum};
use rivet_core::config::Params;
use rivet_core::plan::sealed::Replay;
use serde::{Deserialize, Serialize};

use crate::documents::ProblemRow;
use crate::exit;
use crate::out::Streams;

/// Extracts data from operational databases into Parquet, CSV and Arrow: exact, bounded in memory, gentle on the source,
/// safe to kill.
#[derive(Debug, Parser)]
#[command(name = "rivet", version, max_term_width = 100, arg_required_else_help = true,
    after_long_help = exit::listed())]
pub struct Cli {
    /// Flags of all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of all commands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// What is printed to stdout: text for people, json for machines, ndjson for machines that do not wait.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Short for `--output json`.
    #[arg(long, global = true, conflicts_with = "output")]
    pub json: bool,
    /// Print errors as JSON too, one object a line of stderr.
    #[arg(long, global = true)]
    pub json_errors: bool,
    /// Print nothing but errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log more: -v info, -vv debug, -vvv trace. Logs go to stderr. Without it, and without --quiet, the environment variable
    /// RUST_LOG says what is logged, as in `RUST_LOG=info` or `RUST_LOG=warn,rivet_source_postgres=debug`.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Folder to load plugins from; may be given several times.
    #[arg(long, global = true, value_name = "DIR")]
    pub plugin_dir: Vec<PathBuf>,
    /// Where texts go.
    #[arg(skip)]
    pub streams: Streams,
    /// Connectors that are linked in beside those of this package's features.
    #[arg(skip)]
    pub n_linked: usize,
    /// Takes what is wrong before any export is reached, where a command shows it among other things.
    #[arg(skip)]
    pub held: Option<Held>,
}

/// Problems that are shown later.
pub type Held = Arc<Mutex<Vec<ProblemRow>>>;

/// What is printed to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// One JSON object a line: events while a run goes on, the items of a list one by one.
    Ndjson,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line each.
    Text,
    /// One JSON object each.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run exports.
    Run(Box<RunArgs>),
    /// Write down what a run would do, split by split, to look at and to apply later. Reads, and changes nothing.
    Plan(Box<plan::PlanArgs>),
    /// Run exactly what a plan says: its splits, its range of the cursor, its time window.
    Apply(Box<plan::ApplyArgs>),
    /// Judge and publish what the shards of a plan have read (`apply --shard`), when all are done.
    Finalize(Box<plan::FinalizeArgs>),
    /// Judge exports before they run: strategy, size, how rows are found, what suits, types. Scans nothing.
    Check(check::CheckArgs),
    /// Find out why exports cannot run: name resolution, TCP, TLS, login, grants, pooler; write and delete where they go.
    Doctor(doctor::DoctorArgs),
    /// Compare what exports wrote with their manifests, without state or source.
    Validate(validate::ValidateArgs),
    /// Look at a database and write a config for its tables: mode, key and cursor of each, with comments.
    Init(Box<init::InitArgs>),
    /// Show and change what is remembered from run to run: cursors, written files, locks.
    State {
        /// What to show or change.
        #[command(subcommand)]
        command: history::StateCommand,
    },
    /// Show the last runs: when, how long, how much, how they ended.
    Metrics(history::MetricsArgs),
    /// Show what happened in one run, event by event.
    Journal(history::JournalArgs),
    /// Write a page about runs: what came, how it went over time, what needs a look.
    Report(report::ReportArgs),
    /// Print the JSON Schema of the config, or of a document that rivet writes or prints.
    Schema {
        /// Of what.
        #[arg(value_enum)]
        of: reference::Document,
    },
    /// Print the completions of a shell, or write manual pages.
    Completions(reference::CompletionsArgs),
    /// Show which plugins there are.
    Plugin {
        /// What to show.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Export a built-in sample, to see how it works.
    Demo(DemoArgs),
    /// Run one export for another rivet, which asks for it on standard input.
    #[command(hide = true)]
    ExportProcess,
    /// Print the command line and the exit codes as JSON, from which the reference is made.
    #[command(hide = true)]
    Reference,
}

/// Arguments of `run`.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub struct RunArgs {
    /// The configuration.
    #[arg(long, short, default_value = "rivet.yaml", value_name = "FILE", conflicts_with = "direct")]
    pub config: PathBuf,
    /// Run only this export; may be given several times.
    #[arg(long, short, value_name = "NAME", conflicts_with = "direct")]
    pub export: Vec<String>,
    /// Value for `${KEY}` in queries; may be given several times.
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = param)]
    pub param: Vec<(String, String)>,
    /// Ignore the stored cursors once: incremental exports read everything, then move their cursors.
    #[arg(long)]
    pub full_refresh: bool,
    /// Go on where the destination holds a run of the export that the state file does not know, because the file was
    /// lost, restored from a backup, or is another one: rows that were exported before may come again. Also write binary
    /// data to a terminal.
    #[arg(long)]
    pub force: bool,
    /// Go on with runs that were interrupted, and do nothing else: exports without one are left alone. It is an error if there is
    /// none, or if what an export reads has changed since. Without this flag a run goes on where it can, else starts anew.
    #[arg(long, conflicts_with_all = ["fresh", "dry_run"])]
    pub resume: bool,
    /// Keep nothing of runs that were interrupted: discard what they have read, and start anew.
    #[arg(long, conflicts_with = "dry_run")]
    pub fresh: bool,
    /// Read incremental exports from this cursor value on, once; the stored cursor stays.
    #[arg(long, value_name = "VALUE", conflicts_with = "full_refresh")]
    pub from: Option<String>,
    /// Read incremental exports up to and including this cursor value, once; the stored cursor stays. With a URL: where to
    /// write: a folder, or - for stdout, or a file whose name ends with .parquet, .csv, .csv.gz, .csv.zst, .arrow or
    /// .feather, which says the format; any other name is that of a folder.
    #[arg(long, value_name = "VALUE|PATH", conflicts_with = "full_refresh")]
    pub to: Option<String>,
    /// Run several exports at once, N of them or as many as there are processors, the longest first; fewer where memory or
    /// `max_connections` are short.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "0",
        conflicts_with = "parallel_export_processes")]
    pub parallel_exports: Option<usize>,
    /// As --parallel-exports, each export in a process of its own: where one crashes, the others go on.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub parallel_export_processes: Option<usize>,
    /// Read back every file before the run counts: rows and a checksum of each column, or the bytes where the format
    /// cannot be read back. What differs is withdrawn, exit code 3.
    #[arg(long)]
    pub validate: bool,
    /// Write how all exports ended to this file, as --output json prints it.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub summary_output: Option<PathBuf>,
    /// Only show what would be done: read the catalogue, plan, prove that the destination can be written. Writes
    /// nothing, and scans nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: also ask what only a scan of the relation answers, such as the largest cursor without an index.
    #[arg(long, requires = "dry_run")]
    pub probe: bool,
    /// What stands for a config file.
    #[command(flatten)]
    pub direct: direct::DirectArgs,
    /// The plans that exports follow, by name; any export makes one where there are none.
    #[arg(skip)]
    pub replays: Option<BTreeMap<String, Replay>>,
    /// Die at a named point of the run path (tests only).
    #[cfg(feature = "fault")]
    #[arg(long, hide = true)]
    pub fault: Option<String>,
}

impl RunArgs {
    /// An export without a config that goes to stdout: there is nothing to remember of it.
    pub fn keeps_nothing(&self) -> bool {
        self.direct.is_given() && self.to.as_deref() == Some("-") && self.direct.shape.state.is_none()
    }

    /// The parameters by key.
    ///
    /// # Errors
    /// A sentence, when one is given twice.
    pub fn params(&self) -> Result<Params, String> {
        params(&self.param)
    }
}

/// Parameters by key.
///
/// # Errors
/// A sentence, when one is given twice.
pub fn params(given: &[(String, String)]) -> Result<Params, String> {
    let mut all = Params::new();
    for (key, value) in given {
        if all.insert(key.clone(), value.clone()).is_some() {
            return Err(format!("the parameter '{key}' is given twice"));
        }
    }
    Ok(all)
}

fn param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// Commands of `plugin`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// List all plugins with version and origin, also those that are not used because another of their name comes first.
    List {
        /// A configuration whose plugin folders are looked into, too.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show one plugin: its capabilities, and its options with their types, words and defaults.
    Info {
        /// Name of the plugin.
        name: String,
        /// A configuration whose plugin folders are looked into, too.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Folder that is made for the sample, the config and the output.
    #[arg(long, default_value = "rivet-demo", value_name = "DIR")]
    pub dir: PathBuf,
    /// Rows of the sample's largest table.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub rows: u32,
}
