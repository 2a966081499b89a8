//! Cursors in the state file of rivet-cli, as its versions have kept them since the first: a table `export_state` of export,
//! value and time, and in later ones the column. Nothing of the file is changed.
//! It must not know what a value means.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::StateError;

/// What such a file holds of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignCursor {
    /// Export.
    pub export: String,
    /// Its cursor; none when it has none.
    pub value: Option<String>,
    /// When it last ran, as it stands there.
    pub last_run_at: Option<String>,
    /// The column that it is of, where the file says so.
    pub column: Option<String>,
}

/// Reads the cursors of such a file, by export.
///
/// # Errors
/// `Open` when it cannot be read; `NoCursors` when it is something else.
pub fn foreign_cursors(path: &Path) -> Result<Vec<ForeignCursor>, StateError> {
    let failed = |source| StateError::Open { path: path.to_owned(), source };
    let none = |what| StateError::NoCursors { path: path.to_owned(), what };
    if !path.is_file() {
        return Err(none("there is no such file"));
    }
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let has = |sql: &str| db.query_row(sql, [], |_| Ok(())).optional().map(|found| found.is_some());
    let table = has("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'export_state'");
    match table {
        Ok(true) => {}
        Ok(false) => return Err(none("it has no table `export_state`")),
        Err(e) if super::is_damage(&e) => return Err(none("it is no SQLite database")),
        Err(e) => return Err(failed(e)),
    }
    let names_column =
        has("SELECT 1 FROM pragma_table_info('export_state') WHERE name = 'cursor_column'").map_err(failed)?;
    let column = if names_column { "cursor_column" } else { "NULL" };
    let sql = format!("SELECT export_name, last_cursor_value, last_run_at, {column} FROM export_state ORDER BY 1");
    let read = |row: &rusqlite::Row<'_>| {
        Ok(ForeignCursor { export: row.get(0)?, value: row.get(1)?, last_run_at: row.get(2)?, column: row.get(3)? })
    };
    let mut query = db.prepare(&sql).map_err(failed)?;
    let rows = query.query_map([], read).map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}
