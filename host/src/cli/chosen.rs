//! Arguments that name exports of a config without running them.
//! It must not know what is done with the exports.

use std::path::PathBuf;

use clap::Args;

use super::RunArgs;

/// Exports of a config.
#[derive(Debug, Clone, Args)]
pub struct ChosenArgs {
    /// The configuration.
    #[arg(long, short, default_value = "rivet.yaml", value_name = "FILE")]
    pub config: PathBuf,
    /// Only this export; may be given several times.
    #[arg(long, short, value_name = "NAME")]
    pub export: Vec<String>,
    /// Value for `${KEY}` in queries; may be given several times.
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = super::param)]
    pub param: Vec<(String, String)>,
}

impl ChosenArgs {
    /// The run that would make these exports.
    pub fn run(&self) -> RunArgs {
        RunArgs {
            config: self.config.clone(),
            export: self.export.clone(),
            param: self.param.clone(),
            ..RunArgs::default()
        }
    }
}
