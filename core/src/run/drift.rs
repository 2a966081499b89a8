//! What changed between two schemas of an export.
//! It must not know what is done about it.

use rivet_plugin_api::{SchemaRef, TableSchema};

/// One phrase a change, in the order of the columns; empty when nothing changed. Order and nullability count for
/// nothing: readers find columns by name.
pub fn changes(before: &TableSchema, now: &TableSchema) -> Vec<String> {
    let find = |schema: &TableSchema, name: &str| schema.columns.iter().find(|c| c.name == name).cloned();
    let removed = before.columns.iter().filter(|c| find(now, &c.name).is_none());
    let mut all: Vec<String> = removed.map(|c| format!("'{}' was removed", c.name)).collect();
    for column in &now.columns {
        match find(before, &column.name) {
            None => all.push(format!("'{}' {} was added", column.name, column.native_type)),
            Some(old) if old.native_type != column.native_type => {
                all.push(format!("'{}' type changed from {} to {}", column.name, old.native_type, column.native_type));
            }
            // The database has what it had; the config or this program reads it as something else.
            Some(old) if old.logical != column.logical => all.push(format!(
                "'{}' {} is delivered as {}, it was as {}",
                column.name, column.native_type, column.logical, old.logical
            )),
            Some(_) => {}
        }
    }
    all
}

/// How the schema that a stream delivers differs from the one that was planned.
pub fn differences(planned: &SchemaRef, delivered: &SchemaRef) -> Vec<String> {
    if planned.fields().len() != delivered.fields().len() {
        return vec![format!("{} columns were planned, {} came", planned.fields().len(), delivered.fields().len())];
    }
    let pairs = planned.fields().iter().zip(delivered.fields());
    let differ = pairs.filter(|(a, b)| a.name() != b.name() || a.data_type() != b.data_type());
    differ
        .map(|(a, b)| format!("'{}' {} was planned, '{}' {} came", a.name(), a.data_type(), b.name(), b.data_type()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rivet_plugin_api::{Column, Fidelity, LogicalType};

    fn schema(columns: &[(&str, &str)]) -> TableSchema {
        let column = |(name, native): &(&str, &str)| Column {
            name: (*name).to_owned(),
            native_type: (*native).to_owned(),
            logical: LogicalType::Text,
            nullable: true,
            fidelity: Fidelity::Exact,
        };
        TableSchema::of(columns.iter().map(column).collect())
    }

    #[test]
    fn added_removed_and_retyped_are_named_and_order_is_not_a_change() {
        let before = schema(&[("a", "int4"), ("b", "text"), ("c", "date")]);
        assert!(changes(&before, &schema(&[("c", "date"), ("a", "int4"), ("b", "text")])).is_empty());
        assert_eq!(
            changes(&before, &schema(&[("a", "int8"), ("c", "date"), ("d", "uuid")])),
            ["'b' was removed", "'a' type changed from int4 to int8", "'d' uuid was added"]
        );
        let mut chosen = before.clone();
        chosen.columns[2].logical = LogicalType::Date;
        assert_eq!(changes(&before, &chosen), ["'c' date is delivered as date, it was as text"]);
    }
}
