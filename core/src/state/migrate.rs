//! The schema of the state file, version by version.
//! It must not change a step that was ever released: a new one is appended.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use super::StateError;

/// `application_id` in the header of a state file ("Rivt"): tells it from other programs' databases.
pub const APPLICATION_ID: i64 = 0x5269_7674;

/// SQL from version n to n + 1, each run in one transaction.
pub const STEPS: &[&str] = &[
    "
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
",
    // Events have no foreign key: the first ones of a run come before it is planned and begun.
    "
    PRAGMA application_id = 0x52697674;
    ALTER TABLE runs ADD COLUMN config_digest TEXT;
    ALTER TABLE runs ADD COLUMN ended_at_ms INTEGER;
    CREATE INDEX runs_by_start ON runs (started_at_ms, run_id);
    CREATE INDEX runs_unfinished ON runs (export, started_at_ms, run_id) WHERE phase IN ('extracting', 'judged');
    ALTER TABLE splits ADD COLUMN done_at_ms INTEGER;
    CREATE UNIQUE INDEX parts_by_name ON parts (run_id, name);
    ALTER TABLE cursors ADD COLUMN updated_at_ms INTEGER;
    CREATE TABLE events (
        event_id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        event_json TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_by_run ON events (run_id, event_id);
",
    // What is remembered belongs to an export of a config: two configs that share a file may call their exports alike. Rows
    // of before have no config, until the first one that has such an export takes them over.
    "
    ALTER TABLE runs ADD COLUMN config TEXT NOT NULL DEFAULT '';
    CREATE TABLE schemas_by_config (
        export TEXT NOT NULL,
        run_id TEXT NOT NULL,
        schema_json TEXT NOT NULL,
        config TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (export, config)
    ) STRICT;
    INSERT INTO schemas_by_config (export, run_id, schema_json) SELECT export, run_id, schema_json FROM schemas;
    DROP TABLE schemas;
    ALTER TABLE schemas_by_config RENAME TO schemas;
    CREATE TABLE cursors_by_config (
        export TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        run_id TEXT NOT NULL,
        value_json TEXT NOT NULL,
        updated_at_ms INTEGER,
        config TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (export, config)
    ) STRICT;
    INSERT INTO cursors_by_config (export, fingerprint, run_id, value_json, updated_at_ms)
        SELECT export, fingerprint, run_id, value_json, updated_at_ms FROM cursors;
    DROP TABLE cursors;
    ALTER TABLE cursors_by_config RENAME TO cursors;
",
    // What a later process needs to go on with a run that died.
    "
    ALTER TABLE runs ADD COLUMN is_reset INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE splits ADD COLUMN facts_json TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE attempts (
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        split_id INTEGER NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (run_id, split_id)
    ) STRICT;
    CREATE TABLE epochs (
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
        epoch INTEGER NOT NULL,
        snapshot TEXT,
        PRIMARY KEY (run_id, epoch)
    ) STRICT;
",
];

/// Says whether a file is a state file that this version can use, without writing to it.
///
/// # Errors
/// `Foreign` when it is something else, `Newer` when it has more than `n_steps` steps, `Open` when it cannot be read.
pub fn inspect(db: &mut Connection, path: &Path, n_steps: usize) -> Result<(), StateError> {
    let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StateError::Foreign { path: path.to_owned(), what: "no SQLite database" },
        _ => StateError::Open { path: path.to_owned(), source },
    };
    // One transaction: another process may be making the tables right now.
    let transaction = db.transaction().map_err(failed)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let application: i64 = transaction.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let has = |filter: &str| {
        let sql = format!("SELECT 1 FROM sqlite_schema WHERE {filter} LIMIT 1");
        transaction.query_row(&sql, [], |_| Ok(())).optional().map(|found| found.is_some())
    };
    let ours = match (application, version) {
        (_, ..0) => false,
        (APPLICATION_ID, _) => true,
        (0, 0) => !has("true").map_err(failed)?,
        // The first version set no application id.
        (0, 1) => has("type = 'table' AND name = 'runs' AND sql LIKE '%plan_json%'").map_err(failed)?,
        _ => false,
    };
    if !ours {
        return Err(StateError::Foreign { path: path.to_owned(), what: "another program's SQLite database" });
    }
    newer(version, n_steps, path)
}

/// Whether the file has all of `steps`.
///
/// # Errors
/// When it cannot be read.
pub fn is_current(db: &Connection, steps: &[&str]) -> rusqlite::Result<bool> {
    Ok(version(db)? == steps.len() as i64)
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// What is in a file, as it is at one moment, in memory.
///
/// # Errors
/// When it cannot be read.
pub fn copied(file: &Path) -> rusqlite::Result<Connection> {
    let mut db = Connection::open_in_memory()?;
    // As bytes: a path need not be text.
    let name = ToSqlOutput::Borrowed(ValueRef::Text(file.as_os_str().as_encoded_bytes()));
    db.execute("ATTACH ?1 AS original", [name])?;
    let transaction = db.transaction()?;
    let sql = "SELECT type, name, sql FROM original.sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'index'";
    let objects: Vec<(String, String, String)> =
        transaction.prepare(sql)?.query_map([], |row| row.try_into())?.collect::<rusqlite::Result<_>>()?;
    for (kind, name, sql) in objects {
        transaction.execute_batch(&sql)?;
        if kind == "table" {
            let name = name.replace('"', "\"\"");
            transaction.execute(&format!("INSERT INTO main.\"{name}\" SELECT * FROM original.\"{name}\""), [])?;
        }
    }
    for pragma in ["user_version", "application_id"] {
        let value: i64 = transaction.pragma_query_value(Some("original"), pragma, |row| row.get(0))?;
        transaction.pragma_update(Some("main"), pragma, value)?;
    }
    transaction.commit()?;
    db.execute("DETACH original", [])?;
    Ok(db)
}

/// Brings a file up to date with `steps`.
///
/// # Errors
/// `Newer` when it has more steps than these; `Open` when a step fails: the file is then as it was before the step.
pub fn migrate(db: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), StateError> {
    let failed = |source| StateError::Open { path: path.to_owned(), source };
    // The usual case takes no write lock.
    while !is_current(db, steps).map_err(failed)? {
        // Immediate: two processes that both find an old file take turns.
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found = version(&transaction).map_err(failed)?;
        newer(found, steps.len(), path)?;
        let Some(step) = usize::try_from(found).ok().and_then(|n| steps.get(n)) else { return Ok(()) };
        transaction.execute_batch(step).map_err(failed)?;
        transaction.pragma_update(None, "user_version", found + 1).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

fn newer(found: i64, n_steps: usize, path: &Path) -> Result<(), StateError> {
    let known = n_steps as i64;
    if found > known { Err(StateError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}
