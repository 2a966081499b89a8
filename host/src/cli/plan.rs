//! Arguments of `rivet plan`, `rivet apply` and `rivet finalize`.
//! It must not know what a plan holds.

use std::path::PathBuf;

use clap::Args;

use rivet_core::plan::sealed::Shard;

use super::RunArgs;
use super::chosen::ChosenArgs;

/// Arguments of `plan`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The plan holds no secret: neither passwords nor values of ${VAR} and --param. It does hold values of keys, where splits and \
ranges begin and end. `rivet apply` takes connection, destination and variables from the config, and compares them with \
what the plan was made for.")]
pub struct PlanArgs {
    /// What is planned.
    #[command(flatten)]
    pub chosen: ChosenArgs,
    /// File to write [default: standard output].
    #[arg(long = "file", short = 'o', value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Arguments of `apply`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Refused with exit code 1: a plan that was edited, always; one that is older than 24 hours, was applied before, or does not \
fit any more since columns, source, config or cursor are others, unless --force says to go on.

With --shard several processes that share a state do the splits of one plan, at once or one after the other:
  rivet apply plan.json --shard 1/2 &
  rivet apply plan.json --shard 2/2 &
  wait && rivet finalize plan.json
Nothing is visible before `finalize`. Each shard reads a snapshot of its own. A shard that died is applied again, and keeps what \
it had finished; `rivet run` is refused meanwhile, for as long as `resume_within` says.")]
pub struct ApplyArgs {
    /// Which plan, and how.
    #[command(flatten)]
    pub follow: FollowArgs,
    /// Do only this share of the splits, such as `2/3`, and publish nothing: `rivet finalize` does, when all are done.
    #[arg(long, value_name = "I/N", conflicts_with = "validate")]
    pub shard: Option<Shard>,
}

/// Arguments of `finalize`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Refused with exit code 1 while a shard is missing, which it names, and when the plan was finalized before. Nothing is read from the \
source. It is the end of the run like any other: rows are counted, quality rules judged over all shards, files published.")]
pub struct FinalizeArgs {
    /// Which plan, and how.
    #[command(flatten)]
    pub follow: FollowArgs,
}

/// What following a plan takes, in whole or in part.
#[derive(Debug, Clone, Args)]
pub struct FollowArgs {
    /// The plan, as `rivet plan` wrote it.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// The config that it was made with.
    #[command(flatten)]
    pub chosen: ChosenArgs,
    /// Follow a plan that is old, was applied before, or does not fit any more. A cursor that stands elsewhere by now stays
    /// there. Also as `run --force`.
    #[arg(long)]
    pub force: bool,
    /// As `run --validate`: read back every file before the run counts.
    #[arg(long)]
    pub validate: bool,
    /// As `run --summary-output`: write how all exports ended to this file.
    #[arg(long, value_name = "FILE")]
    pub summary_output: Option<PathBuf>,
    /// Die at a named point of the run path (tests only).
    #[cfg(feature = "fault")]
    #[arg(long, hide = true)]
    pub fault: Option<String>,
}

impl FollowArgs {
    /// The run that follows the plan, but for the plan.
    pub fn run(&self) -> RunArgs {
        RunArgs {
            force: self.force,
            validate: self.validate,
            summary_output: self.summary_output.clone(),
            #[cfg(feature = "fault")]
            fault: self.fault.clone(),
            ..self.chosen.run("-")
        }
    }
}
