//! The schema of the state file, version by version.
//! It must not change a step that was ever released: a new one is appended.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StateError;

/// SQL from version n to n + 1, each run in one transaction.
pub const STEPS: &[&str] = &["
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        export TEXT NOT NULL,
        phase TEXT NOT NULL,
        status TEXT,
        source TEXT NOT NULL,
        destination TEXT NOT NULL,
        started_at_ms INTEGER NOT NULL,
        plan_json TEXT NOT NULL,
        verdict_json TEXT,
        summary_json TEXT
    ) STRICT;
    CREATE INDEX runs_by_export ON runs (export, started_at_ms);
    CREATE TABLE parts (
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        split_id INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        part_index INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        name TEXT NOT NULL,
        token TEXT NOT NULL,
        rows INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        digest TEXT NOT NULL,
        facts_json TEXT NOT NULL,
        published INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (run_id, split_id, attempt, part_index)
    ) STRICT;
    CREATE TABLE splits (
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        split_id INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        PRIMARY KEY (run_id, split_id)
    ) STRICT;
    CREATE TABLE schemas (
        export TEXT PRIMARY KEY,
        run_id TEXT NOT NULL,
        schema_json TEXT NOT NULL
    ) STRICT;
    CREATE TABLE cursors (
        export TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        run_id TEXT NOT NULL,
        value_json TEXT NOT NULL
    ) STRICT;
"];

/// Brings a file up to date with `steps`.
///
/// # Errors
/// `Newer` when it has more steps than these; `Open` when it is no database or a step fails.
pub fn migrate(db: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StateError> {
    let failed = |source| StateError::Open { path: path.to_owned(), source };
    let known = steps.len() as i64;
    loop {
        // Immediate: two processes that both find an old file take turns.
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found > known {
            return Err(StateError::Newer { path: path.to_owned(), found, known });
        }
        let Some(step) = usize::try_from(found).ok().and_then(|n| steps.get(n)) else { return Ok(()) };
        transaction.execute_batch(step).map_err(failed)?;
        transaction.pragma_update(None, "user_version", found + 1).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
}
