//! Read transactions: what is described and what is read are one state of the database.
//! It must not know what is read.

use rivet_plugin_api::{ErrorKind, PluginError, Result, Snapshot};
use rusqlite::Connection;

use crate::error::sqlite;

/// How a session reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// All calls in one transaction.
    Held,
    /// Each call in one of its own.
    Each,
}

impl Reading {
    /// What a snapshot asks for.
    pub fn of(snapshot: &Snapshot) -> Self {
        if *snapshot == Snapshot::None { Self::Each } else { Self::Held }
    }

    /// Begins the transaction that is held. Returns what identifies the state that it sees, if it is.
    ///
    /// # Errors
    /// As [`open`](crate::connect::open).
    pub fn begin(self, db: &Connection) -> Result<Option<String>> {
        if self == Self::Each {
            return Ok(None);
        }
        let failed = sqlite("begin a read transaction");
        db.execute_batch("BEGIN DEFERRED").map_err(&failed)?;
        first_read(db)?;
        let number =
            |name: &str| db.pragma_query_value(Some("main"), name, |row| row.get::<_, i64>(0)).map_err(&failed);
        let (schema, data, pages) = (number("schema_version")?, number("data_version")?, number("page_count")?);
        Ok(Some(format!("schema_version={schema} data_version={data} page_count={pages}")))
    }

    /// Does work in a transaction.
    ///
    /// # Errors
    /// Those of `work`; `Conflict` when the transaction that was held is not there any more.
    pub fn run<T>(self, db: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match (self, db.is_autocommit()) {
            (Self::Held, false) => work(),
            // SQLite ends a transaction by itself when it fails to read the file, or has no memory.
            (Self::Held, true) => {
                let text = "the read transaction of the session has ended";
                Err(PluginError::new(ErrorKind::Conflict, "snapshot.lost", text))
            }
            (Self::Each, _) => {
                // Rolled back when it is dropped, whatever becomes of the work.
                let _transaction = db.unchecked_transaction().map_err(sqlite("begin a read transaction"))?;
                first_read(db)?;
                work()
            }
        }
    }
}

/// The first read is what fixes the state that a transaction sees. A lock is waited for here, so that nothing seen is
/// older than the wait.
fn first_read(db: &Connection) -> Result<()> {
    db.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(())).map_err(sqlite("begin a read transaction"))
}
