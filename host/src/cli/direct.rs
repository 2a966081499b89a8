//! Arguments of `run` that stand for a config file: a URL, what to read, where to.
//! It must not know how a config is made of them.

use std::path::PathBuf;

use clap::Args;

/// An export without a config file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Without a config file")]
pub struct DirectArgs {
    /// Where to read: postgres://user@host/database or sqlite:FILE. What stands before the colon names the source
    /// plugin. No password: others on this machine see it. Give it with --url-env.
    #[arg(value_name = "URL", group = "direct", conflicts_with_all = ["config", "export"])]
    pub url: Option<String>,
    /// Read the URL, which may hold a password, from this environment variable.
    #[arg(long, value_name = "VARIABLE", group = "direct", conflicts_with_all = ["config", "export"])]
    pub url_env: Option<String>,
    /// Table to read: name or schema.name.
    #[arg(long, value_name = "TABLE", requires = "direct", conflicts_with = "query")]
    pub table: Option<String>,
    /// Query to read.
    #[arg(long, value_name = "SQL", requires = "direct")]
    pub query: Option<String>,
    /// Read only the rows of the table that fulfil this condition, written in the source's own language.
    #[arg(long = "where", value_name = "CONDITION", requires = "direct", conflicts_with = "query")]
    pub condition: Option<String>,
    /// How files are encoded [default: parquet].
    #[arg(long, value_name = "FORMAT", requires = "direct")]
    pub format: Option<String>,
    /// An option of the format, as `null=\N` for csv; may be given several times. `rivet plugin info FORMAT` lists them.
    #[arg(long, value_name = "KEY=VALUE", requires = "direct", value_parser = super::param)]
    pub format_option: Vec<(String, String)>,
    /// Name of the export [default: the table's name, or query].
    #[arg(long, value_name = "NAME", requires = "direct")]
    pub name: Option<String>,
    /// Write the config that stands for these arguments; no file is overwritten, no secret written.
    #[arg(long, value_name = "FILE", requires = "direct")]
    pub save: Option<PathBuf>,
}

impl DirectArgs {
    /// Whether there is to be no config file.
    pub fn is_given(&self) -> bool {
        self.url.is_some() || self.url_env.is_some()
    }
}
