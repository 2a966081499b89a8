//! Arguments that name exports without running them: those of a config, or one that a URL stands for.
//! It must not know what is done with the exports.

use std::path::PathBuf;

use clap::Args;

use super::RunArgs;
use super::direct::DirectArgs;

/// Exports of a config, or one without a config.
#[derive(Debug, Clone, Args)]
pub struct ChosenArgs {
    /// The configuration.
    #[arg(long, short, default_value = "rivet.yaml", value_name = "FILE", conflicts_with = "direct")]
    pub config: PathBuf,
    /// Only this export; may be given several times.
    #[arg(long, short, value_name = "NAME", conflicts_with = "direct")]
    pub export: Vec<String>,
    /// Value for `${KEY}` in queries; may be given several times.
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = super::param)]
    pub param: Vec<(String, String)>,
    /// With a URL: the folder that a run would write to, or - for stdout.
    #[arg(long, value_name = "DIR", requires = "direct")]
    pub to: Option<String>,
    /// What stands for a config file.
    #[command(flatten)]
    pub direct: DirectArgs,
}

impl ChosenArgs {
    /// The run that would make these exports. Where no folder is named for the one of a URL, it is `elsewhere`.
    pub fn run(&self, elsewhere: &str) -> RunArgs {
        let to = self.to.clone().or_else(|| self.direct.is_given().then(|| elsewhere.to_owned()));
        // A stream that only stands in for a folder takes one part.
        let parallel = self.direct.parallel.filter(|_| self.to.is_some() || elsewhere != "-");
        RunArgs {
            config: self.config.clone(),
            export: self.export.clone(),
            param: self.param.clone(),
            to,
            direct: DirectArgs { parallel, ..self.direct.clone() },
            ..RunArgs::default()
        }
    }
}
