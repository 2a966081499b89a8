//! How sessions are opened: what the host asks for, and what it gets.
//! It must not know what a session does.

use serde::{Deserialize, Serialize};

use crate::{Choices, Connection, Relation, Session};

/// What to open.
#[derive(Debug, Clone, Deserialize)]
pub struct OpenGroup<O> {
    /// Where the server is.
    #[serde(default)]
    pub connection: Connection,
    /// The plugin's own options.
    pub options: O,
    /// Most sessions to open, at least 1.
    pub n_sessions: usize,
    /// Which state of the database to read.
    #[serde(default)]
    pub snapshot: Snapshot,
    /// What will be read, where it is known. A snapshot must not be older than the locks that keep others from replacing
    /// what is read: an engine that takes the two apart locks this first.
    #[serde(default)]
    pub relation: Option<Relation>,
    /// Limits that every statement of these sessions runs under.
    #[serde(default)]
    pub limits: SessionLimits,
    /// How columns are read where there is a choice.
    #[serde(default)]
    pub choices: Choices,
    /// Who asks: a newer plugin says to an older host only what that can read.
    #[serde(default)]
    pub host: HostInfo,
    /// What the sessions are for.
    #[serde(default)]
    pub purpose: Purpose,
}

/// What sessions are for, so that whoever looks at the server's list of them knows. Empty where that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purpose {
    /// Export.
    pub export: String,
    /// Run.
    pub run_id: String,
    /// What a run would read is found out, and nothing is read: make nothing on the server for it.
    pub rehearsal: bool,
}

impl Purpose {
    /// `rivet/EXPORT/RUN`, as far as it is known.
    pub fn label(&self) -> String {
        let parts = ["rivet", &self.export, &self.run_id].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("/")
    }
}

impl<O> OpenGroup<O> {
    /// One session with a new snapshot and no limits, at no server, by this host.
    pub fn new(options: O) -> Self {
        Self {
            connection: Connection::default(),
            options,
            n_sessions: 1,
            snapshot: Snapshot::New,
            relation: None,
            limits: SessionLimits::default(),
            choices: Choices::default(),
            host: HostInfo::current(),
            purpose: Purpose::default(),
        }
    }
}

/// The host, as it introduces itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostInfo {
    /// Its version of the ABI; empty where it is older than this.
    pub abi_version: String,
    /// What it knows that hosts did not always know, of [`FEATURES`].
    pub features: Vec<String>,
}

/// What this version knows beyond the first: the logical types `struct` and `map`, and `notices` of a call
/// ([`Cx::warn`](crate::Cx::warn)).
pub const FEATURES: [&str; 3] = ["struct", "map", "notices"];

impl HostInfo {
    /// This version.
    pub fn current() -> Self {
        let features = FEATURES.map(str::to_owned).to_vec();
        Self { abi_version: rivet_plugin_abi::ABI_VERSION.to_owned(), features }
    }

    /// Whether it knows something.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
    }
}

/// Which state of the database the sessions of a group read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Snapshot {
    /// Each statement reads what is committed when it starts.
    None,
    /// One new snapshot for all.
    #[default]
    New,
    /// The snapshot with this token, held by another session that still lives.
    Join(String),
}

/// Limits that every statement runs under. 0 = none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionLimits {
    /// Longest a single statement may take, ms.
    pub statement_timeout_ms: u64,
    /// Longest wait for a lock, ms.
    pub lock_timeout_ms: u64,
    /// Longest time without a byte from the server while reading, ms.
    pub no_progress_timeout_ms: u64,
    /// Largest value (and row) to accept, bytes.
    pub max_value_bytes: u64,
}

/// Sessions opened together.
pub struct SessionGroup {
    /// At least one.
    pub sessions: Vec<Box<dyn Session>>,
    /// What they share.
    pub snapshot: SnapshotInfo,
}

/// The state of the database that a group reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotInfo {
    /// The engine's identity of the snapshot for the manifest; none when each statement reads its own state.
    pub identity: Option<String>,
    /// Token that lets further sessions join while the first session of the group lives.
    pub join_token: Option<String>,
    /// Identity of the server and database, without credentials.
    pub server: String,
}
