//! Arguments of `rivet check`.
//! It must not know what is judged how.

use clap::{Args, ValueEnum};

use super::chosen::ChosenArgs;

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
#[command(after_help = VERDICTS)]
pub struct CheckArgs {
    /// What is checked.
    #[command(flatten)]
    pub chosen: ChosenArgs,
    /// List each column: its type in the source, its logical type, how the file holds it, how exactly.
    #[arg(long)]
    pub type_report: bool,
    /// Warn of columns that this reader does not read as they are; the type report has its types.
    #[arg(long, value_enum)]
    pub target: Option<TargetName>,
    /// Fail (exit code 3) when a column is not held exactly and `columns` does not say so (`columns: {amount: text}`), or
    /// when it surprises the target, and say which.
    #[arg(long)]
    pub strict: bool,
    /// Also ask what only a scan of the relation answers, where no index does: the largest cursor, and rows without one.
    #[arg(long)]
    pub probe: bool,
    /// Short for --output json.
    #[arg(long)]
    pub json: bool,
}

/// What the words mean.
const VERDICTS: &str = "\
Verdicts, of one run; for an incremental export of the runs after the coming one, which reads what was not yet read:
  EFFICIENT   an index finds the rows, fewer than 10 million; or fewer than 100 000 rows are read whole
  ACCEPTABLE  an index finds the rows, but there are more, or it covers some of the rows only
  DEGRADED    no index: a scan of up to 50 million rows. It works, and costs the server that much in each run
  UNSAFE      no index: a scan of more than 50 million rows

A verdict is advice and changes no exit code. The time that is expected is that of the coming run at the export's profile; \
its snapshot is held as long.

What is read: the catalogue, the statistics, the planner's estimates (EXPLAIN), and the ends of a cursor where an index finds \
them. Nothing is scanned, unless --probe asks for it; `asked` and `not asked` say what was done.";

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
