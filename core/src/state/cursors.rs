//! Cursors and last good schemas: what an export remembers from run to run.
//! It must not know how cursor values compare, nor what a schema says.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::{State, StateError, json};

/// A cursor to store when its run finishes.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorUpdate {
    /// Digest of source database, relation, cursor column and destination.
    pub fingerprint: String,
    /// The mark, with all its digits.
    pub value: Value,
}

/// A stored cursor.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCursor {
    /// Digest of what it belongs to; one that differs from the export's is not for it.
    pub fingerprint: String,
    /// The mark.
    pub value: Value,
    /// Run that moved it.
    pub run_id: String,
    /// When, ms since 1970 UTC.
    pub updated_at_ms: i64,
}

impl State {
    /// The cursor of an export. It moves by [`finish_run_with_cursor`](Self::finish_run_with_cursor).
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn cursor(&self, export: &str) -> Result<Option<StoredCursor>, StateError> {
        self.read("read a cursor", |db| {
            let sql = "SELECT fingerprint, value_json, run_id, coalesce(updated_at_ms, 0) FROM cursors \
                       WHERE export = ?1 AND (?2 IS NULL OR config = ?2)";
            let read = |row: &rusqlite::Row<'_>| <(String, String, String, i64)>::try_from(row);
            let found = db.query_row(sql, params![export, self.config], read).optional()?;
            let Some((fingerprint, value, run_id, updated_at_ms)) = found else {
                return Ok(None);
            };
            Ok(Some(StoredCursor { fingerprint, value: json(&value, "cursor")?, run_id, updated_at_ms }))
        })
    }

    /// The schema of the last good run of an export.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn last_schema(&self, export: &str) -> Result<Option<Value>, StateError> {
        self.read("read the last schema", |db| {
            let sql = "SELECT schema_json FROM schemas WHERE export = ?1 AND (?2 IS NULL OR config = ?2)";
            let text: Option<String> = db.query_row(sql, params![export, self.config], |row| row.get(0)).optional()?;
            text.map(|text| json(&text, "schema")).transpose()
        })
    }

    /// Stores the schema of a good run outside of its end, as when the state is rebuilt.
    ///
    /// # Errors
    /// `Access`.
    pub fn save_schema(&self, export: &str, run_id: &str, schema: &Value) -> Result<(), StateError> {
        self.write("store a schema", |db| Ok(put_schema(db, (self.stored_config(), export), run_id, schema)?))
    }
}

pub(super) fn put_schema(
    db: &Connection,
    (config, export): (&str, &str),
    run_id: &str,
    schema: &Value,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO schemas (config, export, run_id, schema_json) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (export, config) DO UPDATE SET run_id = excluded.run_id, schema_json = excluded.schema_json";
    db.execute(sql, params![config, export, run_id, schema.to_string()]).map(drop)
}

pub(super) fn put_cursor(
    db: &Connection,
    (config, export): (&str, &str),
    run_id: &str,
    cursor: &CursorUpdate,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO cursors (config, export, fingerprint, run_id, value_json, updated_at_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
               ON CONFLICT (export, config) DO UPDATE SET fingerprint = excluded.fingerprint, run_id = excluded.run_id, \
               value_json = excluded.value_json, updated_at_ms = excluded.updated_at_ms";
    let value = cursor.value.to_string();
    db.execute(sql, params![config, export, cursor.fingerprint, run_id, value, now_ms]).map(drop)
}
