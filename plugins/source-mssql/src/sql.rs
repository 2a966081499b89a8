//! Quoting, and what follows FROM: names and texts as T-SQL, safe whatever they hold.
//! It must not know what the statements are for.

use rivet_plugin_api::Relation;
use rivet_shared_sql::Conditions;
// The session has QUOTED_IDENTIFIER ON.
pub use rivet_shared_sql::identifier;

/// A text literal.
pub fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// A name as statements for people have it, whatever their session's settings are.
pub fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A relation for a FROM clause without a filter.
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
        assert_eq!(literal("it's"), "N'it''s'");
        assert_eq!(bracketed("a]; drop table t; --"), "[a]]; drop table t; --]");
    }
}
