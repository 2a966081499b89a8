//! One connection in one read transaction.
//! It must not know what is read in it.

use std::sync::Arc;

use rivet_plugin_api::{
    Aggregate, BatchStream, Choices, Cx, ErrorKind, Estimate, Explain, Explained, Health, KeyValue, ListedTable,
    OpenGroup, PluginError, Relation, Result, Scan, Session, SessionGroup, Snapshot, SnapshotInfo, Split, SplitRequest,
    TableSchema,
};

use rusqlite::Connection;

use crate::actor::Actor;
use crate::error::sqlite;
use crate::location::Location;
use crate::options::SqliteOptions;
use crate::schema::{self, Described, Form};
use crate::transaction::Reading;
use crate::{aggregate, connect, listing, scan, split};

struct SqliteSession {
    actor: Actor,
    reading: Reading,
    choices: Arc<Choices>,
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
    let reading = Reading::of(&request.snapshot);
    let identity = actor.call(cx, move |db| reading.begin(db))?;
    let choices = Arc::new(request.choices.clone());
    let session = SqliteSession { actor, reading, choices, max_value_bytes: request.limits.max_value_bytes };
    let snapshot = SnapshotInfo { identity, join_token: None, server };
    Ok(SessionGroup { sessions: vec![Box::new(session)], snapshot })
}

impl SqliteSession {
    /// Asks about a relation, which is described in the same state of the database.
    fn ask<T: Send + 'static>(
        &self,
        relation: &Relation,
        cx: &Cx,
        work: impl FnOnce(&Connection, Described) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (relation, choices) = (relation.clone(), self.choices.clone());
        self.call(cx, move |db| work(db, schema::describe(db, &relation, &choices)?))
    }

    fn call<T: Send + 'static>(
        &self,
        cx: &Cx,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let reading = self.reading;
        self.actor.call(cx, move |db| reading.run(db, || work(db)))
    }
}

/// What is text only because nothing says what it is.
fn said_of_untyped(relation: &Relation, untyped: &[String]) -> Option<String> {
    let first = untyped.first()?;
    let (relation, names) = (relation.label(), untyped.join(", "));
    Some(format!(
        "{relation}: sqlite knows no type of {names}, so text is delivered: `columns` may say what it is, such as \
         `columns: {{{first}: int64}}`, and a value that is something else is then an error"
    ))
}

impl Session for SqliteSession {
    fn describe(&mut self, relation: &Relation, cx: &Cx) -> Result<TableSchema> {
        let (described, keys, has_primary_key, cursors) = self.ask(relation, cx, |db, described| {
            let (Form::Rowid { table, .. } | Form::Other { table }) = &described.form else {
                return Ok((described, Vec::new(), false, None));
            };
            let (keys, has_primary_key, cursors) = schema::keys::of(db, table, &described.columns)?;
            Ok((described, keys, has_primary_key, Some(cursors)))
        })?;
        let warnings = said_of_untyped(relation, &described.untyped).into_iter().collect();
        // There is nothing in a file that stays with a table through VACUUM, a copy and a restore, and not beyond DROP.
        Ok(TableSchema { columns: described.columns, identity: None, warnings, keys, has_primary_key, cursors })
    }
    fn estimate(&mut self, relation: &Relation, cx: &Cx) -> Result<Estimate> {
        self.ask(relation, cx, |db, described| split::estimate(db, &described))
    }
    fn split(&mut self, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
        let asked = request.clone();
        self.ask(&request.relation, cx, move |db, described| split::split(db, &described, &asked))
    }
    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        let job = scan::Job {
            scan: scan.clone(),
            choices: self.choices.clone(),
            reading: self.reading,
            max_value_bytes: self.max_value_bytes,
        };
        scan::start(&self.actor, job, cx)
    }
    fn aggregate(&mut self, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
        let asked = aggregate.clone();
        self.ask(&aggregate.relation, cx, move |db, described| aggregate::aggregate(db, &described, &asked))
    }
    fn explain(&mut self, explain: &Explain, cx: &Cx) -> Result<Explained> {
        let asked = explain.clone();
        self.ask(&explain.relation, cx, move |db, described| aggregate::explain(db, &described, &asked))
    }
    fn tables(&mut self, cx: &Cx) -> Result<Vec<ListedTable>> {
        self.call(cx, listing::tables)
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
