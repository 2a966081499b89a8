//! The relation that was meant by a name that does not exist.
//! It must not know why the name is asked for.

use rivet_plugin_api::Cx;
use rivet_shared_sql::nearest;

use crate::connect::Client;

/// Most relations that are looked at.
const MAX_RELATIONS: usize = 5000;

/// The name of the nearest relation that the login may see, as a config writes it. Whatever fails on the way there is
/// nothing: the caller has an error already.
pub fn relation(client: &mut Client, schema: Option<&str>, name: &str, cx: &Cx) -> Option<String> {
    let sql = format!(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
           AND n.nspname !~ '^pg_(toast|temp)' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
         ORDER BY pg_catalog.pg_table_is_visible(c.oid) DESC, n.nspname, c.relname LIMIT {MAX_RELATIONS}"
    );
    let known = client.query(&sql, cx).ok()?;
    let known = known.rows.iter().filter_map(|row| match row.as_slice() {
        // A name that is not UTF-8 cannot be written as it is shown.
        [Some(schema), Some(name)] if ![schema, name].iter().any(|n| n.contains(char::REPLACEMENT_CHARACTER)) => {
            Some((schema.as_str(), name.as_str()))
        }
        _ => None,
    });
    nearest(schema, name, known).map(|(schema, name)| format!("{}.{}", written(schema), written(name)))
}

/// A part of a name as a config writes it.
fn written(part: &str) -> String {
    if part.contains(['.', '"']) { format!("\"{}\"", part.replace('"', "\"\"")) } else { part.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_with_a_dot_is_quoted() {
        assert_eq!(
            (written("a.b"), written("a\"b"), written("Items")),
            ("\"a.b\"".into(), "\"a\"\"b\"".into(), "Items".into())
        );
    }
}
