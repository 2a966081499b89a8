//! One connection in one read transaction.
//! It must not know what is read in it.

use rivet_plugin_api::{
    BatchStream, Cx, Estimate, Health, OpenGroup, Relation, Result, Scan, Session, SessionGroup, Snapshot,
    SnapshotInfo, Split, SplitRequest, TableSchema,
};
use rusqlite::Connection;

use crate::connect::{Actor, file_of};
use crate::error::sqlite;
use crate::options::SqliteOptions;
use crate::{scan, schema, split};

/// Waiting for a writer, ms, where the config sets no lock timeout.
const DEFAULT_LOCK_TIMEOUT_MS: u64 = 10_000;

struct SqliteSession {
    actor: Actor,
    max_value_bytes: u64,
}

/// Opens the group's one session.
///
/// # Errors
/// As [`Source::open_group`](rivet_plugin_api::Source::open_group).
pub fn open_group(request: &OpenGroup<SqliteOptions>, cx: &Cx) -> Result<SessionGroup> {
    let path = file_of(&request.options, &request.connection)?;
    let lock_timeout_ms = match request.limits.lock_timeout_ms {
        0 => DEFAULT_LOCK_TIMEOUT_MS,
        ms => ms,
    };
    let actor = Actor::open(&path, lock_timeout_ms)?;
    let pinned = request.snapshot != Snapshot::None;
    let identity = actor.call(cx, move |db| if pinned { pin(db).map(Some) } else { Ok(None) })?;
    let server = path.canonicalize().unwrap_or(path).display().to_string();
    let session = SqliteSession { actor, max_value_bytes: request.limits.max_value_bytes };
    let snapshot = SnapshotInfo { identity, join_token: None, server };
    Ok(SessionGroup { sessions: vec![Box::new(session)], snapshot })
}

/// Begins a read transaction and makes its first read, which is what fixes the state it sees.
fn pin(db: &Connection) -> Result<String> {
    let failed = sqlite("begin a read transaction");
    db.execute_batch("BEGIN DEFERRED").map_err(&failed)?;
    let version: i64 =
        db.query_row("SELECT schema_version FROM pragma_schema_version", [], |r| r.get(0)).map_err(&failed)?;
    let _: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).map_err(&failed)?;
    Ok(format!("read transaction, schema version {version}"))
}

impl Session for SqliteSession {
    fn describe(&mut self, relation: &Relation, cx: &Cx) -> Result<TableSchema> {
        let relation = relation.clone();
        self.actor.call(cx, move |db| schema::describe(db, &relation))
    }
    fn estimate(&mut self, relation: &Relation, cx: &Cx) -> Result<Estimate> {
        let relation = relation.clone();
        self.actor.call(cx, move |db| split::estimate(db, &relation))
    }
    fn split(&mut self, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
        let request = request.clone();
        self.actor.call(cx, move |db| split::split(db, &request))
    }
    fn scan<'s>(&'s mut self, scan: &Scan, _cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        scan::start(&self.actor, scan, self.max_value_bytes)
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
