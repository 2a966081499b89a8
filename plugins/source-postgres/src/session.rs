//! One connection in one read-only transaction with everything pinned that could change a byte.
//! It must not know what is read in it.

use std::collections::HashMap;

use rivet_plugin_api::{
    Aggregate, BatchStream, Choices, Cx, ErrorKind, Estimate, Explain, Explained, Health, KeyValue, ListedTable,
    OpenGroup, PluginError, Relation, Result, Retry, SNAPSHOT_LOST, Scan, Session, SessionGroup, SessionLimits,
    Snapshot, SnapshotInfo, Split, SplitRequest, TableSchema,
};

use crate::connect::{Client, Settings};
use crate::error;
use crate::health;
use crate::locks::Locks;
use crate::options::PostgresOptions;
use crate::row_security::{self, RowSecurity};
use crate::schema::{self, Described};
use crate::sql::{from_item, identifier, literal};
use crate::{attributes, explain, filter, identity, listing, scan, split};

/// SQLSTATEs of a snapshot that cannot be imported: `invalid_parameter_value` for an identifier nobody holds any
/// more, `object_not_in_prerequisite_state` and `undefined_object` for one that is gone since.
const SNAPSHOT_GONE: [&str; 3] = ["22023", "55000", "42704"];

/// A session of the `postgres` source.
pub struct PgSession {
    pub client: Client,
    pub locks: Locks,
    choices: Choices,
    row_security: Option<RowSecurity>,
    described: HashMap<String, Described>,
    /// Where no snapshot is held: what ends the transaction and begins the next one.
    renewal: Option<String>,
    /// About where the connection's settings come from.
    warnings: Vec<String>,
    protection_warning: Option<String>,
}

/// Opens the sessions of a group; the first exports its snapshot for the others.
///
/// # Errors
/// As [`Source::open_group`](rivet_plugin_api::Source::open_group).
pub fn open_group(request: &OpenGroup<PostgresOptions>, cx: &Cx) -> Result<SessionGroup> {
    let mut settings = Settings::from_connection(&request.connection, &request.purpose.label())?;
    settings.no_progress_timeout_ms = request.limits.no_progress_timeout_ms;
    settings.max_value_bytes = request.limits.max_value_bytes;
    let mut snapshot = SnapshotInfo { server: settings.server_label(), ..Default::default() };
    let mut sessions: Vec<Box<dyn Session>> = Vec::with_capacity(request.n_sessions);
    let mut wanted = request.snapshot.clone();
    for _ in 0..request.n_sessions.max(1) {
        let mut session = PgSession::open(&settings, request, &wanted, cx)?;
        if wanted == Snapshot::New {
            let (identity, token) = session.export_snapshot(cx)?;
            snapshot.identity = Some(identity);
            snapshot.join_token = Some(token.clone());
            wanted = Snapshot::Join(token);
        } else if let (Snapshot::Join(token), None) = (&wanted, &snapshot.identity) {
            snapshot.identity = Some(session.snapshot_identity(cx)?);
            snapshot.join_token = Some(token.clone());
        }
        sessions.push(Box::new(session));
    }
    Ok(SessionGroup { sessions, snapshot })
}

impl PgSession {
    fn open(settings: &Settings, request: &OpenGroup<PostgresOptions>, snapshot: &Snapshot, cx: &Cx) -> Result<Self> {
        let mut client = Client::connect(settings, cx)?;
        attributes::check(&mut client, settings, cx).map_err(|e| no_server_connection(e, settings))?;
        let mut locks = Locks::new(snapshot);
        let begun = Self::begin(&mut client, &locks, request, snapshot, cx);
        let begun = begun.map_err(|e| no_server_connection(e, settings))?;
        client.ready(request.limits.statement_timeout_ms);
        if let Some(relation) = &request.relation {
            locks.take(&mut client, relation, cx)?;
        }
        // A SELECT takes the snapshot.
        client.execute(CLIENT_ENCODING, cx)?;
        let (choices, row_security) = (request.choices.clone(), request.options.row_security);
        let (warnings, protection_warning) = (settings.warnings.clone(), settings.protection_warning());
        let described = HashMap::new();
        let renewal = (*snapshot == Snapshot::None).then(|| format!("COMMIT; {begun} {CLIENT_ENCODING}"));
        Ok(Self { client, locks, choices, row_security, described, renewal, warnings, protection_warning })
    }

