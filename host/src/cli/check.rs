//! Arguments of `rivet check`.
//! It must not know what is judged how.

use clap::{Args, ValueEnum};

use super::chosen::ChosenArgs;

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// What is checked.
    #[command(flatten)]
    pub chosen: ChosenArgs,
    /// List each column: its type in the source, its logical type, how the file holds it, how exactly.
    #[arg(long)]
    pub type_report: bool,
    /// Warn of columns that this reader does not read as they are.
    #[arg(long, value_enum)]
    pub target: Option<TargetName>,
    /// Fail (exit code 3) when a column is not held exactly and `columns` does not say so (`columns: {amount: text}`), or
    /// when it surprises the target.
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
