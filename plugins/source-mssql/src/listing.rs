//! The relations of a database, for patterns of names.
//! It must not know patterns, nor columns.

use rivet_plugin_api::{Cx, ListedTable, Result, TableKind};

use crate::connect::Client;
use crate::error;

/// Tables and views but the server's own.
const SQL: &str = "SELECT s.name AS schema_name, o.name AS name, RTRIM(o.type) AS kind, \
       HAS_PERMS_BY_NAME(CONCAT(QUOTENAME(s.name), N'.', QUOTENAME(o.name)), N'OBJECT', N'SELECT') AS readable, \
       CASE WHEN s.name = SCHEMA_NAME() THEN 1 ELSE 0 END AS own \
     FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id \
     WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 ORDER BY s.name, o.name";

/// Every relation that is not the server's own.
///
/// # Errors
/// The server's.
pub fn tables(client: &mut Client, cx: &Cx) -> Result<Vec<ListedTable>> {
    client.query(SQL, cx)?.rows.into_iter().map(listed).collect()
}

fn listed(row: Vec<Option<String>>) -> Result<ListedTable> {
    let Ok([Some(schema), Some(name), Some(kind), readable, Some(own)]) = <[_; 5]>::try_from(row) else {
        return Err(error::catalogue());
    };
    let kind = if kind == "U" { TableKind::Table } else { TableKind::View };
    let readable = readable.as_deref() == Some("1");
    Ok(ListedTable { schema: Some(schema), name, kind, readable, in_search_path: own == "1" })
}
