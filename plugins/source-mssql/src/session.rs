//! One connection with everything pinned that could change a byte, in one snapshot where the database allows it.
//! It must not know what is read in it.

use std::collections::HashMap;

use rivet_plugin_api::{
    Aggregate, BatchStream, CancelToken, Choices, Cx, ErrorKind, Estimate, Explain, Explained, Health, KeyValue,
    ListedTable, OpenGroup, PluginError, Relation, Result, Retry, SNAPSHOT_LOST, Scan, Session, SessionGroup,
    SessionLimits, Snapshot, SnapshotInfo, Split, SplitRequest, TableSchema,
};

use crate::connect::{Client, Settings};
use crate::database_snapshot::{self, DatabaseSnapshot};
use crate::error;
use crate::options::{MssqlOptions, SnapshotOf};
use crate::schema::{self, Described, keys};
use crate::{explain, filter, listing, scan, split};

/// Errors of a snapshot that cannot show what is asked for: another changed the schema, or its versions are gone.
const SNAPSHOT_GONE: [i64; 4] = [3_957, 3_958, 3_961, 3_966];

/// A session of the `mssql` source.
pub struct MssqlSession {
    pub client: Client,
    choices: Choices,
    described: HashMap<String, Described>,
    pub max_value_bytes: u64,
    facts: Facts,
    /// All is read in one snapshot.
    in_snapshot: bool,
    /// Made by this session, until it drops it.
    made: Option<DatabaseSnapshot>,
    warnings: Vec<String>,
}

/// What the server says about itself and the database.
#[derive(Debug, Clone, Default)]
struct Facts {
    version: String,
    database: String,
    allows_snapshot: bool,
    /// Each statement reads versions of rows, not locks.
    reads_versions: bool,
    standby: bool,
    settled_below: String,
}

/// Opens the group's one session. Others can join only a database snapshot.
///
/// # Errors
/// As [`Source::open_group`](rivet_plugin_api::Source::open_group).
pub fn open_group(request: &OpenGroup<MssqlOptions>, cx: &Cx) -> Result<SessionGroup> {
    let by_database = request.options.snapshot == SnapshotOf::Database;
    let mut settings = Settings::new(&request.connection, &request.options, &request.purpose.label())?;
    let server = settings.server_label();
    match &request.snapshot {
        Snapshot::Join(name) if by_database => settings.database = Some(name.clone()),
        Snapshot::Join(_) => {
            let text = "a session of SQL Server cannot join the snapshot of another";
            return Err(PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, text).retry(Retry::NewSession));
        }
        _ => {}
    }
    settings.no_progress_timeout_ms = request.limits.no_progress_timeout_ms;
    settings.statement_timeout_ms = request.limits.statement_timeout_ms;
    let joins = matches!(request.snapshot, Snapshot::Join(_));
    let connected = Client::connect(&settings, cx);
    let mut client = if joins { connected.map_err(database_snapshot::gone)? } else { connected? };
    client.execute(&pins(&request.limits), cx)?;
    let facts = facts(&mut client, cx)?;
    let (choices, max_value_bytes) = (request.choices.clone(), request.limits.max_value_bytes);
    let described = HashMap::new();
    let (in_snapshot, made, warnings) = (joins, None, Vec::new());
    let mut session = MssqlSession { client, choices, described, max_value_bytes, facts, in_snapshot, made, warnings };
    let snapshot = match request.snapshot {
        Snapshot::New => session.take_snapshot(request, by_database, cx)?,
        _ => SnapshotInfo::default(),
    };
    session.client.ready = true;
    Ok(SessionGroup { sessions: vec![Box::new(session)], snapshot: SnapshotInfo { server, ..snapshot } })
}

/// Begins the transaction whose first read takes the snapshot; says what it is called.
fn begin(client: &mut Client, cx: &Cx) -> Result<String> {
    client.execute("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION", cx)?;
    let found = client.query("SELECT CAST(CURRENT_TRANSACTION_ID() AS nvarchar(20)) AS id", cx)?;
    let id = found.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    Ok(format!("transaction {}", id.ok_or_else(error::catalogue)?))
}

