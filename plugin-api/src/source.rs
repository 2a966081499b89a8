//! What a source is: sessions, and the questions core asks them.
//! It must not know SQL, nor how splits are scheduled, retried or checkpointed.

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Aggregate, Column, CursorColumn, Cx, ErrorKind, Explain, Explained, Filter, KeyCut, KeyValue, ListedTable,
    OpenGroup, PluginError, Result, SessionGroup, TypesMode,
};

/// Code of the error after which only a new snapshot helps: the one that is read is gone, or others replaced what it
/// should show. Every call of a session may return it; give it [`Retry::NewSession`](crate::Retry::NewSession).
pub const SNAPSHOT_LOST: &str = "snapshot.lost";

/// A source plugin. Register it with [`plugin!`](crate::plugin).
pub trait Source: 'static {
    /// Name in `source: {type: …}`.
    const NAME: &'static str;
    /// The plugin's own keys of the `source` block. Core's connection keys are not part of it.
    type Options: DeserializeOwned + JsonSchema;

    /// What this source can do.
    fn capabilities() -> SourceCapabilities;

    /// Opens between 1 and `request.n_sessions` sessions, one server connection each, that read the same state of
    /// the database where a snapshot was asked for.
    ///
    /// # Errors
    /// `Config`, `Auth`, `NotFound` or `Connection`; `Conflict` with code [`SNAPSHOT_LOST`] when the snapshot to join
    /// does not exist any more, or cannot be joined while another session holds it.
    fn open_group(request: OpenGroup<Self::Options>, cx: &Cx) -> Result<SessionGroup>;
}

/// What a source can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct SourceCapabilities {
    /// Several sessions can share one snapshot.
    pub shared_snapshot: bool,
    /// A result can be fetched piece by piece, so that no statement lasts long ([`ReadMode::Fetch`]).
    pub fetch: bool,
    /// A statement timeout can be set on the server.
    pub statement_timeout: bool,
    /// Rows can be chosen by a range of a key ([`Filter::range`]), and asked about ([`Session::aggregate`]): with `limit`
    /// what incremental exports need.
    pub range: bool,
    /// Rows can be chosen by a condition in the source's own language ([`Filter::condition`]).
    pub condition: bool,
    /// Reading can end after a number of rows ([`Scan::limit`]).
    pub limit: bool,
    /// The result of a query can be read ([`Relation::Query`]).
    pub query: bool,
    /// `columns` may change the type of a column ([`Choices::columns`]).
    pub overrides: bool,
    /// Policies that mean something to this source: fields of [`Policies`](crate::Policies).
    pub policies: Vec<String>,
    /// Relations can be cut along a key ([`SplitRequest::along`]).
    pub cut: bool,
    /// The server's clock can be asked for ([`Measure::Moment`](crate::Measure::Moment)), and a range can end before a
    /// key ([`KeyRange::upper_open`](crate::KeyRange::upper_open)).
    pub moment: bool,
    /// What others suffer on the server can be asked for ([`Measure::Waiting`](crate::Measure::Waiting),
    /// [`Measure::ReplicaLag`](crate::Measure::ReplicaLag)).
    pub pressure: bool,
    /// Who keeps a session waiting can be asked for by another one ([`Measure::Blockers`](crate::Measure::Blockers)).
    pub blockers: bool,
}

/// One server connection, owned by one worker. After an error that is not `SameSession`, drop only.
pub trait Session: Send {
    /// Columns of a relation, from the catalogue alone.
    ///
    /// # Errors
    /// `NotFound` when it does not exist, `Auth` when it may not be read, `Unsupported` with a hint when a column
    /// cannot be exported.
    fn describe(&mut self, relation: &Relation, cx: &Cx) -> Result<TableSchema>;

    /// Size and shape, from statistics: never a count of the rows.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    fn estimate(&mut self, relation: &Relation, cx: &Cx) -> Result<Estimate>;

    /// Cuts a relation into splits that together hold each row once. One split where it cannot be cut.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    fn split(&mut self, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>>;

    /// Starts reading. Batches come in the order the engine delivers them.
    ///
    /// # Errors
    /// As [`describe`](Self::describe), `Schema` when the relation is no longer what `scan.columns` says;
    /// [`SNAPSHOT_LOST`] here or at the stream's end.
    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>>;

