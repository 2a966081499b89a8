//! One connection in one read-only transaction with everything pinned that could change a byte.
//! It must not know what is read in it.

use std::collections::HashMap;

use rivet_plugin_api::{
    Aggregate, BatchStream, Choices, Cx, ErrorKind, Estimate, Explain, Explained, Health, KeyValue, ListedTable,
    OpenGroup, Relation, Result, Scan, Session, SessionGroup, Snapshot, SnapshotInfo, Split, SplitRequest, TableSchema,
};

use crate::address::Settings;
use crate::connect::Client;
use crate::error::unexpected;
use crate::options::{MysqlOptions, Workers};
use crate::schema::{self, Described};
use crate::sql::from_item;
use crate::{explain, filter, listing, scan, snapshot, split};

/// A session of the `mysql` source.
pub struct MySession {
    pub client: Client,
    choices: Choices,
    described: HashMap<String, Described>,
    warnings: Vec<String>,
}

/// Opens the sessions of a group; the others have the state of the first, or the group has one.
///
/// # Errors
/// As [`Source::open_group`](rivet_plugin_api::Source::open_group).
pub fn open_group(request: &OpenGroup<MysqlOptions>, cx: &Cx) -> Result<SessionGroup> {
    let mut settings = Settings::from_connection(&request.connection, &request.purpose.label())?;
    settings.no_progress_timeout_ms = request.limits.no_progress_timeout_ms;
    settings.max_value_bytes = request.limits.max_value_bytes;
    let (mut first, mut info) = MySession::open(&settings, request, &request.snapshot, cx)?;
    info.server = settings.server_label();
    let more = |wanted: &Snapshot| -> Result<Vec<MySession>> {
        (1..request.n_sessions).map(|_| Ok(MySession::open(&settings, request, wanted, cx)?.0)).collect()
    };
    let others = match (&request.snapshot, &info.join_token) {
        _ if request.n_sessions < 2 => Vec::new(),
        (Snapshot::None, _) => more(&Snapshot::None)?,
        (_, Some(token)) => more(&Snapshot::Join(token.clone()))?,
        (_, None) => first.share(|| more(&Snapshot::New), &mut info, cx)?,
    };
    let sessions = std::iter::once(first).chain(others).map(|session| Box::new(session) as Box<dyn Session>).collect();
    Ok(SessionGroup { sessions, snapshot: info })
}

/// Why one worker reads everything.
const NO_PROOF: &str = "one worker reads everything: only MariaDB with its binary log on proves that several sessions read one \
     state of the database; `workers: per-split` in `source` lets each worker read a state of its own";
const BUSY: &str = "one worker reads everything: others commit all the time, so that no two sessions have one state of the \
     database; `workers: per-split` in `source` lets each worker read a state of its own";

impl MySession {
    fn open(
        settings: &Settings,
        request: &OpenGroup<MysqlOptions>,
        wanted: &Snapshot,
        cx: &Cx,
    ) -> Result<(Self, SnapshotInfo)> {
        let mut client = Client::connect(settings, cx)?;
        snapshot::pin(&mut client, &request.limits, cx)?;
        client.ready(request.limits.statement_timeout_ms);
        if let Some(relation @ Relation::Table { .. }) = &request.relation {
            wait_for(&mut client, relation, cx)?;
        }
        let mut info = snapshot::take(&mut client, wanted, request.options.workers, cx)?;
        snapshot::prove_pins(&mut client, wanted, cx)?;
        if !schema::has_snapshots(&mut client, request.relation.as_ref(), cx) {
            info.identity = None;
        }
        let mut warnings = Vec::new();
        if request.options.workers == Workers::PerSplit && *wanted == Snapshot::New {
            warnings.push("`workers: per-split`: each worker reads a state of the database of its own".to_owned());
        }
        Ok((Self { client, choices: request.choices.clone(), described: HashMap::new(), warnings }, info))
    }

