//! The relations of a server, for patterns of names.
//! It must not know patterns, nor columns.

use rivet_plugin_api::{Cx, ListedTable, Result, TableKind};

use crate::connect::Client;
use crate::error::unexpected;

/// Tables and views outside the server's own databases. The catalogue shows what the login has some right to.
const SQL: &str = "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, COALESCE(TABLE_SCHEMA = DATABASE(), 0) \
     FROM information_schema.TABLES \
     WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') \
     ORDER BY TABLE_SCHEMA, TABLE_NAME";

/// Every relation that is not the server's own.
///
/// # Errors
/// The server's.
pub fn tables(client: &mut Client, cx: &Cx) -> Result<Vec<ListedTable>> {
    client.query(SQL, cx)?.into_iter().map(listed).collect()
}

fn listed(row: Vec<Option<String>>) -> Result<ListedTable> {
    let Ok([Some(schema), Some(name), Some(kind), Some(current)]) = <[_; 4]>::try_from(row) else {
        return Err(unexpected());
    };
    let kind = match kind.as_str() {
        "BASE TABLE" | "SYSTEM VERSIONED" => TableKind::Table,
        "VIEW" => TableKind::View,
        _ => TableKind::Other,
    };
    Ok(ListedTable { schema: Some(schema), name, kind, readable: true, in_search_path: current == "1" })
}
