//! What is read stays as the snapshot shows it: locked before the snapshot is taken, and proved where that cannot be.
//! It must not know columns, rows or statements that read.

use std::collections::BTreeSet;

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Relation, Result, Retry, SNAPSHOT_LOST, SessionLimits, Snapshot};

use crate::catalogue::{number, unexpected};
use crate::connect::Client;
use crate::sql::from_item;

/// SQLSTATEs of a relation that cannot be locked by name: no right to (columns alone are granted, or the owner of a view
/// may not), a kind that has no lock (a materialized view), or no such relation, which the description says better.
const NOT_LOCKED: [&str; 5] = ["42501", "42809", "0A000", "42P01", "3F000"];

/// Longest wait of a session that joined a snapshot, ms. Whoever holds the snapshot has the lock already: who waits here
/// waits behind somebody who waits for us, which the server cannot see. Shorter waits let such statements pass by.
const JOINED_WAIT_MS: u64 = 5_000;

/// The relations that a session reads, and what became of them since its snapshot.
#[derive(Debug)]
pub struct Locks {
    /// Another session took the snapshot and holds it.
    joined: bool,
    /// One snapshot for all statements.
    held: bool,
    /// Locked when the session was opened.
    first: Option<Relation>,
    /// `pg_class.oid` of everything that is locked and was the snapshot's own when it was.
    proved: BTreeSet<u32>,
}

impl Locks {
    /// Of a session that has locked nothing.
    pub fn new(snapshot: &Snapshot) -> Self {
        let joined = matches!(snapshot, Snapshot::Join(_));
        Self { joined, held: *snapshot != Snapshot::None, first: None, proved: BTreeSet::new() }
    }

    /// Relations that are locked and proved.
    pub fn n_held(&self) -> u64 {
        self.proved.len() as u64
    }

    /// Longest wait for a lock, ms; 0 = no limit.
    pub fn timeout_ms(&self, limits: &SessionLimits) -> u64 {
        let (lock, statement) = (limits.lock_timeout_ms, limits.statement_timeout_ms);
        if !self.joined {
            return lock;
        }
        // Before the statement's own limit, so that the server says which of the two it was.
        let limits = [lock, statement / 2].into_iter().filter(|ms| *ms > 0);
        limits.fold(JOINED_WAIT_MS, u64::min)
    }

    /// Locks a table, or a view with all that it reads, against being replaced. LOCK TABLE takes no snapshot: the one
    /// that the next statement takes is not older than the lock.
    ///
    /// # Errors
    /// `Timeout` when somebody holds a lock for longer than is waited, else the server's.
    pub fn take(&mut self, client: &mut Client, relation: &Relation, cx: &Cx) -> Result<()> {
        if !self.held || matches!(relation, Relation::Query { .. }) {
            return Ok(());
        }
        // Neither does a savepoint; released, it leaves the lock.
        client.execute("SAVEPOINT rivet_lock", cx)?;
        match client.execute(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", from_item(relation)), cx) {
            Ok(()) => self.first = Some(relation.clone()),
            Err(e) if e.state().is_some_and(|state| NOT_LOCKED.contains(&state)) => {
                client.execute("ROLLBACK TO SAVEPOINT rivet_lock", cx)?;
            }
            Err(e) => return Err(self.futile(e)),
        }
        client.execute("RELEASE SAVEPOINT rivet_lock", cx)
    }

    /// Proves a relation that was described. A table that has no lock gets it when `select` is planned; a query has been
    /// planned when it was described.
    ///
    /// # Errors
    /// As [`Locks::prove`].
    pub fn prove_described(&mut self, client: &mut Client, relation: &Relation, select: &str, cx: &Cx) -> Result<()> {
        if self.held && matches!(relation, Relation::Table { .. }) && self.first.as_ref() != Some(relation) {
            client.execute(&format!("EXPLAIN {select}"), cx).map_err(|e| self.futile(e))?;
        }
        self.prove(client, cx)
    }

    /// Proves that nothing this session has locked was replaced or altered between the snapshot and the lock. What is
    /// proved stays so, since the lock is held to the end. To be called after the last statement as well: functions open
    /// their tables when they run.
    ///
    /// # Errors
    /// [`SNAPSHOT_LOST`] when something was.
    pub fn prove(&mut self, client: &mut Client, cx: &Cx) -> Result<()> {
        if !self.held {
            return Ok(());
        }
        for row in client.query(&proof_sql(&self.proved), cx)?.rows {
            match row.as_slice() {
                [Some(oid), None] => self.proved.insert(number(oid)?),
                [Some(_), Some(name)] => return Err(changed(name)),
                _ => return Err(unexpected()),
            };
        }
        Ok(())
    }

    /// The error of a relation that the snapshot does not show: it is lost when there is one by now.
    pub fn missing(&self, client: &mut Client, relation: &Relation, e: PluginError, cx: &Cx) -> PluginError {
        let there = format!("SELECT pg_catalog.to_regclass({})", crate::sql::literal(&from_item(relation)));
        match client.query(&there, cx).map(|found| found.rows) {
            Ok(rows) if self.held && rows.iter().flatten().any(Option::is_some) => changed(&relation.label()),
            _ => e,
        }
    }

