//! The grammar of `table`, and the tidying of `query`.
//! It must not know SQL, nor how an engine folds or quotes names.

use rivet_plugin_api::Relation;

/// Reads `name` or `schema.name`. Parts are taken as they stand: nothing is folded, spaces inside are kept. A part in
/// double quotes may hold dots, and a doubled quote stands for one: `"we.ird".t` is table `t` of schema `we.ird`.
///
/// # Errors
/// The rest of a sentence that starts with the key.
pub(super) fn table(text: &str) -> Result<Relation, &'static str> {
    let (schema, name) = two(parts(text)?)?;
    Ok(Relation::Table { schema: schema.map(|part| part.text), name: name.text })
}

/// One part of a name.
pub(super) struct Part {
    pub(super) text: String,
    /// Whether it stood in double quotes.
    pub(super) quoted: bool,
}

/// The parts of a name, at least one.
///
/// # Errors
/// The rest of a sentence that starts with the key.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, &'static str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (text, after) = part(rest)?;
        parts.push(Part { text, quoted: rest.starts_with('"') });
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(parts),
            None => return Err("has text after a closing quote"),
        }
    }
}

/// Schema and name.
///
/// # Errors
/// The rest of a sentence that starts with the key.
pub(super) fn two(parts: Vec<Part>) -> Result<(Option<Part>, Part), &'static str> {
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => Ok((None, name)),
        (Some(schema), Some(name), None) => Ok((Some(schema), name)),
        _ => Err("has more than two parts"),
    }
}

/// The first part of a name, and what follows it.
fn part(text: &str) -> Result<(String, &str), &'static str> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => closing(quoted)?,
        None => {
            let end = text.find(['.', '"']).unwrap_or(text.len());
            if text[end..].starts_with('"') {
                return Err("has a quote inside a part");
            }
            let name = &text[..end];
            if name.trim() != name {
                return Err("has spaces around a part");
            }
            (name.to_owned(), &text[end..])
        }
    };
    if name.is_empty() {
        return Err("has an empty part");
    }
    if name.contains(|c: char| c.is_control()) {
        return Err("has a control character");
    }
    Ok((name, rest))
}

/// Text up to the closing quote, and what follows it.
fn closing(quoted: &str) -> Result<(String, &str), &'static str> {
    let mut name = String::new();
    let mut rest = quoted;
    while let Some(quote) = rest.find('"') {
        name.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        let Some(after) = rest.strip_prefix('"') else {
            return Ok((name, rest));
        };
        name.push('"');
        rest = after;
    }
    Err("has a quote that is not closed")
}

/// A query without what may follow its last word: white space and semicolons.
///
/// # Errors
/// The rest of a sentence that starts with the key.
pub(super) fn query(text: &str) -> Result<Relation, &'static str> {
    let sql = text.trim_start().trim_end_matches(|c: char| c.is_whitespace() || c == ';');
    if sql.is_empty() { Err("is empty") } else { Ok(Relation::Query { sql: sql.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names() {
        type Parts<'a> = Result<(Option<&'a str>, &'a str), &'static str>;
        let cases: [(&str, Parts); 16] = [
            ("orders", Ok((None, "orders"))),
            ("public.orders", Ok((Some("public"), "orders"))),
            ("Public.Order Details", Ok((Some("Public"), "Order Details"))),
            ("\"we.ird\".t", Ok((Some("we.ird"), "t"))),
            ("s.\"a\"\"b\"", Ok((Some("s"), "a\"b"))),
            ("\" x \"", Ok((None, " x "))),
            ("bücher", Ok((None, "bücher"))),
            ("", Err("has an empty part")),
            ("a.", Err("has an empty part")),
            (".a", Err("has an empty part")),
            ("\"\"", Err("has an empty part")),
            ("a.b.c", Err("has more than two parts")),
            ("a . b", Err("has spaces around a part")),
            ("a\"b", Err("has a quote inside a part")),
            ("\"a\"b", Err("has text after a closing quote")),
            ("\"a", Err("has a quote that is not closed")),
        ];
        for (text, expected) in cases {
            let expected = expected
                .map(|(schema, name)| Relation::Table { schema: schema.map(str::to_owned), name: name.to_owned() });
            assert_eq!(table(text), expected, "{text}");
        }
        assert!(table("a\u{0}b").is_err());
    }

    #[test]
    fn trailing_semicolons_of_a_query_are_trimmed() {
        let cases = [
            ("select 1", Some("select 1")),
            ("\n select 1 ;\n;; ", Some("select 1")),
            ("select ';'", Some("select ';'")),
            (" ; ", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|sql| Relation::Query { sql: sql.to_owned() });
            assert_eq!(query(text).ok(), expected, "{text}");
        }
    }
}
