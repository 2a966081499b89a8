//! Quoting: names and texts as SQL literals, safe whatever they hold.
//! It must not know what the statements are for.

use rivet_plugin_api::Relation;

/// A name in backticks.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text literal. The session has no `NO_BACKSLASH_ESCAPES`, so a backslash is doubled.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''").replace('\0', "\\0"))
}

/// Bytes as a literal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
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
        assert_eq!(literal(r"a\' or 1=1 -- "), r"'a\\'' or 1=1 -- '");
        assert_eq!(literal("a\0b"), "'a\\0b'");
        assert_eq!(identifier("a`; drop table t; --"), "`a``; drop table t; --`");
        assert_eq!(hexadecimal(b"\x00\xffA"), "00ff41");
    }
}
