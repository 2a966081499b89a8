//! Cursors moved by hand, outside of any run.
//! It must not know how values of a cursor compare, nor who may move them: the caller holds the export's lock.

use rusqlite::params;

use super::cursors::put_cursor;
use super::{CursorUpdate, State, StateError};

/// What stands for a run where a cursor was moved by hand.
pub const BY_HAND: &str = "by hand";

impl State {
    /// Stores a cursor of an export. One of no fingerprint belongs to whatever the next run finds.
    ///
    /// # Errors
    /// `Access`.
    pub fn set_cursor(&self, export: &str, cursor: &CursorUpdate) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        let series = (self.stored_config(), export);
        self.write("move a cursor", |db| Ok(put_cursor(db, series, BY_HAND, cursor, now_ms)?))
    }

    /// Removes the cursor of an export; returns whether there was one.
    ///
    /// # Errors
    /// `Access`.
    pub fn reset_cursor(&self, export: &str) -> Result<bool, StateError> {
        self.write("remove a cursor", |db| {
            let sql = "DELETE FROM cursors WHERE export = ?1 AND config = ?2";
            Ok(db.execute(sql, params![export, self.stored_config()])? > 0)
        })
    }
}
