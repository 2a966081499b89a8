//! Arguments of the commands that look at the state: `state`, `metrics` and `journal`.
//! It must not know what the state holds.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Where the state is.
#[derive(Debug, Clone, Args)]
pub struct StateFile {
    /// The configuration that says where the state is.
    #[arg(long, short, default_value = "rivet.yaml", value_name = "FILE")]
    pub config: PathBuf,
    /// As `run` takes it; nothing here asks for it.
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = super::param)]
    pub param: Vec<(String, String)>,
    /// Look into this state file; no configuration is read then.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub state: Option<PathBuf>,
}

/// Commands of `state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Show, for each export: its cursor, its last run, and who is running it.
    Show {
        /// Show only this export; may be given several times.
        #[arg(long, short, value_name = "NAME")]
        export: Vec<String>,
        #[command(flatten)]
        file: StateFile,
    },
    /// List the files that good runs have written, those of the newest runs first.
    Files {
        /// Only files of this export; may be given several times.
        #[arg(long, short, value_name = "NAME")]
        export: Vec<String>,
        /// How many files to show.
        #[arg(long, short, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        last: u32,
        #[command(flatten)]
        file: StateFile,
    },
    /// List the chunks of the run of an export that is going on or was interrupted, else of its newest one.
    Chunks {
        /// The export; may be given several times.
        #[arg(long, short, value_name = "NAME")]
        export: Vec<String>,
        #[command(flatten)]
        file: StateFile,
    },
    /// Forget the finished chunks of an interrupted run: the next run discards them and starts anew.
    ResetChunks {
        /// The export.
        #[arg(long, short, value_name = "NAME", required_unless_present = "stuck_checkpoints")]
        export: Option<String>,
        /// Those of all exports that are not running.
        #[arg(long, conflicts_with = "export")]
        stuck_checkpoints: bool,
        #[command(flatten)]
        file: StateFile,
    },
    /// Move the cursor of an export, or give it one: the next run reads from there on.
    Set {
        /// The export.
        #[arg(long, short, value_name = "NAME")]
        export: String,
        /// The new value, written as `state show` prints the old one. The first cursor of an export that never ran is checked
        /// by its next run, which knows the column's type.
        #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
        cursor: String,
        #[command(flatten)]
        file: StateFile,
    },
    /// Bring cursors over from the state file of rivet-cli: of each incremental export that has none here.
    Import {
        /// The file: the `.rivet_state.db` that rivet-cli kept beside its config.
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Only this export; may be given several times.
        #[arg(long, short, value_name = "NAME")]
        export: Vec<String>,
        /// Only show what would be brought over.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        file: StateFile,
    },
    /// Make the state of exports again after it was lost: runs, files and cursors, of the manifests in their destinations. Nothing
    /// is read from the source.
    Rebuild {
        /// The configuration.
        #[arg(long, short, default_value = "rivet.yaml", value_name = "FILE")]
        config: PathBuf,
        /// Only this export; may be given several times.
        #[arg(long, short, value_name = "NAME")]
        export: Vec<String>,
        /// Value for `${KEY}` in queries; may be given several times.
        #[arg(long, short, value_name = "KEY=VALUE", value_parser = super::param)]
        param: Vec<(String, String)>,
    },
    /// Forget the cursor of an export: the next run reads everything.
    Reset {
        /// The export.
        #[arg(long, short, value_name = "NAME")]
        export: String,
        #[command(flatten)]
        file: StateFile,
    },
}

/// Arguments of `metrics`.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// How many runs to show, the newest first.
    #[arg(long, short, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub last: u32,
    /// Only runs of this export; may be given several times.
    #[arg(long, short, value_name = "NAME")]
    pub export: Vec<String>,
    #[command(flatten)]
    pub file: StateFile,
}

/// Arguments of `journal`.
#[derive(Debug, Clone, Args)]
pub struct JournalArgs {
    /// The run, as `rivet metrics` lists it; without one, the newest.
    #[arg(conflicts_with_all = ["run", "last"], value_name = "RUN_ID")]
    pub run_id: Option<String>,
    /// The run, as the argument.
    #[arg(long = "run-id", conflicts_with = "last", value_name = "RUN_ID")]
    pub run: Option<String>,
    /// The newest runs, one where no number is given.
    #[arg(long, short, value_name = "N", num_args = 0..=1, default_missing_value = "1",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub last: Option<u32>,
    /// The newest run of this export, or with --last as many of them.
    #[arg(long, short, value_name = "NAME")]
    pub export: Option<String>,
    #[command(flatten)]
    pub file: StateFile,
}
