//! Quoting: names and texts as SQL literals, safe whatever they hold.
//! It must not know what the statements are for.

use rivet_plugin_api::{FILTER_PLACEHOLDER, Relation};

/// A name in double quotes.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

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
    from_filtered(relation, "TRUE")
}

/// A relation for a FROM clause; `condition` stands where a query has a place for it.
pub fn from_filtered(relation: &Relation, condition: &str) -> String {
    match relation {
        Relation::Table { schema: Some(schema), name } => format!("{}.{}", identifier(schema), identifier(name)),
        Relation::Table { schema: None, name } => identifier(name),
        // The line break keeps a trailing comment of the query from swallowing the bracket.
        Relation::Query { sql } => {
            let sql = sql.replace(FILTER_PLACEHOLDER, &format!("({condition}\n)"));
            format!("({sql}\n) AS rivet_query")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_and_texts_stay_inside_their_quotes() {
        assert_eq!(identifier(r#"a"; drop table t; --"#), r#""a""; drop table t; --""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }
}
