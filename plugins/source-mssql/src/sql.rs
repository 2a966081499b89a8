//! Quoting, and what follows FROM: names and texts as T-SQL, safe whatever they hold.
//! It must not know what the statements are for.

use rivet_plugin_api::Relation;
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

/// A relation for a FROM clause, without a filter.
pub fn from_item(relation: &Relation) -> String {
    rivet_shared_sql::from_item(relation, identifier)
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
