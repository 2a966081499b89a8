//! Arguments of `rivet doctor`.
//! It must not know what is probed.

use clap::Args;

use super::chosen::ChosenArgs;

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Each probe is [OK], [FAIL] with a category (auth, connectivity, not found, other) and a fix, or [--] when it was not \
made: an earlier one failed, or there is nothing to probe. Nothing is left behind. The exit code is 0, or that of the \
first failure.")]
pub struct DoctorArgs {
    /// What is probed.
    #[command(flatten)]
    pub chosen: ChosenArgs,
}