fn facts(client: &mut Client, cx: &Cx) -> Result<Facts> {
    let sql = "SELECT @@VERSION AS version, d.name AS name, d.snapshot_isolation_state AS allows, \
       d.is_read_committed_snapshot_on AS versions, \
       CAST(DATABASEPROPERTYEX(d.name, N'Updateability') AS nvarchar(20)) AS updateability, \
       CONVERT(nvarchar(20), MIN_ACTIVE_ROWVERSION(), 1) AS settled_below \
       FROM sys.databases AS d WHERE d.name = DB_NAME()";
    let found = client.query(sql, cx)?.rows.into_iter().next().ok_or_else(error::catalogue)?;
    let Ok([version, name, allows, versions, updateability, settled_below]) = <[_; 6]>::try_from(found) else {
        return Err(error::catalogue());
    };
    let is = |said: Option<String>, word: &str| said.as_deref() == Some(word);
    Ok(Facts {
        // The rest tells builds and copyrights.
        version: version.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned(),
        database: name.unwrap_or_default(),
        allows_snapshot: is(allows, "1"),
        reads_versions: is(versions, "1"),
        standby: is(updateability, "READ_ONLY"),
        settled_below: settled_below.unwrap_or_default(),
    })
}

/// Everything a default of the server or login could change about the bytes we read or the time we have. Text is cut
/// behind the longest value that is allowed, so that one that is longer is noticed and not kept. A statement that is cancelled
/// leaves the transaction, and so the snapshot, as they are.
fn pins(limits: &SessionLimits) -> String {
    let text_size = match limits.max_value_bytes {
        0 => i32::MAX,
        max => i32::try_from(max.saturating_mul(2).saturating_add(4)).unwrap_or(i32::MAX),
    };
    let lock_timeout = match limits.lock_timeout_ms {
        0 => -1,
        ms => i32::try_from(ms).unwrap_or(i32::MAX),
    };
    format!(
        "SET TEXTSIZE {text_size}; SET LOCK_TIMEOUT {lock_timeout}; SET ROWCOUNT 0; SET NOCOUNT OFF; SET XACT_ABORT OFF; \
         SET LANGUAGE us_english; SET DATEFORMAT ymd; SET QUOTED_IDENTIFIER ON; SET ANSI_NULLS ON; SET ANSI_PADDING ON; \
         SET ANSI_WARNINGS ON; SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET NUMERIC_ROUNDABORT OFF; \
         SET IMPLICIT_TRANSACTIONS OFF; SET DEADLOCK_PRIORITY LOW; SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
    )
}

impl MssqlSession {
    /// Takes the state that is to be read, and says which it is.
    fn take_snapshot(&mut self, request: &OpenGroup<MssqlOptions>, by_database: bool, cx: &Cx) -> Result<SnapshotInfo> {
        let info =
            |identity: String, join_token| SnapshotInfo { identity: Some(identity), join_token, ..Default::default() };
        if by_database && (request.purpose.rehearsal || request.relation.is_none()) {
            // Who only looks makes nothing.
            database_snapshot::allowed(&mut self.client, cx)?;
            return Ok(info("a database snapshot".to_owned(), Some(String::new())));
        }
        if by_database {
            // It takes as long as a statement may.
            self.client.ready = true;
            let (client, database) = (&mut self.client, &self.facts.database);
            let (made, told) = DatabaseSnapshot::make(client, database, &request.purpose, cx)?;
            self.warnings.extend(told);
            let info = info(format!("database snapshot {}", made.name), Some(made.name.clone()));
            (self.in_snapshot, self.made) = (true, Some(made));
            return Ok(info);
        }
        self.in_snapshot = self.facts.allows_snapshot;
        if !self.in_snapshot { Ok(SnapshotInfo::default()) } else { Ok(info(begin(&mut self.client, cx)?, None)) }
    }

    /// The relation's columns and facts, asked once per session.
    pub fn described(&mut self, relation: &Relation, cx: &Cx) -> Result<Described> {
        let key = format!("{relation:?}");
        if let Some(known) = self.described.get(&key) {
            return Ok(known.clone());
        }
        let described = schema::describe(&mut self.client, relation, &self.choices, cx)?;
        self.described.insert(key, described.clone());
        Ok(described)
    }

    /// Errors after which only another snapshot helps say so.
    pub fn lost(&self, e: PluginError) -> PluginError {
        lost(self.in_snapshot, e)
    }

