//! Arguments of `report`.
//! It must not know what a report shows.

use clap::Args;

use super::history::StateFile;

/// Arguments of `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The run, as `rivet metrics` lists it; by default all runs that the last `rivet run` made.
    #[arg(value_name = "RUN_ID")]
    pub run_id: Option<String>,
    /// The newest run of this export; may be given several times.
    #[arg(long, short, value_name = "NAME", conflicts_with = "run_id")]
    pub export: Vec<String>,
    /// File to write the page to; - is standard output.
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    pub out: String,
    #[command(flatten)]
    pub file: StateFile,
}
