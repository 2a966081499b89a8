//! Cursors moved by hand, outside of any run.
//! It must not know how values of a cursor compare, nor who may move them: the caller holds the export's lock.

use rusqlite::params;
use serde_json::Value;

use super::cursors::put_cursor;
use super::{CursorUpdate, State, StateError, StoredCursor};

/// What stands for a run where a cursor was moved by hand.
pub const BY_HAND: &str = "by hand";

impl State {
    /// Moves the cursor of an export to another value of the same fingerprint.
    ///
    /// # Errors
    /// `Access`.
    pub fn set_cursor(&self, export: &str, old: &StoredCursor, value: &Value) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        let update = CursorUpdate { fingerprint: old.fingerprint.clone(), value: value.clone() };
        self.write("move a cursor", |db| Ok(put_cursor(db, export, BY_HAND, &update, now_ms)?))
    }

    /// Removes the cursor of an export; returns whether there was one.
    ///
    /// # Errors
    /// `Access`.
    pub fn reset_cursor(&self, export: &str) -> Result<bool, StateError> {
        self.write(
            "remove a cursor",
            |db| Ok(db.execute("DELETE FROM cursors WHERE export = ?1", params![export])? > 0),
        )
    }
}
