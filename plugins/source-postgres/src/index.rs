//! Which statements make the index that finds a range of a key.
//! It must not know plans: that there is no such index yet is told.

use rivet_plugin_api::{Cx, Relation, Result};
use rivet_shared_sql::key_sql;

use crate::session::PgSession;
use crate::sql::identifier;

/// Most children of plain inheritance that get a statement each.
const MAX_STATEMENTS: usize = 20;

/// The statements, as psql takes them; none for what cannot have an index, or where no expression that an index may have
/// stands for the key. `scanned` are the schemas and names of the tables that are read without one.
///
/// # Errors
/// The server's.
pub fn statements(
    session: &mut PgSession,
    relation: &Relation,
    key: &[String],
    scanned: &[(&str, &str)],
    cx: &Cx,
) -> Result<Vec<String>> {
    let described = session.described(relation, cx)?;
    let Some(oid) = described.table_oid else { return Ok(Vec::new()) };
    let mut types = key.iter().filter_map(|name| described.columns.iter().find(|c| c.column.name == *name));
    let first = types.next().map(|c| c.column.native_type.clone());
    // A conversion from one type to another may depend on settings, which no index can.
    if types.any(|c| Some(&c.column.native_type) != first.as_ref()) {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT n.nspname, c.relname, c.relkind, c.relhassubclass FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = {oid}"
    );
    let found = session.client.query(&sql, cx)?;
    let Some([Some(schema), Some(name), Some(kind), Some(has_children)]) = found.rows.first().map(Vec::as_slice) else {
        return Ok(Vec::new());
    };
    let expression = if key.len() > 1 { format!("({})", key_sql(key, identifier)) } else { key_sql(key, identifier) };
    let one = |how: &str, (schema, name): (&str, &str)| {
        format!("CREATE INDEX {how}ON {}.{} ({expression});", identifier(schema), identifier(name))
    };
    let whole = (schema.as_str(), name.as_str());
    Ok(match (kind.as_str(), has_children.as_str()) {
        // All partitions get one, those too that come later.
        ("p", _) => vec![one("", whole)],
        ("r", "t") => scanned.iter().take(MAX_STATEMENTS).map(|table| one("CONCURRENTLY ", *table)).collect(),
        ("r" | "m", _) => vec![one("CONCURRENTLY ", whole)],
        _ => Vec::new(),
    })
}
