//! The relation that was meant by a name that does not exist.
//! It must not know how relations are listed.

/// The relation whose name is nearest, and among those of one name the one in the nearest schema.
pub fn nearest<'k>(
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
}
