//! Arguments of `rivet init`.
//! It must not know what is proposed for which table.

use std::path::PathBuf;

use clap::Args;

use super::direct::{ShapeArgs, SourceArgs};

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Only the catalogue and its statistics are read, no rows. On a terminal, what no flag says is asked for; --yes takes the \
defaults. The config holds no secret: where the URL has a password, it names a variable for it. The file passes \
`rivet check --strict` as it stands.")]
pub struct InitArgs {
    /// Where to read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Read where this config reads; of its exports nothing is taken.
    #[arg(long, short, value_name = "FILE", group = "direct")]
    pub config: Option<PathBuf>,
    /// This table or view alone: name or schema.name; may be given several times.
    #[arg(long, value_name = "TABLE")]
    pub table: Vec<String>,
    /// Only what is in this schema; may be given several times.
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Vec<String>,
    /// Tables that match this pattern, such as shop.* or order_?; may be given several times [default: all tables].
    #[arg(long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// But none that match this one; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Rows of tables that match this pattern are added and never changed: they are read incrementally, by what grows with
    /// each row; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub append_only: Vec<String>,
    /// Folder for the files; {export} stands for the name of each export [default: out/{export}].
    #[arg(long, value_name = "DIR")]
    pub to: Option<String>,
    /// How files look, and at which pace.
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// File to write, or - for stdout [default: rivet.yaml, beside the --config if there is one].
    #[arg(long = "file", short = 'o', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Overwrite the file if there is one.
    #[arg(long)]
    pub force: bool,
    /// Print what was found and what is proposed as JSON, and write nothing.
    #[arg(long)]
    pub discover: bool,
    /// Ask nothing.
    #[arg(long, short)]
    pub yes: bool,
}
