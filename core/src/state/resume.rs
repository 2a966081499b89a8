//! What a later process needs to go on with a run that died: snapshots, checkpoints with their figures, attempts.
//! It must not know when a run may be gone on with, nor what figures say.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::parts::{complete, extracting, read_parts};
use super::{DoneSplit, PreparedPart, State, StateError, json};

/// A split that is done, with what its attempt has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Split, attempt and epoch.
    pub done: DoneSplit,
    /// When, ms since 1970 UTC; none where an older version recorded it.
    pub at_ms: Option<i64>,
    /// What was found, as it was stored.
    pub facts: Value,
}

/// How far a run has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progressed {
    /// The splits that are done, by number.
    pub checkpoints: Vec<Checkpoint>,
    /// Attempts that were begun, by split.
    pub attempts: BTreeMap<u32, u32>,
    /// Identity of the snapshot of each epoch.
    pub snapshots: Vec<Option<String>>,
}

impl State {
    /// Records a snapshot that a run reads from now on; returns the number of its epoch, which no other process of the run has.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run is judged or over; `Access`.
    pub fn begin_epoch(&self, run_id: &str, snapshot: Option<&str>) -> Result<u32, StateError> {
        self.write("record a snapshot", |db| {
            extracting(db, run_id, "read another snapshot")?;
            let sql = "INSERT INTO epochs (run_id, epoch, snapshot) \
                       SELECT ?1, coalesce(max(epoch) + 1, 0), ?2 FROM epochs WHERE run_id = ?1 RETURNING epoch";
            Ok(db.query_row(sql, params![run_id, snapshot], |row| row.get(0))?)
        })
    }

    /// Counts the attempts at a split, the one that begins included. A crash of the machine may forget the last of them.
    ///
    /// # Errors
    /// `Access`.
    pub fn begin_attempt(&self, run_id: &str, split_id: u32, n: u32) -> Result<(), StateError> {
        self.write_soon("count an attempt", |db| {
            let sql = "INSERT INTO attempts (run_id, split_id, n) VALUES (?1, ?2, ?3) \
                       ON CONFLICT DO UPDATE SET n = max(n, excluded.n)";
            db.prepare_cached(sql)?.execute(params![run_id, split_id, n])?;
            Ok(())
        })
    }

    /// Records that an attempt has completed its split, whose parts are recorded, and what it found.
    ///
    /// # Errors
    /// As [`record_parts`](Self::record_parts).
    pub fn checkpoint(&self, run_id: &str, done: &DoneSplit, facts: &Value) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        self.write("record a checkpoint", |db| {
            extracting(db, run_id, "complete a split")?;
            complete(db, run_id, done, now_ms)?;
            let sql = "UPDATE splits SET facts_json = ?3 WHERE run_id = ?1 AND split_id = ?2";
            db.prepare_cached(sql)?.execute(params![run_id, done.split_id, facts.to_string()])?;
            Ok(())
        })
    }

    /// Forgets all that a run has read; returns its parts, for their tokens to be discarded. Attempts and snapshots stay
    /// counted.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run is judged or over; `Access`.
    pub fn forget_all(&self, run_id: &str) -> Result<Vec<PreparedPart>, StateError> {
        self.write("forget what a run has read", |db| {
            extracting(db, run_id, "start over")?;
            let parts = read_parts(db, run_id)?.into_iter().map(|recorded| recorded.part).collect();
            for table in ["parts", "splits"] {
                db.execute(&format!("DELETE FROM {table} WHERE run_id = ?1"), [run_id])?;
            }
            Ok(parts)
        })
    }

    /// How far a run has come; nowhere when it is unknown.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn progress_of(&self, run_id: &str) -> Result<Progressed, StateError> {
        self.read("read how far a run has come", |db| {
            let sql = "SELECT split_id, attempt, epoch, done_at_ms, facts_json FROM splits WHERE run_id = ?1 \
                       ORDER BY split_id";
            let mut query = db.prepare_cached(sql)?;
            let mut rows = query.query([run_id])?;
            let mut checkpoints = Vec::new();
            while let Some(row) = rows.next()? {
                checkpoints.push(Checkpoint {
                    done: DoneSplit { split_id: row.get(0)?, attempt: row.get(1)?, epoch: row.get(2)? },
                    at_ms: row.get(3)?,
                    facts: json(&row.get::<_, String>(4)?, "facts of a split")?,
                });
            }
            let mut query = db.prepare_cached("SELECT split_id, n FROM attempts WHERE run_id = ?1")?;
            let attempts = query.query_map([run_id], |row| row.try_into())?.collect::<rusqlite::Result<_>>()?;
            let mut query = db.prepare_cached("SELECT snapshot FROM epochs WHERE run_id = ?1 ORDER BY epoch")?;
            let snapshots = query.query_map([run_id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            Ok(Progressed { checkpoints, attempts, snapshots })
        })
    }

    /// Says that nothing of an unfinished run is to be kept: the next run discards what it left, and starts anew.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run is judged or over; `Access`.
    pub fn reset_run(&self, run_id: &str) -> Result<(), StateError> {
        self.write("reset a run", |db| {
            extracting(db, run_id, "be reset")?;
            db.execute("UPDATE runs SET is_reset = 1 WHERE run_id = ?1", [run_id])?;
            Ok(())
        })
    }

    /// Keeps how an unfinished run failed, which the next run may go on with.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run is judged or over; `Access`.
    pub fn note_failure(&self, run_id: &str, summary: &Value) -> Result<(), StateError> {
        self.write("note a failure", |db| {
            extracting(db, run_id, "note a failure")?;
            let sql = "UPDATE runs SET summary_json = ?2 WHERE run_id = ?1";
            db.execute(sql, params![run_id, summary.to_string()])?;
            Ok(())
        })
    }

    /// The run of an export that did not end, else its newest that was planned.
    ///
    /// # Errors
    /// `Access`.
    pub fn last_planned_run(&self, export: &str) -> Result<Option<String>, StateError> {
        self.read("look for the last plan", |db| {
            let sql = "SELECT run_id FROM runs WHERE export = ?1 AND (?2 IS NULL OR config = ?2) AND plan_json <> 'null' \
                       ORDER BY phase NOT IN ('extracting', 'judged'), started_at_ms DESC, run_id DESC LIMIT 1";
            Ok(db.query_row(sql, params![export, self.config], |row| row.get(0)).optional()?)
        })
    }
}
