//! One connection in one read transaction.
//! It must not know what is read in it.

use rivet_plugin_api::{
    Aggregate, BatchStream, Cx, ErrorKind, Estimate, Explain, Explained, Health, KeyValue, ListedTable, OpenGroup,
    PluginError, Relation, Result, Scan, Session, SessionGroup, Snapshot, SnapshotInfo, Split, SplitRequest,
    TableSchema,
};

use crate::actor::Actor;
use crate::error::sqlite;
use crate::location::Location;
use crate::options::SqliteOptions;
use crate::{connect, filter, listing, scan, schema, split};

struct SqliteSession {
    actor: Actor,
    max_value_bytes: u64,
}

/// Opens the group's one session.
///
/// # Errors
/// As [`Source::open_group`](rivet_plugin_api::Source::open_group).
pub fn open_group(request: &OpenGroup<SqliteOptions>, cx: &Cx) -> Result<SessionGroup> {
    if let Snapshot::Join(_) = request.snapshot {
        let text = "a sqlite session cannot join the snapshot of another";
        return Err(PluginError::new(ErrorKind::Conflict, "snapshot.lost", text));
    }
    let location = Location::of(&request.options, &request.connection)?;
    let server = location.path.display().to_string();
    let limits = request.limits.clone();
    let actor = Actor::start(cx, move |stopped| connect::open(&location, &limits, stopped))?;
    let snapshot = request.snapshot.clone();
    let identity = actor.call(cx, move |db| connect::pin(db, &snapshot))?;
    let session = SqliteSession { actor, max_value_bytes: request.limits.max_value_bytes };
    let snapshot = SnapshotInfo { identity, join_token: None, server };
    Ok(SessionGroup { sessions: vec![Box::new(session)], snapshot })
}

impl Session for SqliteSession {
    fn describe(&mut self, relation: &Relation, cx: &Cx) -> Result<TableSchema> {
        let relation = relation.clone();
        self.actor.call(cx, move |db| Ok(TableSchema::of(schema::describe(db, &relation)?.columns)))
    }
    fn estimate(&mut self, relation: &Relation, cx: &Cx) -> Result<Estimate> {
        let relation = relation.clone();
        self.actor.call(cx, move |db| split::estimate(db, &relation))
    }
    fn split(&mut self, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
        let request = request.clone();
        self.actor.call(cx, move |db| split::split(db, &request))
    }
    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        scan::start(&self.actor, scan, self.max_value_bytes, cx)
    }
    fn aggregate(&mut self, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
        let aggregate = aggregate.clone();
        self.actor.call(cx, move |db| filter::aggregate(db, &aggregate))
    }
    fn explain(&mut self, explain: &Explain, cx: &Cx) -> Result<Explained> {
        let explain = explain.clone();
        self.actor.call(cx, move |db| filter::explain(db, &explain))
    }
    fn tables(&mut self, cx: &Cx) -> Result<Vec<ListedTable>> {
        self.actor.call(cx, listing::tables)
    }
    fn health(&mut self, _cx: &Cx) -> Result<Health> {
        Ok(Health { server_version: format!("SQLite {}", rusqlite::version()), ..Default::default() })
    }
    fn end(&mut self, cx: &Cx) -> Result<()> {
        self.actor.call(cx, |db| {
            if db.is_autocommit() { Ok(()) } else { db.execute_batch("COMMIT").map_err(sqlite("end the transaction")) }
        })
    }
}
