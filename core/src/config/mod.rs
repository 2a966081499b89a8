//! The config: a strict YAML file, read into types in which every default is settled.
//! It must not know plugins (their options stay JSON until a schema is at hand), sessions or runs.

mod choice;
mod columns;
mod error;
mod expand;
mod export;
mod json_schema;
mod load;
mod node;
mod options;
mod patterns;
mod read;
mod relation;
mod rows;
mod schema;
mod section;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod tuning;
mod units;

use std::path::PathBuf;

use rivet_plugin_api::{Choices, Connection, Distance, Relation, Tls, TypesMode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use error::{At, ConfigError, ConfigErrors};
pub use json_schema::json_schema;
pub use load::{Params, load, parse};
#[cfg(test)]
pub(crate) use node::name_problem;
pub use options::{Options, RESERVED_SOURCE_KEYS, check_reserved, validate_options};
pub use patterns::{TablePattern, Tables};
pub(crate) use read::is_key;
pub use suggest::did_you_mean;
pub use tuning::{Profile, Tuning};

/// A whole config with everything settled: defaults merged, variables expanded, secrets read.
#[derive(Debug, Clone)]
pub struct Config {
    /// The one source of all exports.
    pub source: SourceConfig,
    /// In the order of the file; at least one, names unique.
    pub exports: Vec<ExportConfig>,
    /// Where plugins are looked for.
    pub plugins: PluginsConfig,
    /// Where state is kept.
    pub state: StateConfig,
}

/// The `source` block.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// Plugin name (`type`).
    pub plugin: String,
    /// Where the server is; nothing is set where the plugin's own options say it. Relative paths of the `tls` block
    /// start from the config's folder.
    pub connection: Connection,
    /// The plugin's own options, not yet checked against its schema.
    pub options: Options,
    /// Tuning of the source without any export's overrides: for what is done before an export is chosen.
    pub tuning: Tuning,
}

/// A plugin with its own options: the `format` or `destination` of an export.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// Plugin name (`type`).
    pub plugin: String,
    /// The plugin's own options, not yet checked against its schema.
    pub options: Options,
}

/// One export with all defaults merged.
#[derive(Debug, Clone)]
pub struct ExportConfig {
    /// Unique name: letters, digits, `_`, `-`, `.`; at most 100 bytes.
    pub name: String,
    /// What is read. `table` is `name` or `schema.name`, each part exactly as the engine stores it; a part with dots
    /// or quotes stands in double quotes, a doubled quote inside stands for one: `'"we.ird".t'`.
    pub relation: Relation,
    /// The export stands for one export of each table that these mean; `relation` then is only how messages call it.
    pub tables: Option<Tables>,
    /// What of `relation` and `condition` may be kept.
    pub written: Written,
    /// Which rows are read.
    pub mode: Mode,
    /// Which columns are read.
    pub select: Select,
    /// A condition on the rows of a table, in the source's own language.
    pub condition: Option<String>,
    /// Types and value policies.
    pub choices: Choices,
    /// Columns that Rivet adds.
    pub meta_columns: MetaColumns,
    /// Workers that read at once; at least 1. `tuning.max_connections` may allow fewer.
    pub parallel: usize,
    /// How parts are encoded; `compression` and `compression_level` are among the options.
    pub format: PluginConfig,
    /// Where parts go.
    pub destination: PluginConfig,
    /// A part is ended after about so many bytes.
    pub max_file_bytes: Option<u64>,
    /// Write no part when there are no rows.
    pub skip_empty: bool,
    /// Which Arrow forms are written.
    pub types: TypesMode,
    /// What happens when the schema is not that of the last good run.
    pub on_schema_drift: DriftPolicy,
    /// Pace and limits: profile, then source, then defaults, then the export, key by key.
    pub tuning: Tuning,
}

/// What an export reads, as it stands in the file: values of variables, which may be secrets, are not in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The relation.
    pub relation: Relation,
    /// The condition on its rows.
    pub condition: Option<String>,
}

/// Which rows an export reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The whole relation, every run.
    #[default]
    Full,
    /// What came since the last good run.
    Incremental(Incremental),
}

/// How an incremental export finds what is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incremental {
    /// The cursor: the first of these columns that is not NULL. One or two.
    pub key: Vec<String>,
    /// How far below the stored cursor each run looks for rows that were committed late.
    pub lookback: Option<Distance>,
    /// What happens to rows without a cursor.
    pub nulls: NullCursor,
}

/// What happens to rows whose cursor is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullCursor {
    /// The run stops.
    #[default]
    Error,
    /// Every run reads them all.
    Include,
}

/// Which columns an export reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// All, in the relation's order.
    #[default]
    All,
    /// These, in this order.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

/// Columns that Rivet adds after those of the relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MetaColumns {
    /// `_rivet_exported_at`: when the run started, one value for all rows.
    pub exported_at: bool,
    /// `_rivet_row_hash`: a hash of all values of the row.
    pub row_hash: bool,
}

/// What happens when the schema is not that of the last good run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftPolicy {
    /// Say so and go on.
    #[default]
    Warn,
    /// Go on.
    Continue,
    /// Stop before a byte is written.
    Fail,
}

/// The `plugins` block; paths are absolute or start with the config's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginsConfig {
    /// Folders with plugin libraries, first match wins.
    pub dirs: Vec<PathBuf>,
}

/// The `state` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateConfig {
    /// SQLite file; `.rivet_state.db` beside the config unless `url` says otherwise.
    pub path: PathBuf,
}

impl SourceConfig {
    /// The JSON that deserialises as [`Connection`]: for the request to the plugin alone. It holds the secrets in
    /// clear, so never log it, print it, or put it into a plan, the state or a manifest.
    pub fn connection_json(&self) -> Value {
        let c = &self.connection;
        let mut json = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                json.insert(key.to_owned(), value);
            }
        };
        put("url", c.url.as_ref().map(|s| s.expose().into()));
        put("host", c.host.clone().map(Value::from));
        put("port", c.port.map(Value::from));
        put("user", c.user.clone().map(Value::from));
        put("password", c.password.as_ref().map(|s| s.expose().into()));
        put("database", c.database.clone().map(Value::from));
        put("tls", c.tls.as_ref().map(tls_json));
        Value::Object(json)
    }
}

fn tls_json(tls: &Tls) -> Value {
    use rivet_plugin_api::TlsMode as M;
    let mode = match tls.mode {
        M::Disable => "disable",
        M::Require => "require",
        M::VerifyCa => "verify-ca",
        M::VerifyFull => "verify-full",
    };
    json!({
        "mode": mode,
        "ca_file": tls.ca_file,
        "cert_file": tls.cert_file,
        "key_file": tls.key_file,
        "accept_invalid_certs": tls.accept_invalid_certs,
        "accept_invalid_hostnames": tls.accept_invalid_hostnames,
    })
}