    pub fn is_in_snapshot(&self) -> bool {
        self.in_snapshot
    }

    /// The version of a row, as `0x` and digits, below which all are of transactions that had ended before anything was read.
    pub fn settled_below(&self) -> &str {
        &self.facts.settled_below
    }

    /// What the user should know about the state that is read.
    fn warnings(&self) -> Vec<String> {
        let mut told = self.warnings.clone();
        if self.in_snapshot || self.facts.allows_snapshot || self.facts.reads_versions {
            return told;
        }
        told.push(format!(
            "the database {name} allows no snapshot isolation: rows that others change while they are read may be missed or \
             read twice, and who changes a row waits where the export stands still at it; `ALTER DATABASE [{name}] SET ALLOW_SNAPSHOT_ISOLATION ON` lets a run read one state",
            name = self.facts.database
        ));
        told
    }
}

/// Errors after which only another snapshot helps say so.
pub fn lost(in_snapshot: bool, e: PluginError) -> PluginError {
    if in_snapshot && e.vendor().is_some_and(|number| SNAPSHOT_GONE.contains(&number)) {
        return PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, "the snapshot cannot show what is read any more")
            .retry(Retry::NewSession)
            .cause(e.message());
    }
    e
}

impl Session for MssqlSession {
    fn describe(&mut self, relation: &Relation, cx: &Cx) -> Result<TableSchema> {
        let described = self.described(relation, cx).map_err(|e| self.lost(e))?;
        let mut schema = TableSchema::of(described.columns.iter().map(|plan| plan.column.clone()).collect());
        schema.warnings = self.warnings();
        if let Some(object) = described.object.filter(|object| object.is_table) {
            let indexes = keys::indexes(&mut self.client, &object.id, cx)?;
            schema.keys = keys::keys(&indexes, &described.columns);
            let primary = indexes.iter().find(|index| index.primary);
            schema.has_primary_key = primary.is_some_and(|index| schema.keys.first() == Some(&index.columns));
            schema.cursors = Some(keys::cursors(&mut self.client, &object.id, &indexes, &described.columns, cx)?);
            schema.identity = Some(object.identity);
        }
        Ok(schema)
    }
    fn estimate(&mut self, relation: &Relation, cx: &Cx) -> Result<Estimate> {
        explain::estimate(self, relation, cx)
    }
    fn split(&mut self, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
        split::split(self, request, cx).map_err(|e| self.lost(e))
    }
    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        scan::start(self, scan, cx)
    }
    fn aggregate(&mut self, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
        filter::aggregate(self, aggregate, cx).map_err(|e| self.lost(e))
    }
    fn explain(&mut self, request: &Explain, cx: &Cx) -> Result<Explained> {
        explain::explain(self, request, cx)
    }
    fn tables(&mut self, cx: &Cx) -> Result<Vec<ListedTable>> {
        listing::tables(&mut self.client, cx)
    }
    fn health(&mut self, cx: &Cx) -> Result<Health> {
        Ok(Health {
            server_version: self.facts.version.clone(),
            standby: self.facts.standby,
            steps: self.client.settings.steps().into_iter().map(str::to_owned).collect(),
            warnings: self.client.settings.protection_warning().into_iter().collect(),
            // Whoever may not ask for them has no part in them.
            leftovers: database_snapshot::leftovers(&mut self.client, cx).unwrap_or_default(),
            ..Default::default()
        })
    }
    fn end(&mut self, cx: &Cx) -> Result<()> {
        if let Some(made) = self.made.take() {
            // Also after an interrupt.
            return made.drop(&mut self.client, &CancelToken::new().cx()).inspect_err(|e| cx.warn(said(e)));
        }
        if self.in_snapshot { self.client.execute("IF @@TRANCOUNT > 0 COMMIT TRANSACTION", cx) } else { Ok(()) }
    }
}

impl Drop for MssqlSession {
    /// A run that fails or is cancelled leaves no database snapshot either.
    fn drop(&mut self) {
        let Some(made) = self.made.take() else { return };
        if let Err(e) = made.drop(&mut self.client, &CancelToken::new().cx()) {
            tracing::warn!("{}", said(&e));
        }
    }
}

fn said(e: &PluginError) -> String {
    format!("{}; {}", e.message(), e.hint_text().unwrap_or_default())
}