    /// Answers questions about rows without delivering them, one value for each measure. Counts are whole numbers
    /// in decimal; a key is as [`KeyValue`] says.
    ///
    /// # Errors
    /// As [`describe`](Self::describe); `Unsupported` without
    /// [`SourceCapabilities::range`](crate::SourceCapabilities::range).
    fn aggregate(&mut self, _aggregate: &Aggregate, _cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
        Err(PluginError::new(ErrorKind::Unsupported, "source.aggregate", "this source cannot aggregate"))
    }

    /// How the server would find rows: from its planner, without reading them.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    fn explain(&mut self, _explain: &Explain, _cx: &Cx) -> Result<Explained> {
        Ok(Explained::default())
    }

    /// Every relation of the database except the engine's own and temporary ones, by schema and name; those too that
    /// this session may not read.
    ///
    /// # Errors
    /// `Connection`; `Unsupported` where the engine has no catalogue to list.
    fn tables(&mut self, _cx: &Cx) -> Result<Vec<ListedTable>> {
        Err(PluginError::new(ErrorKind::Unsupported, "source.tables", "this source cannot list its tables"))
    }

    /// Facts about the server that preflight shows.
    ///
    /// # Errors
    /// `Connection`.
    fn health(&mut self, _cx: &Cx) -> Result<Health> {
        Ok(Health::default())
    }

    /// Ends the transaction and says goodbye. Dropping a session without it is allowed and as safe.
    ///
    /// # Errors
    /// `Connection`.
    fn end(&mut self, _cx: &Cx) -> Result<()> {
        Ok(())
    }
}

/// Batches of one scan. Dropping it cancels the query and leaves the session fit for another call where it can.
pub trait BatchStream: Send {
    /// Schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// The next batch, never empty; `None` at the end, and only then.
    ///
    /// # Errors
    /// `Data` naming `column` and `row` where a value has no exact place; `Connection`, `Timeout`, `Cancelled`.
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>>;

    /// Facts about everything returned so far.
    fn facts(&self) -> StreamFacts {
        StreamFacts::default()
    }
}

/// Facts about the batches of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamFacts {
    /// Values changed by a policy, per column name and policy.
    pub policy_hits: Vec<(String, String, u64)>,
    /// Longest single statement so far, ms; 0 when unknown.
    pub longest_statement_ms: u64,
    /// Relations that the session holds a lock on, partitions and indexes included; 0 when unknown.
    pub locks: u64,
    /// Where the next run goes on, once the stream has ended: the plugin's own word, for sources whose changes have no
    /// column to go by. A host that knows `resume_token` keeps it with the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_token: Option<String>,
}

/// What to read: a table (or view) or the result of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// A table, view or the like.
    Table {
        /// Schema; the engine's own search rules when absent.
        schema: Option<String>,
        /// Name, exactly, unquoted.
        name: String,
    },
    /// The result of a query.
    Query {
        /// The text, without a trailing semicolon.
        sql: String,
    },
}

impl Relation {
    /// How messages call it: `schema.name` or `query`.
    pub fn label(&self) -> String {
        match self {
            Self::Table { schema: Some(schema), name } => format!("{schema}.{name}"),
            Self::Table { schema: None, name } => name.clone(),
            Self::Query { .. } => "query".to_owned(),
        }
    }
}

/// Columns of a relation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableSchema {
    /// In the relation's order.
    pub columns: Vec<Column>,
    /// Which relation of which database this is to the engine, beyond its name: the same while it lives, another when
    /// it is dropped and made again. A cursor of one is none of the other. Parts with names, as `database 5, relation 7`:
    /// one that is missing, because not everybody may ask for it, tells nothing. None where the engine has no such thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What the user should know about reading it, one sentence each, such as rows that this login cannot see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Columns that together find one row, never NULL, one list a key; the primary key first. What is not known is not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Vec<String>>,
    /// Columns that a cursor could go by, in the relation's order. None where the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursors: Option<Vec<CursorColumn>>,
}

