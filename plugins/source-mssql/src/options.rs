//! The plugin's own options.
//! It must not know the connection keys, which are core's.

use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `source: {type: mssql, …}` beside the connection keys.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MssqlOptions {
    /// Name of an instance, whose port the server's browser service tells (UDP 1434). Not together with a port.
    #[schemars(length(min = 1))]
    pub instance: Option<String>,
    /// How TLS begins where a `tls` block asks for it: `login` within the login, as all versions know it; `strict` before
    /// anything else (TDS 8.0, SQL Server 2022 and later).
    pub encrypt: Encrypt,
    /// `read_only` says that a listener of an availability group may lead us to a secondary that can be read.
    pub application_intent: ApplicationIntent,
    /// Which state of the database a run reads.
    pub snapshot: SnapshotOf,
}

/// Which state of the database a run reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotOf {
    /// That of one transaction under SNAPSHOT isolation, where the database allows it: one worker reads it.
    #[default]
    Transaction,
    /// That of a database snapshot, which the run makes, all workers read, and the run drops. Takes the right CREATE ANY DATABASE,
    /// and room beside the database's files for what changes meanwhile.
    Database,
}

/// How TLS begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encrypt {
    /// Within the packets of the login.
    #[default]
    Login,
    /// Before anything else.
    Strict,
}

/// What the session is for, to a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationIntent {
    /// The primary.
    #[default]
    ReadWrite,
    /// A secondary that can be read.
    ReadOnly,
}
