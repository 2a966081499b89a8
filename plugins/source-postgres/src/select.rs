//! The SELECT list of a scan: each column as it is, or in a form that the decoder knows.
//! It must not know FROM, WHERE, nor what becomes of a value.

use crate::sql::identifier;
use crate::types::ColumnPlan;

/// The expressions for these columns, in order.
pub fn list(columns: &[ColumnPlan]) -> String {
    let items: Vec<String> = columns.iter().map(|c| c.select.render(&identifier(&c.column.name))).collect();
    items.join(", ")
}
