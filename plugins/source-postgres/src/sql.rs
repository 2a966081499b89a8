//! Quoting: names and texts as SQL literals, safe whatever they hold.
//! It must not know what the statements are for.

use rivet_plugin_api::Relation;
use rivet_shared_sql::Conditions;
pub use rivet_shared_sql::identifier;

/// A text literal. The session has `standard_conforming_strings = on`, so a backslash is just that; the `E` form
/// does not depend even on that.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A relation for a FROM clause: a table's quoted name, or a query as a derived table, without a filter.
pub fn from_item(relation: &Relation) -> String {
    from_filtered(relation, Conditions::default()).0
}

/// A relation for a FROM clause, and what of the conditions goes around it.
pub fn from_filtered(relation: &Relation, conditions: Conditions) -> (String, Conditions) {
    match relation {
        Relation::Table { schema: Some(schema), name } => {
            (format!("{}.{}", identifier(schema), identifier(name)), conditions)
        }
        Relation::Table { schema: None, name } => (identifier(name), conditions),
        // The line break keeps a trailing comment of the query from swallowing the bracket.
        Relation::Query { sql } => {
            let (sql, around) = conditions.fill(sql);
            (format!("({sql}\n) AS rivet_query"), around)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_stay_inside_their_quotes() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }
}
