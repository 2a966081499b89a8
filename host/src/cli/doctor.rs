//! Arguments of `rivet doctor`.
//! It must not know what is probed.

use clap::Args;

use super::chosen::ChosenArgs;

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The config comes first, then the source, then each destination. A probe is [OK]; [WARN] when something could be safer; \
[FAIL] with a category (auth, connectivity, not found, other) and a fix; or [--] when it was not made: an earlier one \
failed, or there is nothing to probe. Nothing is left behind. The exit code is 0, or that of the first failure; a warning \
changes none.")]
pub struct DoctorArgs {
    /// What is probed.
    #[command(flatten)]
    pub chosen: ChosenArgs,
}
