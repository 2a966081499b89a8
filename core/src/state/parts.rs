//! Parts and checkpoints of a run.
//! It must not know what a token opens.

use rusqlite::{Connection, Row, params};

use super::{State, StateError};

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

impl State {
    /// Records parts and, with `checkpoint`, that their split is complete: all in one transaction. Repeating it
    /// changes nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record_parts(
        &self,
        run_id: &str,
        split_id: u32,
        attempt: u32,
        epoch: u32,
        parts: &[PreparedPart],
        checkpoint: bool,
    ) -> Result<(), StateError> {
        let failed = self.failed("record a part");
        let mut db = self.db();
        let transaction = db.transaction().map_err(&failed)?;
        for p in parts {
            let sql = "INSERT OR REPLACE INTO parts \
                (run_id, split_id, attempt, part_index, epoch, name, token, rows, bytes, digest, facts_json) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            let (rows, bytes) = (p.rows.cast_signed(), p.bytes.cast_signed());
            let values = params![
                run_id, split_id, attempt, p.index, epoch, p.name, p.token, rows, bytes, p.digest, p.facts_json
            ];
            transaction.execute(sql, values).map_err(&failed)?;
        }
        if checkpoint {
            let sql = "INSERT OR REPLACE INTO splits (run_id, split_id, attempt, epoch) VALUES (?1, ?2, ?3, ?4)";
            transaction.execute(sql, params![run_id, split_id, attempt, epoch]).map_err(&failed)?;
        }
        transaction.commit().map_err(&failed)
    }

    /// Forgets an attempt, and its split's checkpoint if that was this attempt's; returns its parts.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_attempt(&self, run_id: &str, split_id: u32, attempt: u32) -> Result<Vec<PreparedPart>, StateError> {
        let failed = self.failed("forget an attempt");
        let mut db = self.db();
        let transaction = db.transaction().map_err(&failed)?;
        let all = read_parts(&transaction, run_id).map_err(&failed)?;
        let of_attempt = all.into_iter().filter(|p| p.split_id == split_id && p.attempt == attempt);
        let parts = of_attempt.map(|p| p.part).collect();
        for table in ["parts", "splits"] {
            let sql = format!("DELETE FROM {table} WHERE run_id = ?1 AND split_id = ?2 AND attempt = ?3");
            transaction.execute(&sql, params![run_id, split_id, attempt]).map_err(&failed)?;
        }
        transaction.commit().map_err(&failed)?;
        Ok(parts)
    }

    /// All parts of a run, by split and index.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn parts_of(&self, run_id: &str) -> Result<Vec<RecordedPart>, StateError> {
        read_parts(&self.db(), run_id).map_err(self.failed("read parts"))
    }

    /// Notes that a part is visible. Repeating it changes nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn mark_published(&self, run_id: &str, name: &str) -> Result<(), StateError> {
        let sql = "UPDATE parts SET published = 1 WHERE run_id = ?1 AND name = ?2";
        self.db().execute(sql, params![run_id, name]).map(drop).map_err(self.failed("note a published part"))
    }
}

pub(super) fn read_parts(db: &Connection, run_id: &str) -> rusqlite::Result<Vec<RecordedPart>> {
    let sql = "SELECT split_id, attempt, epoch, published, part_index, name, token, rows, bytes, digest, facts_json \
               FROM parts WHERE run_id = ?1 ORDER BY split_id, attempt, part_index";
    let read = |row: &Row<'_>| {
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
    };
    db.prepare_cached(sql)?.query_map([run_id], read)?.collect()
}
