//! Parts and checkpoints of a run.
//! It must not know what a token opens.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::runs::phase_of;
use super::{Failure, Phase, State, StateError};

/// A durable, invisible part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedPart {
    /// Number within its attempt, from 0.
    pub index: u32,
    /// Name below the destination.
    pub name: String,
    /// What publishes or discards it.
    pub token: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Digest of the bytes.
    pub digest: String,
    /// What else is known, as JSON.
    pub facts_json: String,
}

/// A part with where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPart {
    /// Split.
    pub split_id: u32,
    /// Attempt at the split, from 0.
    pub attempt: u32,
    /// Snapshot epoch, from 0.
    pub epoch: u32,
    /// Whether it was published.
    pub published: bool,
    /// The part.
    pub part: PreparedPart,
}

/// A split whose parts are all recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneSplit {
    /// Split.
    pub split_id: u32,
    /// The attempt that completed it, from 0.
    pub attempt: u32,
    /// Snapshot epoch it was read in, from 0.
    pub epoch: u32,
}

impl State {
    /// Records parts and, with `checkpoint`, that this attempt has completed its split: all in one transaction.
    /// Repeating it changes nothing.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run is judged or over; `Differs` when such a part is recorded with other
    /// content, whose token would be lost: forget the attempt first; `TwoAttempts` when the split to checkpoint has
    /// parts of another attempt; `Access`.
    pub fn record_parts(
        &self,
        run_id: &str,
        split_id: u32,
        attempt: u32,
        epoch: u32,
        parts: &[PreparedPart],
        checkpoint: bool,
    ) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        self.write("record a part", |db| {
            extracting(db, run_id, "take more parts")?;
            for part in parts {
                insert(db, run_id, &RecordedPart { split_id, attempt, epoch, published: false, part: part.clone() })?;
            }
            if checkpoint {
                complete(db, run_id, &DoneSplit { split_id, attempt, epoch }, now_ms)?;
            }
            Ok(())
        })
    }

    /// Forgets an attempt, and its split's checkpoint if that was this attempt's; returns its parts by index, for
    /// their tokens to be discarded. Repeating it returns none.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run is judged or over; `Access`.
    pub fn forget_attempt(&self, run_id: &str, split_id: u32, attempt: u32) -> Result<Vec<PreparedPart>, StateError> {
        self.write("forget an attempt", |db| {
            extracting(db, run_id, "forget an attempt")?;
            let sql = format!(
                "SELECT {COLUMNS} FROM parts WHERE run_id = ?1 AND split_id = ?2 AND attempt = ?3 ORDER BY part_index"
            );
            let mut of_attempt = db.prepare_cached(&sql)?;
            let parts = of_attempt.query_map(params![run_id, split_id, attempt], |row| Ok(read_part(row)?.part))?;
            let parts = parts.collect::<rusqlite::Result<_>>()?;
            for table in ["parts", "splits"] {
                let sql = format!("DELETE FROM {table} WHERE run_id = ?1 AND split_id = ?2 AND attempt = ?3");
                db.execute(&sql, params![run_id, split_id, attempt])?;
            }
            Ok(parts)
        })
    }

    /// All recorded parts of a run, by split, attempt and index; of an unknown run, none.
    ///
    /// # Errors
    /// `Access`.
    pub fn parts_of(&self, run_id: &str) -> Result<Vec<RecordedPart>, StateError> {
        self.read("read parts", |db| Ok(read_parts(db, run_id)?))
    }

    /// Notes that a part is visible. Repeating it changes nothing.
    ///
    /// # Errors
    /// `UnknownPart`, `Access`.
    pub fn mark_published(&self, run_id: &str, name: &str) -> Result<(), StateError> {
        self.write("note a published part", |db| {
            let sql = "UPDATE parts SET published = 1 WHERE run_id = ?1 AND name = ?2";
            if db.execute(sql, params![run_id, name])? == 0 {
                return Err(StateError::UnknownPart { run_id: run_id.to_owned(), name: name.to_owned() }.into());
            }
            Ok(())
        })
    }
}

