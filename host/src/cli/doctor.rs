//! Arguments of `rivet doctor`.
//! It must not know what is probed.

use std::path::PathBuf;

use clap::Args;

use super::RunArgs;

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Each probe is [OK], [FAIL] with a category (auth, connectivity, not found, other) and a fix, or [--] when it was not \
made: an earlier one failed, or there is nothing to probe. Nothing is left behind. The exit code is 0, or that of the \
first failure.")]
pub struct DoctorArgs {
    /// The configuration.
    #[arg(long, short, default_value = "rivet.yaml", value_name = "FILE")]
    pub config: PathBuf,
    /// Probe what this export needs, only; may be given several times.
    #[arg(long, short, value_name = "NAME")]
    pub export: Vec<String>,
    /// Value for `${KEY}` in queries; may be given several times.
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = super::param)]
    pub param: Vec<(String, String)>,
}

impl DoctorArgs {
    /// The run whose needs are probed.
    pub fn run(&self) -> RunArgs {
        RunArgs {
            config: self.config.clone(),
            export: self.export.clone(),
            param: self.param.clone(),
            ..RunArgs::default()
        }
    }
}
