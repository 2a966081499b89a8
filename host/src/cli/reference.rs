//! Arguments of the commands that describe rivet itself: `schema` and `completions`.
//! It must not know what they print.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What `schema` describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// The config, with the options of the plugins that are found.
    Config,
    /// The manifest of a run.
    Manifest,
    /// What `run --output json` prints.
    Summary,
    /// A line of `run --output ndjson`.
    Events,
    /// What `run --dry-run --output json` prints.
    DryRun,
    /// The file that `plan` writes and `apply` follows.
    Plan,
    /// What `doctor --output json` prints.
    Doctor,
    /// What `validate --output json` prints.
    Validate,
    /// What `init --discover` prints.
    Discovery,
    /// What `metrics --output json` prints.
    Metrics,
    /// What `journal --output json` prints.
    Journal,
    /// What `state show --output json` prints.
    State,
    /// What `state files --output json` prints.
    StateFiles,
    /// What `rivet state chunks` prints.
    StateChunks,
    /// What `rivet state reset-chunks` prints.
    StateReset,
    /// What `rivet state rebuild` prints.
    StateRebuild,
    /// What `state set` and `state reset` print with `--output json`.
    StateCursor,
    /// What `state import --output json` prints.
    StateImport,
    /// What `report --output json` prints.
    Report,
}

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell; `man` for manual pages.
    #[arg(value_enum)]
    pub target: Target,
    /// Write files to this folder instead of standard output; needed for `man`, which has many.
    #[arg(long, value_name = "DIR", required_if_eq("target", "man"))]
    pub dir: Option<PathBuf>,
}

/// For whom completions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
    /// PowerShell.
    #[value(name = "powershell")]
    PowerShell,
    /// Elvish.
    Elvish,
    /// Manual pages, one a command.
    Man,
}
