//! Arguments of `run`, `check` and `doctor` that stand for a config file: a URL, what to read, how, where to.
//! It must not know how a config is made of them.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use rivet_core::config::Profile;
use serde::{Deserialize, Serialize};

/// An export without a config file.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Without a config file")]
pub struct DirectArgs {
    /// Where to read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Table to read: name or schema.name.
    #[arg(long, value_name = "TABLE", requires = "direct", conflicts_with = "query")]
    pub table: Option<String>,
    /// Query to read.
    #[arg(long, value_name = "SQL", requires = "direct", allow_hyphen_values = true)]
    pub query: Option<String>,
    /// Read only the rows of the table that fulfil this condition, written in the source's own language.
    #[arg(
        long = "where",
        value_name = "CONDITION",
        requires = "direct",
        conflicts_with = "query",
        allow_hyphen_values = true
    )]
    pub condition: Option<String>,
    /// Name of the export [default: the table's name, or query].
    #[arg(long, value_name = "NAME", requires = "direct")]
    pub name: Option<String>,
    /// How files look, and at which pace.
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// Write the config that stands for these arguments; no file is overwritten, no secret written.
    #[arg(long, value_name = "FILE", requires = "direct")]
    pub save: Option<PathBuf>,
}

/// Where to read.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub struct SourceArgs {
    /// Where to read: postgres://user@host/database or sqlite:FILE. What stands before the colon names the source
    /// plugin. No password: others on this machine see it. Give it with --url-env.
    #[arg(value_name = "URL", group = "direct")]
    pub url: Option<String>,
    /// Read the URL, which may hold a password, from this environment variable.
    #[arg(long, value_name = "VARIABLE", group = "direct")]
    pub url_env: Option<String>,
}

/// How files look, at which pace they are made, and where state is kept.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub struct ShapeArgs {
    /// Workers that read at once [default: 1].
    #[arg(long, value_name = "N", requires = "direct")]
    pub parallel: Option<u16>,
    /// How files are encoded [default: parquet].
    #[arg(long, value_name = "FORMAT", requires = "direct")]
    pub format: Option<String>,
    /// An option of the format, as `null=\N` for csv; may be given several times. `rivet plugin info FORMAT` lists them.
    #[arg(long, value_name = "KEY=VALUE", requires = "direct", value_parser = super::param)]
    pub format_option: Vec<(String, String)>,
    /// Compression of the format, such as zstd, gzip or none.
    #[arg(long, value_name = "CODEC", requires = "direct")]
    pub compression: Option<String>,
    /// How hard the source may be worked [default: balanced].
    #[arg(long, value_name = "PROFILE", requires = "direct",
        value_parser = PossibleValuesParser::new(Profile::ALL.map(Profile::as_str)))]
    pub profile: Option<String>,
    /// File that state is kept in [default: .rivet_state.db, where the config would be; none for --to -].
    #[arg(long, value_name = "FILE", requires = "direct")]
    pub state: Option<PathBuf>,
}

impl DirectArgs {
    /// Whether there is to be no config file.
    pub fn is_given(&self) -> bool {
        self.source.is_given()
    }
}

impl SourceArgs {
    /// Whether there is a URL.
    pub fn is_given(&self) -> bool {
        self.url.is_some() || self.url_env.is_some()
    }
}