    /// Opens the transaction and pins what could change what is read in it; returns how. None of this takes a snapshot.
    fn begin(
        client: &mut Client,
        locks: &Locks,
        request: &OpenGroup<PostgresOptions>,
        snapshot: &Snapshot,
        cx: &Cx,
    ) -> Result<String> {
        let isolation = if *snapshot == Snapshot::None { "READ COMMITTED" } else { "REPEATABLE READ" };
        let begin = format!("BEGIN ISOLATION LEVEL {isolation} READ ONLY");
        client.execute(&begin, cx)?;
        if let Snapshot::Join(token) = snapshot {
            let set = format!("SET TRANSACTION SNAPSHOT {}", literal(token));
            client.execute(&set, cx).map_err(lost_snapshot)?;
        }
        let lock_timeout_ms = locks.timeout_ms(&request.limits);
        let limits = SessionLimits { lock_timeout_ms, ..request.limits.clone() };
        let pins = pins(&limits, client.server_version_num(), request.options.role.as_deref());
        client.execute(&pins, cx)?;
        Ok(format!("{begin}; {pins}"))
    }

    /// Where no snapshot is held, lets go of what the last statement held too: locks, and what others may not clean up meanwhile.
    pub fn let_go(&mut self, cx: &Cx) -> Result<()> {
        self.renewal.as_ref().map_or(Ok(()), |renewal| self.client.execute(renewal, cx))
    }

    /// The snapshot's identity and the token that joins it.
    fn export_snapshot(&mut self, cx: &Cx) -> Result<(String, String)> {
        let identity = self.snapshot_identity(cx)?;
        let token = self.one_text("SELECT pg_catalog.pg_export_snapshot()", cx)?;
        Ok((identity, token))
    }

    /// `txid_current_snapshot()`: which transactions the snapshot sees. The same in every session that shares it.
    fn snapshot_identity(&mut self, cx: &Cx) -> Result<String> {
        self.one_text("SELECT pg_catalog.txid_current_snapshot()::text", cx)
    }

    /// The one value of a statement that returns one.
    pub fn one_text(&mut self, sql: &str, cx: &Cx) -> Result<String> {
        let rows = self.client.query(sql, cx)?;
        let value = rows.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        value.ok_or_else(|| error::incomplete("the server returned no value"))
    }

    /// The relation's columns and facts, asked once per session.
    pub fn described(&mut self, relation: &Relation, cx: &Cx) -> Result<Described> {
        let key = format!("{relation:?}");
        if let Some(known) = self.described.get(&key) {
            return Ok(known.clone());
        }
        let warning = row_security::settle(&mut self.client, relation, self.row_security, cx);
        let warning = warning.map_err(|e| self.locks.futile(e))?;
        let mut described = match schema::describe(&mut self.client, relation, &self.choices, cx) {
            Ok(described) => described,
            Err(e) if e.kind() == ErrorKind::NotFound && matches!(relation, Relation::Table { .. }) => {
                return Err(self.locks.missing(&mut self.client, relation, e, cx));
            }
            Err(e) => return Err(self.locks.futile(e)),
        };
        described.warnings.extend(warning);
        described.warnings.extend(self.warnings.iter().cloned());
        let select = format!("SELECT {} FROM {}", described.readable(), from_item(relation));
        self.locks.prove_described(&mut self.client, relation, &select, cx)?;
        self.described.insert(key, described.clone());
        Ok(described)
    }
}