    /// Others that have the same state as this session, or a warning that there can be none.
    fn share(
        &mut self,
        others: impl FnOnce() -> Result<Vec<Self>>,
        info: &mut SnapshotInfo,
        cx: &Cx,
    ) -> Result<Vec<Self>> {
        if snapshot::position(&mut self.client, cx)?.is_none() {
            self.warnings.push(NO_PROOF.to_owned());
            return Ok(Vec::new());
        }
        let mut others = others()?;
        let mut clients: Vec<_> = std::iter::once(&mut *self).chain(&mut others).map(|s| &mut s.client).collect();
        if let Some(position) = snapshot::share(&mut clients, cx)? {
            info.identity = Some(position);
            return Ok(others);
        }
        // The last beginning is the one that counts.
        info.identity = snapshot::position(&mut self.client, cx)?;
        self.warnings.push(BUSY.to_owned());
        Ok(Vec::new())
    }

    /// The relation's columns and facts, asked once per session.
    pub fn described(&mut self, relation: &Relation, cx: &Cx) -> Result<Described> {
        let key = format!("{relation:?}");
        if let Some(known) = self.described.get(&key) {
            return Ok(known.clone());
        }
        let mut described = schema::describe(&mut self.client, relation, &self.choices, cx)?;
        described.warnings.extend(self.warnings.iter().cloned());
        self.described.insert(key, described.clone());
        Ok(described)
    }

    /// From now on the server orders rows by all of these columns.
    ///
    /// # Errors
    /// The server's.
    pub fn order_by_all_of(&mut self, key: &[String], described: &Described, cx: &Cx) -> Result<()> {
        if key.iter().filter_map(|name| described.column(name)).any(|plan| plan.catalog.is_long()) {
            self.client.execute(WHOLE_SORT_KEYS, cx)?;
        }
        Ok(())
    }
}

/// What of a text decides its place in an order that the server makes: all of it, in place of the first 1024 bytes. Not for
/// every session: an order by a `longtext` of the user's own would need more memory than servers give.
const WHOLE_SORT_KEYS: &str = "SET SESSION max_sort_length = 8388608";

/// Waits until nobody holds a lock that keeps others from reading a table: what commits meanwhile is part of the snapshot
/// that is taken then. Who replaces the table after that makes it younger than the snapshot, which the server refuses to
/// read. That there is no such table the description says better.
fn wait_for(client: &mut Client, relation: &Relation, cx: &Cx) -> Result<()> {
    match client.execute(&format!("SELECT 1 FROM {} LIMIT 0", from_item(relation)), cx) {
        Err(e) if e.vendor().is_some() && e.kind() != ErrorKind::Timeout => Ok(()),
        other => other,
    }
}

impl Session for MySession {
    fn describe(&mut self, relation: &Relation, cx: &Cx) -> Result<TableSchema> {
        let described = self.described(relation, cx)?;
        let columns = described.columns.into_iter().map(|plan| plan.column).collect();
        let Described { keys, cursors, warnings, .. } = described;
        Ok(TableSchema { columns, identity: None, warnings, keys, cursors })
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
        filter::aggregate(self, aggregate, cx)
    }
    fn explain(&mut self, request: &Explain, cx: &Cx) -> Result<Explained> {
        explain::explain(self, request, cx)
    }
    fn tables(&mut self, cx: &Cx) -> Result<Vec<ListedTable>> {
        listing::tables(&mut self.client, cx)
    }
    fn health(&mut self, cx: &Cx) -> Result<Health> {
        let rows = self.client.query("SELECT VERSION(), @@version_comment, @@read_only", cx)?;
        let Some([Some(version), Some(comment), Some(read_only)]) = rows.first().map(Vec::as_slice) else {
            return Err(unexpected());
        };
        let product = if self.client.is_mariadb() { "MariaDB" } else { "MySQL" };
        let settings = self.client.settings();
        Ok(Health {
            server_version: format!("{product} {version} ({comment})"),
            pooler: self.client.is_pooled().then(|| "ProxySQL or the like".to_owned()),
            standby: read_only == "1",
            steps: settings.steps().into_iter().map(str::to_owned).collect(),
            warnings: settings.protection_warning().into_iter().collect(),
            ..Default::default()
        })
    }
    fn end(&mut self, cx: &Cx) -> Result<()> {
        self.client.execute("COMMIT", cx)
    }
}
