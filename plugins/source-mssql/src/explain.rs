//! How large a relation is and how its rows would be found, from the catalogue's numbers and indexes.
//! It must not read rows.

use rivet_plugin_api::{Cx, Estimate, Explain, Explained, Relation, Result};

use crate::schema::{Object, keys};
use crate::session::MssqlSession;
use crate::sql::{bracketed, identifier};

/// Rows and bytes as the catalogue counts them, which anybody may ask who may see the table; nothing of views and queries.
///
/// # Errors
/// The server's.
pub fn estimate(session: &mut MssqlSession, relation: &Relation, cx: &Cx) -> Result<Estimate> {
    let described = session.described(relation, cx)?;
    let Some(object) = described.object.filter(|object| object.is_table) else { return Ok(Estimate::default()) };
    let (rows, bytes) = size(session, &object, cx)?;
    Ok(Estimate { rows, bytes, splittable: false })
}

fn size(session: &mut MssqlSession, object: &Object, cx: &Cx) -> Result<(Option<u64>, Option<u64>)> {
    let sql = format!(
        "SELECT (SELECT SUM(p.rows) FROM sys.partitions AS p WHERE p.object_id = {id} AND p.index_id IN (0, 1)) AS n_rows, \
         (SELECT SUM(a.used_pages) * 8192 FROM sys.partitions AS p JOIN sys.allocation_units AS a \
           ON a.container_id = p.partition_id WHERE p.object_id = {id} AND p.index_id IN (0, 1)) AS n_bytes",
        id = object.id
    );
    let found = session.client.query(&sql, cx)?.rows.into_iter().next().unwrap_or_default();
    let number = |n: usize| found.get(n)?.as_deref()?.parse().ok();
    Ok((number(0), number(1)))
}

/// Whether an index begins with the key of the range; else what would make one.
///
/// # Errors
/// The server's.
pub fn explain(session: &mut MssqlSession, request: &Explain, cx: &Cx) -> Result<Explained> {
    let described = session.described(&request.relation, cx)?;
    let Some(object) = described.object.filter(|object| object.is_table) else { return Ok(Explained::default()) };
    let rows = size(session, &object, cx)?.0;
    let Some(range) = request.filter.range.as_ref().filter(|range| range.key.len() == 1) else {
        return Ok(Explained { rows, scan: Some("table scan".to_owned()), scanned_rows: rows, ..Explained::default() });
    };
    let indexes = keys::indexes(&mut session.client, &object.id, cx)?;
    let used = indexes.iter().find(|index| index.columns.first() == range.key.first());
    let statement = |key: &String| match &request.relation {
        Relation::Table { schema, name } => {
            let schema = schema.as_ref().map(|schema| format!("{}.", bracketed(schema))).unwrap_or_default();
            let index = bracketed(&format!("ix_{name}_{key}"));
            Some(format!("CREATE INDEX {index} ON {schema}{} ({});", bracketed(name), bracketed(key)))
        }
        Relation::Query { .. } => None,
    };
    Ok(match used {
        Some(index) => Explained {
            scan: Some(format!("index seek using {}", identifier(&index.name))),
            by_index: Some(true),
            ..Explained::default()
        },
        None => Explained {
            scan: Some("table scan".to_owned()),
            by_index: Some(false),
            scanned_rows: rows,
            index_statements: range.key.iter().filter_map(statement).collect(),
            ..Explained::default()
        },
    })
}
