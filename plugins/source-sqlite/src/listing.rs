//! The relations of a file, for patterns of names.
//! It must not know patterns, nor columns.

use rivet_plugin_api::{ListedTable, Result, TableKind};
use rusqlite::{Connection, Row};

use crate::error::sqlite;

/// Tables and views of the file but SQLite's own, whose names start with `sqlite_`, and the tables that virtual ones
/// keep their data in.
const SQL: &str = "SELECT name, type FROM pragma_table_list \
     WHERE \"schema\" = 'main' AND type <> 'shadow' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";

/// Every relation of the file, in the schema that a session calls it by.
///
/// # Errors
/// The database's.
pub fn tables(db: &Connection) -> Result<Vec<ListedTable>> {
    let failed = sqlite("list the tables");
    let mut statement = db.prepare(SQL).map_err(&failed)?;
    let listed = |row: &Row<'_>| {
        let kind = match row.get::<_, String>(1)?.as_str() {
            "table" => TableKind::Table,
            "view" => TableKind::View,
            _ => TableKind::Other,
        };
        let schema = Some("main".to_owned());
        Ok(ListedTable { schema, name: row.get(0)?, kind, readable: true, in_search_path: true })
    };
    let rows = statement.query_map([], listed).map_err(&failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(&failed)
}