pub(super) fn extracting(db: &Connection, run_id: &str, wanted: &'static str) -> Result<(), Failure> {
    match phase_of(db, run_id)? {
        Phase::Extracting => Ok(()),
        phase => Err(StateError::WrongPhase { run_id: run_id.to_owned(), phase, wanted }.into()),
    }
}

pub(super) fn insert(db: &Connection, run_id: &str, new: &RecordedPart) -> Result<(), Failure> {
    let RecordedPart { split_id, attempt, epoch, part: p, .. } = new;
    let sql = "INSERT INTO parts \
        (run_id, split_id, attempt, part_index, epoch, name, token, rows, bytes, digest, facts_json) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";
    let (rows, bytes) = (p.rows.cast_signed(), p.bytes.cast_signed());
    let values =
        params![run_id, split_id, attempt, p.index, epoch, p.name, p.token, rows, bytes, p.digest, p.facts_json];
    if db.prepare_cached(sql)?.execute(values)? == 1 {
        return Ok(());
    }
    let sql = format!("SELECT {COLUMNS} FROM parts WHERE run_id = ?1 AND name = ?2");
    let old = db.query_row(&sql, params![run_id, p.name], read_part).optional()?;
    if old.is_some_and(|old| RecordedPart { published: new.published, ..old } == *new) {
        return Ok(());
    }
    let what = format!("part {} ('{}') of split {split_id}, attempt {attempt}", p.index, p.name);
    Err(StateError::Differs { run_id: run_id.to_owned(), what }.into())
}

pub(super) fn complete(db: &Connection, run_id: &str, done: &DoneSplit, now_ms: i64) -> Result<(), Failure> {
    let DoneSplit { split_id, attempt, epoch } = *done;
    let sql = "SELECT attempt FROM parts WHERE run_id = ?1 AND split_id = ?2 AND attempt <> ?3 LIMIT 1";
    let other = db.query_row(sql, params![run_id, split_id, attempt], |row| row.get(0)).optional()?;
    if let Some(other) = other {
        return Err(StateError::TwoAttempts { run_id: run_id.to_owned(), split_id, attempt, other }.into());
    }
    // A checkpoint of another attempt was one without rows: nothing of it is lost or doubled.
    let sql = "INSERT INTO splits (run_id, split_id, attempt, epoch, done_at_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT (run_id, split_id) DO UPDATE \
               SET attempt = excluded.attempt, epoch = excluded.epoch, done_at_ms = excluded.done_at_ms \
               WHERE (attempt, epoch) <> (excluded.attempt, excluded.epoch)";
    db.execute(sql, params![run_id, split_id, attempt, epoch, now_ms])?;
    Ok(())
}

const COLUMNS: &str = "split_id, attempt, epoch, published, part_index, name, token, rows, bytes, digest, facts_json";

fn read_part(row: &Row<'_>) -> rusqlite::Result<RecordedPart> {
    Ok(RecordedPart {
        split_id: row.get(0)?,
        attempt: row.get(1)?,
        epoch: row.get(2)?,
        published: row.get(3)?,
        part: PreparedPart {
            index: row.get(4)?,
            name: row.get(5)?,
            token: row.get(6)?,
            rows: row.get::<_, i64>(7)?.cast_unsigned(),
            bytes: row.get::<_, i64>(8)?.cast_unsigned(),
            digest: row.get(9)?,
            facts_json: row.get(10)?,
        },
    })
}

pub(super) fn read_parts(db: &Connection, run_id: &str) -> rusqlite::Result<Vec<RecordedPart>> {
    let sql = format!("SELECT {COLUMNS} FROM parts WHERE run_id = ?1 ORDER BY split_id, attempt, part_index");
    db.prepare_cached(&sql)?.query_map([run_id], read_part)?.collect()
}

pub(super) fn read_done(db: &Connection, run_id: &str) -> rusqlite::Result<Vec<DoneSplit>> {
    let sql = "SELECT split_id, attempt, epoch FROM splits WHERE run_id = ?1 ORDER BY split_id";
    let read = |row: &Row<'_>| Ok(DoneSplit { split_id: row.get(0)?, attempt: row.get(1)?, epoch: row.get(2)? });
    db.prepare_cached(sql)?.query_map([run_id], read)?.collect()
}
