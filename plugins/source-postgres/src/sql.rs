//! Quoting: names and texts as SQL literals, safe whatever they hold.
//! It must not know what the statements are for.

use rivet_plugin_api::Relation;
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

/// A relation for a FROM clause, without a filter.
pub fn from_item(relation: &Relation) -> String {
    rivet_shared_sql::from_item(relation, identifier)
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
