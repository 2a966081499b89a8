//! Arguments of `rivet check`.
//! It must not know what is judged how.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::RunArgs;

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The configuration.
    #[arg(long, short, default_value = "rivet.yaml", value_name = "FILE")]
    pub config: PathBuf,
    /// Check only this export; may be given several times.
    #[arg(long, short, value_name = "NAME")]
    pub export: Vec<String>,
    /// Value for `${KEY}` in queries; may be given several times.
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = super::param)]
    pub param: Vec<(String, String)>,
    /// List each column: its type in the source, its logical type, how the file holds it, how exactly.
    #[arg(long)]
    pub type_report: bool,
    /// Warn of columns that this reader does not read as they are.
    #[arg(long, value_enum)]
    pub target: Option<TargetName>,
    /// Fail (exit code 3) when a column is not held exactly, or surprises the target.
    #[arg(long)]
    pub strict: bool,
}

/// Programs and services that read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetName {
    /// Apache Spark.
    Spark,
    /// DuckDB.
    Duckdb,
    /// Google BigQuery.
    Bigquery,
    /// Snowflake.
    Snowflake,
}

impl CheckArgs {
    /// The run that is judged.
    pub fn run(&self) -> RunArgs {
        RunArgs {
            config: self.config.clone(),
            export: self.export.clone(),
            param: self.param.clone(),
            ..RunArgs::default()
        }
    }
}