impl TableSchema {
    /// These columns, and nothing else known.
    pub fn of(columns: Vec<Column>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// The Arrow schema that a scan of all columns delivers.
    pub fn arrow_schema(&self, types: TypesMode) -> SchemaRef {
        Schema::new(self.columns.iter().map(|c| c.arrow_field(types)).collect::<Vec<_>>()).into()
    }
}

/// What statistics say about a relation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Estimate {
    /// Rows, when the engine has an idea.
    pub rows: Option<u64>,
    /// Bytes on the server's disk, when the engine has an idea.
    pub bytes: Option<u64>,
    /// Whether [`Session::split`] can cut this relation.
    pub splittable: bool,
}

/// How to cut a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRequest {
    /// What to cut.
    pub relation: Relation,
    /// Cut only this split, which the same plugin made before, into smaller ones.
    #[serde(default)]
    pub within: Option<Split>,
    /// Splits wanted, at least 1; the engine may return fewer, or a few more.
    pub n_splits: usize,
    /// Which rows are read of it: those that count when splits are to be of a size.
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub filter: Filter,
    /// Along which key to cut; the engine's own way when absent, and where
    /// [`SourceCapabilities::cut`] is not. A split of `within` stays along its own key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub along: Option<KeyCut>,
}

impl SplitRequest {
    /// All of a relation.
    pub fn new(relation: Relation, n_splits: usize) -> Self {
        Self { relation, within: None, n_splits, filter: Filter::default(), along: None }
    }
}

/// One unit of parallel reading: opaque to core, replayed by the plugin that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The plugin's own description.
    pub spec: serde_json::Value,
    /// How messages call it, such as `pages 0..1024`.
    pub label: String,
    /// Rows expected, when known.
    pub estimated_rows: Option<u64>,
    /// Whether the bounds mean something in another snapshot (keys do, physical pages do not).
    pub stable: bool,
}

impl Split {
    /// A split of unknown size that means the same in every snapshot.
    pub fn new(spec: serde_json::Value, label: impl Into<String>) -> Self {
        Self { spec, label: label.into(), estimated_rows: None, stable: true }
    }
}

/// How a statement delivers its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadMode {
    /// One statement streams everything: fastest.
    #[default]
    Stream,
    /// A server cursor, fetched piece by piece: no statement lasts long.
    Fetch,
}

/// What to read, and in which portions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// What to read.
    pub relation: Relation,
    /// The columns to deliver, as described, in this order. Never empty, never `*`.
    pub columns: Vec<Column>,
    /// The part of the relation to read; all of it when absent.
    pub split: Option<Split>,
    /// The rows of that part to read.
    #[serde(default)]
    pub filter: Filter,
    /// Most rows to deliver; all when absent.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Only what came after the stream that gave this [`StreamFacts::resume_token`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_token: Option<String>,
    /// How rows are delivered.
    pub read: ReadMode,
    /// Which Arrow forms to deliver.
    pub types: TypesMode,
    /// Most rows in a batch, at least 1.
    pub max_batch_rows: usize,
    /// Arrow bytes after which a batch is cut, whatever its rows; at least 1.
    pub max_batch_bytes: usize,
}

impl Scan {
    /// All rows of a relation, portable, in one stream, in batches of at most 10 000 rows and 8 MiB.
    pub fn new(relation: Relation, columns: Vec<Column>) -> Self {
        Self {
            relation,
            columns,
            split: None,
            filter: Filter::default(),
            limit: None,
            resume_token: None,
            read: ReadMode::Stream,
            types: TypesMode::Portable,
            max_batch_rows: 10_000,
            max_batch_bytes: 8 << 20,
        }
    }
}

/// Facts about the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Server product and version.
    pub server_version: String,
    /// A pooler that was recognised in between.
    pub pooler: Option<String>,
    /// Whether this is a standby.
    pub standby: bool,
    /// Connections that this login may still open beside those that are open; none where the server does not say, or something
    /// in between has limits of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_connections: Option<u64>,
    /// How far a standby is behind what it follows, ms; none where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_ms: Option<u64>,
    /// The steps that the connection took, in their order: of `resolve`, `tcp`, `tls`, `login`, or the plugin's own
    /// words. An error on the way names the one that failed in the detail `stage` and all of them in `steps`.
    pub steps: Vec<String>,
    /// What is not as safe as it could be about the connection, one sentence each, with what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What dead runs left on the server, one sentence each, with what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leftovers: Vec<String>,
}
