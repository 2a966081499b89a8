//! The relation that was meant by a name that does not exist.
//! It must not know why the name is asked for.

use rivet_plugin_api::Cx;

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

/// The relation whose name is nearest, and among those of one name the one in the nearest schema.
fn nearest<'k>(
    schema: Option<&str>,
    name: &str,
    known: impl IntoIterator<Item = (&'k str, &'k str)>,
) -> Option<(&'k str, &'k str)> {
    // Long names are no slips; comparing them would only take time.
    let distance = |a: &str, b: &str| {
        let near = a.len().abs_diff(b.len()) <= 3 && a.len() <= 64;
        near.then(|| strsim::damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase()))
    };
    let most = |word: &str| (word.chars().count() / 3).clamp(1, 3);
    let scored = known.into_iter().filter_map(|(its_schema, its_name)| {
        let far = distance(name, its_name).filter(|far| *far <= most(name))?;
        let elsewhere = match schema {
            None => 0,
            Some(schema) if schema == its_schema => 0,
            Some(schema) if distance(schema, its_schema).is_some_and(|far| far <= most(schema)) => 1,
            // Another name in another schema is another table.
            Some(_) if far == 0 => 2,
            Some(_) => return None,
        };
        Some(((far, elsewhere), (its_schema, its_name)))
    });
    // The first of equals: those on the search path come first.
    scored.min_by_key(|(score, _)| *score).map(|(_, found)| found)
}

/// A part of a name as a config writes it.
fn written(part: &str) -> String {
    if part.contains(['.', '"']) { format!("\"{}\"", part.replace('"', "\"\"")) } else { part.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, &str); 6] = [
        ("public", "orders"),
        ("public", "Items"),
        ("public", "customers"),
        ("shop", "orders"),
        ("shop", "stock"),
        ("public", "a.b"),
    ];

    #[test]
    fn what_was_meant_is_found_and_a_stranger_is_not() {
        for (schema, name, found) in [
            (None, "order", Some(("public", "orders"))),
            (None, "Orders", Some(("public", "orders"))),
            (Some("public"), "items", Some(("public", "Items"))),
            (Some("shop"), "ordres", Some(("shop", "orders"))),
            (Some("publc"), "customers", Some(("public", "customers"))),
            (Some("shop"), "customers", Some(("public", "customers"))),
            (Some("public"), "stock", Some(("shop", "stock"))),
            (Some("public"), "stocks", None),
            (None, "invoices", None),
            (None, "", None),
        ] {
            assert_eq!(nearest(schema, name, KNOWN), found, "{schema:?} {name}");
        }
    }

    #[test]
    fn a_part_with_a_dot_is_quoted() {
        assert_eq!(
            (written("a.b"), written("a\"b"), written("Items")),
            ("\"a.b\"".into(), "\"a\"\"b\"".into(), "Items".into())
        );
    }
}
