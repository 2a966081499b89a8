//! Arguments of `rivet validate`.
//! It must not know how anything is read.

use clap::{Args, ValueEnum};

use super::chosen::ChosenArgs;

/// Arguments of `validate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Reads pointer, manifests and parts where an export writes to, and nothing else: no state, no source. Looks at the run that the \
pointer names; of an incremental export, whose table is all of its runs together, at every run that has a manifest there. \
Changes nothing. The exit code is 3 when something is not as it was written.")]
pub struct ValidateArgs {
    /// What is validated.
    #[command(flatten)]
    pub chosen: ChosenArgs,
    /// How far it looks.
    #[arg(long, value_enum, default_value = "light")]
    pub depth: DepthArg,
    /// The one run to look at, in place of the one that the pointer names, or of all runs of an incremental export.
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    /// Look into this folder below the destination.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
}

/// How far `validate` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DepthArg {
    /// Whether all parts are there, with their sizes.
    Light,
    /// And the bytes of up to five parts, the first and the last among them.
    Sample,
    /// And the bytes of all parts.
    Full,
}