    /// A session that joined waits for a lock in vain: the snapshot must be given up before anybody gets on.
    pub fn futile(&self, e: PluginError) -> PluginError {
        if self.joined && e.state() == Some("55P03") {
            let text = "somebody waits to change a table that is read, and all others wait behind";
            return PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, text)
                .retry(Retry::NewSession)
                .sqlstate("55P03")
                .hint("run it again at a time when nobody truncates or alters the table");
        }
        e
    }
}

fn changed(name: &str) -> PluginError {
    let text = format!("{name} was replaced or altered while its lock was waited for");
    PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, text)
        .retry(Retry::NewSession)
        .detail("table", name)
        .hint("run it again at a time when nobody truncates or alters the table")
}

/// One row for each relation that is locked and not yet proved: its OID; and its name as well if it is not what the
/// snapshot shows. Where somebody has replaced a row of the catalogue since, the row that the snapshot shows names his
/// transaction in `xmax`. Whoever replaces a relation, its columns, its rule or its parents, or renames its schema,
/// replaces such a row; a relation that is new has none, and new indexes do no harm. Children of plain inheritance may
/// leave while their parent alone is locked, so they are looked at each time.
fn proof_sql(proved: &BTreeSet<u32>) -> String {
    let proved: Vec<String> = proved.iter().map(u32::to_string).collect();
    format!(
        "WITH locked AS ( \
           SELECT DISTINCT l.relation AS oid FROM pg_catalog.pg_locks l \
           WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND l.granted \
             AND l.relation >= '{FIRST_USER_OID}'::pg_catalog.oid), \
         fresh AS (SELECT oid FROM locked WHERE oid <> ALL ('{{{}}}'::pg_catalog.oid[])), \
         known AS ( \
           SELECT c.oid, c.relnamespace, c.xmax AS who FROM pg_catalog.pg_class c JOIN fresh ON fresh.oid = c.oid \
           WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')), \
         shown AS ( \
           SELECT k.oid, k.who FROM known k \
           UNION ALL SELECT k.oid, n.xmax FROM known k JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace \
           UNION ALL SELECT k.oid, a.xmax FROM known k JOIN pg_catalog.pg_attribute a ON a.attrelid = k.oid \
           UNION ALL SELECT k.oid, r.xmax FROM known k JOIN pg_catalog.pg_rewrite r ON r.ev_class = k.oid \
           UNION ALL SELECT k.oid, i.xmax FROM known k JOIN pg_catalog.pg_inherits i ON i.inhparent = k.oid \
           UNION ALL SELECT c.oid, i.xmax FROM locked JOIN pg_catalog.pg_class c ON c.oid = locked.oid \
             JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid WHERE c.relkind = 'r'), \
         replaced AS ( \
           SELECT DISTINCT shown.oid, low + pg_catalog.mod(pg_catalog.mod( \
               shown.who::pg_catalog.text::pg_catalog.int8 - low, {XIDS}) + {XIDS}, {XIDS}) AS who \
           FROM shown CROSS JOIN (SELECT pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) - {XIDS} / 2 \
             AS low) epoch \
           WHERE shown.who::pg_catalog.text <> '0') \
         SELECT oid, NULL FROM fresh \
         UNION ALL SELECT oid, oid::pg_catalog.regclass::pg_catalog.text FROM replaced \
           WHERE CASE WHEN who > 2 AND who >= pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) \
             THEN pg_catalog.txid_status(who) END = 'committed' \
         UNION ALL SELECT oid, oid::pg_catalog.regclass::pg_catalog.text FROM fresh \
           WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = fresh.oid) \
             AND pg_catalog.pg_get_indexdef(oid) IS NULL",
        proved.join(",")
    )
}

/// Relations below are the server's own: nobody replaces them.
const FIRST_USER_OID: u32 = 16_384;

/// Numbers of transactions in a row of a table: 32 bits of the 64 that name one for ever. The nearest to the snapshot
/// is meant.
const XIDS: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_joins_waits_for_a_short_time_only() {
        let limits = |lock_timeout_ms, statement_timeout_ms| SessionLimits {
            lock_timeout_ms,
            statement_timeout_ms,
            ..Default::default()
        };
        let (first, joined) = (Locks::new(&Snapshot::New), Locks::new(&Snapshot::Join("x".to_owned())));
        for (lock, statement, alone, together) in
            [(0, 0, 0, 5_000), (30_000, 300_000, 30_000, 5_000), (2_000, 0, 2_000, 2_000), (0, 4_000, 0, 2_000)]
        {
            let limits = limits(lock, statement);
            assert_eq!(
                (first.timeout_ms(&limits), joined.timeout_ms(&limits)),
                (alone, together),
                "{lock} {statement}"
            );
        }
    }
}