impl Session for PgSession {
    fn describe(&mut self, relation: &Relation, cx: &Cx) -> Result<TableSchema> {
        let described = self.described(relation, cx)?;
        let table_oid = described.table_oid.filter(|_| described.has_own_rows);
        let identity = Some(identity::of(&mut self.client, table_oid, cx)?);
        let columns: Vec<_> = described.columns.into_iter().map(|c| c.column).collect();
        let (mut keys, mut cursors) = (Vec::new(), None);
        if let Some(oid) = table_oid {
            keys = schema::keys::keys(&mut self.client, oid, &columns, cx)?;
            cursors = Some(schema::keys::cursors(&mut self.client, oid, &columns, cx)?);
        }
        Ok(TableSchema { columns, identity, warnings: described.warnings, keys, cursors })
    }
    fn estimate(&mut self, relation: &Relation, cx: &Cx) -> Result<Estimate> {
        split::estimate(self, relation, cx)
    }
    fn split(&mut self, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
        split::split(self, request, cx)
    }
    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        scan::start(self, scan, cx)
    }
    fn aggregate(&mut self, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
        let answers = filter::aggregate(self, aggregate, cx).map_err(|e| self.locks.futile(e))?;
        self.locks.prove(&mut self.client, cx)?;
        Ok(answers)
    }
    fn explain(&mut self, request: &Explain, cx: &Cx) -> Result<Explained> {
        explain::explain(self, request, cx)
    }
    fn tables(&mut self, cx: &Cx) -> Result<Vec<ListedTable>> {
        listing::tables(&mut self.client, cx)
    }
    fn health(&mut self, cx: &Cx) -> Result<Health> {
        let standby = self.one_text("SELECT pg_catalog.pg_is_in_recovery()::text", cx)? == "true";
        let server_version = self.one_text("SELECT pg_catalog.version()", cx)?;
        let process_id = self.one_text("SELECT pg_catalog.pg_backend_pid()::text", cx)?;
        // A server announces its own process; a pooler announces what it can find its client by.
        let pooled = process_id != self.client.announced_process_id().to_string();
        let pooler = pooled.then(|| "pgBouncer or the like".to_owned());
        let steps = self.client.steps().into_iter().map(str::to_owned).collect();
        let warnings = self.protection_warning.iter().cloned().collect();
        let free_connections = if pooled { None } else { health::free_connections(&mut self.client, cx)? };
        let behind_ms = if standby { health::behind_ms(&mut self.client, cx)? } else { None };
        Ok(Health {
            server_version,
            pooler,
            standby,
            free_connections,
            behind_ms,
            steps,
            warnings,
            ..Health::default()
        })
    }
    fn end(&mut self, cx: &Cx) -> Result<()> {
        self.client.execute("COMMIT", cx)
    }
}

/// Everything a server or role default could change about the bytes we read or the time we have. `SET LOCAL`, so that
/// a transaction pooler hands the next client an untouched server connection.
fn pins(limits: &SessionLimits, version: u32, role: Option<&str>) -> String {
    let mut all = vec![
        ("statement_timeout", limits.statement_timeout_ms.to_string()),
        ("lock_timeout", limits.lock_timeout_ms.to_string()),
        ("idle_in_transaction_session_timeout", "0".to_owned()),
        ("TimeZone", "'UTC'".to_owned()),
        ("DateStyle", "'ISO, YMD'".to_owned()),
        ("IntervalStyle", "'iso_8601'".to_owned()),
        ("extra_float_digits", "3".to_owned()),
        ("bytea_output", "'hex'".to_owned()),
        ("standard_conforming_strings", "on".to_owned()),
        ("xmlbinary", "'base64'".to_owned()),
        // Full reads: plan for the whole result, in the table's own order.
        ("cursor_tuple_fraction", "1".to_owned()),
        ("synchronize_seqscans", "off".to_owned()),
        (row_security::PIN.0, row_security::PIN.1.to_owned()),
    ];
    if version >= 170_000 {
        all.push(("transaction_timeout", "0".to_owned()));
    }
    let role = role.map(|role| format!("SET LOCAL ROLE {};", identifier(role))).unwrap_or_default();
    let sets: String = all.into_iter().map(|(name, value)| format!("SET LOCAL {name} = {value};")).collect();
    role + &sets
}

/// A database without an encoding cannot convert its text, only refuse what is no UTF-8; we look at it ourselves.
const CLIENT_ENCODING: &str = "SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', true) \
     WHERE pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'";

/// Nothing is faster for a server than to begin a transaction: who logs us in and then keeps us waiting is a pooler.
fn no_server_connection(e: PluginError, settings: &Settings) -> PluginError {
    if e.code() != "postgres.no_progress" {
        return e;
    }
    let (server, seconds) = (settings.server_label(), settings.connect_timeout_ms / 1000);
    let text = format!("{server} admitted the login, and began no transaction in {seconds} s");
    PluginError::new(ErrorKind::Capacity, "postgres.no_server_connection", text).retry(Retry::NewSession).hint(
        "a pooler in between has no free connection to the server: set `parallel: 1` or `max_connections: 1`, or enlarge \
         its pool",
    )
}

fn lost_snapshot(e: PluginError) -> PluginError {
    if e.state().is_some_and(|state| SNAPSHOT_GONE.contains(&state)) {
        return PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, "the shared snapshot is gone")
            .retry(Retry::NewSession)
            .cause(e.message());
    }
    e
}
