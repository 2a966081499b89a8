//! The relations of a database, for patterns of names.
//! It must not know patterns, nor columns.

use rivet_plugin_api::{Cx, ListedTable, Result, TableKind};

use crate::catalogue::unexpected;
use crate::connect::Client;

/// Tables, views and foreign tables outside the system's schemas, whose names all start with `pg_`. A partitioned table
/// is one table; what it consists of is marked. A relation that is dropped meanwhile has no privileges, but NULL.
const SQL: &str = "SELECT n.nspname, c.relname, \
       CASE WHEN c.relispartition THEN 'partition' WHEN c.relkind IN ('r', 'p') THEN 'table' \
            WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'other' END, \
       coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
         AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), false), \
       coalesce(pg_catalog.pg_table_is_visible(c.oid), false) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
     ORDER BY n.nspname, c.relname";

/// Every relation that is not the server's own.
///
/// # Errors
/// The server's.
pub fn tables(client: &mut Client, cx: &Cx) -> Result<Vec<ListedTable>> {
    client.query(SQL, cx)?.rows.into_iter().map(listed).collect()
}

fn listed(row: Vec<Option<String>>) -> Result<ListedTable> {
    let Ok([Some(schema), Some(name), Some(kind), Some(readable), Some(visible)]) = <[_; 5]>::try_from(row) else {
        return Err(unexpected());
    };
    let kind = match kind.as_str() {
        "table" => TableKind::Table,
        "partition" => TableKind::Partition,
        "view" => TableKind::View,
        _ => TableKind::Other,
    };
    Ok(ListedTable { schema: Some(schema), name, kind, readable: readable == "t", in_search_path: visible == "t" })
}
