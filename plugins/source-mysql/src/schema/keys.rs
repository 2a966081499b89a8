//! Keys of a table, and the columns that a cursor could go by: what indexes and defaults say.
//! It must not know data, nor what is made of a column.

use std::collections::BTreeMap;

use rivet_plugin_api::{CursorColumn, Cx, LogicalType, Result, SetOn};

use super::{Described, of_table};
use crate::connect::Client;

/// What the catalogue says of how a column gets its value.
pub(super) struct Fact {
    pub name: String,
    pub extra: String,
    pub default: String,
}

/// Columns of one index, in their order; with whether it is unique, and its columns are whole.
#[derive(Default)]
struct Index {
    unique: bool,
    whole: bool,
    columns: Vec<String>,
}

/// Finds keys and cursors of a table at this place of the catalogue.
///
/// # Errors
/// The server's.
pub(super) fn find(client: &mut Client, described: &mut Described, place: &str, facts: &[Fact], cx: &Cx) -> Result<()> {
    let Some(table) = described.table.clone().filter(super::Table::has_own_rows) else { return Ok(()) };
    let sql = format!(
        "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART IS NULL, INDEX_TYPE \
         FROM information_schema.STATISTICS WHERE {place} ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"
    );
    let mut order = Vec::new();
    let mut indexes: BTreeMap<String, Index> = BTreeMap::new();
    for row in of_table(client.query(&sql, cx)?, &table.name) {
        let [_, Some(name), Some(non_unique), column, Some(whole), Some(kind)] = row.as_slice() else { continue };
        if !order.contains(name) {
            order.push(name.clone());
        }
        let index = indexes.entry(name.clone()).or_insert_with(|| Index { whole: true, ..Index::default() });
        index.unique = non_unique == "0";
        // An index of expressions has no names.
        index.whole &= whole == "1" && column.is_some() && kind == "BTREE";
        index.columns.extend(column.clone());
    }
    let ordered: Vec<&Index> = order.iter().filter_map(|name| indexes.get(name)).filter(|index| index.whole).collect();
    let is_required = |name: &String| described.column(name).is_some_and(|plan| !plan.column.nullable);
    let keys = ordered.iter().filter(|index| index.unique && index.columns.iter().all(is_required));
    let keys: Vec<Vec<String>> = keys.map(|index| index.columns.clone()).collect();
    let primary = order.first().filter(|name| *name == "PRIMARY").and_then(|name| indexes.get(name));
    let mut cursors = Vec::new();
    for fact in facts {
        let Some(plan) = described.column(&fact.name) else { continue };
        let extra = fact.extra.to_ascii_lowercase();
        let counted = extra.contains("auto_increment");
        let clock = fact.default.to_ascii_lowercase().starts_with("current_timestamp");
        let is_key = primary.is_some_and(|index| index.columns == [fact.name.clone()]);
        let grows = match plan.column.logical {
            LogicalType::Timestamp { .. } | LogicalType::Date => true,
            LogicalType::Int { .. } => counted || is_key,
            _ => false,
        };
        if grows {
            let set_on = match (extra.contains("on update"), counted || clock) {
                (true, _) => SetOn::Change,
                (false, true) => SetOn::Insert,
                (false, false) => SetOn::Unknown,
            };
            let indexed = ordered.iter().any(|index| index.columns.first() == Some(&fact.name));
            cursors.push(CursorColumn { indexed, set_on, ..CursorColumn::new(&fact.name) });
        }
    }
    described.has_primary_key = primary.is_some_and(|index| keys.first() == Some(&index.columns));
    (described.keys, described.cursors) = (keys, Some(cursors));
    Ok(())
}
