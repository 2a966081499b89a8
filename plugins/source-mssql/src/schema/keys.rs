//! Keys of a table, and the columns that a cursor could go by: what indexes, defaults and identities say.
//! It must not know data, nor what is made of a column.

use rivet_plugin_api::{CursorColumn, Cx, LogicalType, Result, SetOn};

use crate::connect::Client;
use crate::types::ColumnPlan;

/// An index of all rows: its name, whether it is unique, whether it is the primary key, and its columns in order.
#[derive(Debug, Clone)]
pub struct Index {
    pub name: String,
    pub unique: bool,
    pub primary: bool,
    pub columns: Vec<String>,
}

/// Indexes of a table that hold every row, the primary key's first.
///
/// # Errors
/// The server's.
pub fn indexes(client: &mut Client, object_id: &str, cx: &Cx) -> Result<Vec<Index>> {
    let sql = format!(
        "SELECT i.name AS name, i.is_unique AS is_unique, i.is_primary_key AS is_primary_key, c.name AS column_name \
         FROM sys.indexes AS i JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id \
         JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id \
         WHERE i.object_id = {object_id} AND i.has_filter = 0 AND i.is_disabled = 0 AND i.type IN (1, 2) \
           AND k.key_ordinal > 0 ORDER BY i.is_primary_key DESC, i.index_id, k.key_ordinal"
    );
    let mut indexes: Vec<Index> = Vec::new();
    for row in client.query(&sql, cx)?.rows {
        let [Some(name), Some(unique), Some(primary), Some(column)] = row.as_slice() else { continue };
        match indexes.last_mut().filter(|last| last.name == *name) {
            Some(last) => last.columns.push(column.clone()),
            None => indexes.push(Index {
                name: name.clone(),
                unique: unique == "1",
                primary: primary == "1",
                columns: vec![column.clone()],
            }),
        }
    }
    Ok(indexes)
}

/// Unique keys whose columns are never NULL.
pub fn keys(indexes: &[Index], columns: &[ColumnPlan]) -> Vec<Vec<String>> {
    let never_null = |name: &String| columns.iter().any(|c| c.column.name == *name && !c.column.nullable);
    let mut keys: Vec<Vec<String>> = Vec::new();
    for index in indexes.iter().filter(|index| index.unique && index.columns.iter().all(never_null)) {
        if !keys.contains(&index.columns) {
            keys.push(index.columns.clone());
        }
    }
    keys
}

/// Moments and days, versions of rows, and whole numbers that an identity gives or that are the primary key.
///
/// # Errors
/// The server's.
pub fn cursors(
    client: &mut Client,
    object_id: &str,
    indexes: &[Index],
    columns: &[ColumnPlan],
    cx: &Cx,
) -> Result<Vec<CursorColumn>> {
    let sql = format!(
        "SELECT c.name AS name, c.is_identity AS is_identity, \
           CASE WHEN c.generated_always_type = 1 THEN 1 ELSE 0 END AS is_row_start, \
           CASE WHEN LOWER(d.definition) LIKE N'%date%()%' OR LOWER(d.definition) LIKE N'%next value for%' \
             THEN 1 ELSE 0 END AS has_clock \
         FROM sys.columns AS c LEFT JOIN sys.default_constraints AS d ON d.object_id = c.default_object_id \
         WHERE c.object_id = {object_id} ORDER BY c.column_id"
    );
    let mut cursors = Vec::new();
    for row in client.query(&sql, cx)?.rows {
        let [Some(name), Some(identity), Some(row_start), Some(clock)] = row.as_slice() else { continue };
        let Some(plan) = columns.iter().find(|c| c.column.name == *name) else { continue };
        let is_version = matches!(plan.column.native_type.as_str(), "timestamp" | "rowversion");
        let is_primary = indexes.iter().any(|i| i.primary && i.columns.as_slice() == std::slice::from_ref(name));
        let grows = match plan.column.logical {
            LogicalType::Timestamp { .. } | LogicalType::Date => true,
            LogicalType::Int { .. } => identity == "1" || is_primary,
            LogicalType::Binary => is_version,
            _ => false,
        };
        if grows {
            let set_on = match (is_version || row_start == "1", clock == "1" || identity == "1") {
                (true, _) => SetOn::Change,
                (false, true) => SetOn::Insert,
                (false, false) => SetOn::Unknown,
            };
            let indexed = indexes.iter().any(|index| index.columns.first() == Some(name));
            cursors.push(CursorColumn { indexed, set_on, ..CursorColumn::new(name) });
        }
    }
    Ok(cursors)
}
