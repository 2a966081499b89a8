//! What an export reads: the grammar of `table`, and the tidying of `query`.
//! It must not know SQL, nor how an engine folds or quotes names.

use std::io::Read as _;
use std::path::{Component, Path};

use rivet_plugin_api::Relation;

use super::expand::expand_query;
use super::load::cause;
use super::node::Value;
use super::patterns::{TablePattern, Tables};
use super::section::{Cx, Section, Text};
use crate::file_kind;

/// Largest file that holds a query, bytes.
const MAX_QUERY_BYTES: u64 = 1 << 20;

/// A relation, and what of it may be kept: values of variables are not in there.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) relation: Relation,
    pub(super) written: Relation,
}

/// The relation of an export, from `table`, `query` or `query_file`.
pub(super) fn read(block: &Section, cx: &mut Cx) -> Option<Found> {
    let mut written = None;
    let (text, found, hint) = if let Some(text) = block.text("table", cx) {
        let found = table(text.value);
        (text, found, "write `name` or `schema.name`; a part with dots goes in double quotes")
    } else if let Some(text) = block.text("query", cx) {
        let found = query(text.value);
        written = text.written.map(str::to_owned);
        (text, found, "write a SELECT statement")
    } else {
        let text = block.word("query_file", cx)?;
        let (sql, as_written) = query_file(&text, cx)?;
        let found = query(&sql);
        written = as_written;
        (text, found, "the file must hold a SELECT statement")
    };
    match found {
        Ok(relation) => {
            let written = written.and_then(|sql| query(&sql).ok()).unwrap_or_else(|| relation.clone());
            Some(Found { relation, written })
        }
        Err(problem) => {
            cx.bad(&text.path, text.id, problem, Some(hint));
            None
        }
    }
}

/// The text of a query file, variables filled in, and as it stands there if that differs. The file lies in the config's folder or below.
fn query_file(text: &Text, cx: &mut Cx) -> Option<(String, Option<String>)> {
    let path = Path::new(text.value);
    if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        let hint = "write a path that starts from the config's folder, without '..'";
        cx.bad(&text.path, text.id, "leaves the config's folder", Some(hint));
        return None;
    }
    let mut bytes = Vec::new();
    let file = file_kind::open(&cx.base_dir.join(path));
    let read = file.and_then(|file| file.take(MAX_QUERY_BYTES + 1).read_to_end(&mut bytes));
    let problem = match read {
        Err(e) => Some(format!("names a file that cannot be read: {}", cause(&e))),
        Ok(_) if bytes.len() as u64 > MAX_QUERY_BYTES => Some("names a file of more than 1 MiB".to_owned()),
        Ok(_) => None,
    };
    let sql = String::from_utf8(bytes);
    let problem = problem.or_else(|| sql.is_err().then(|| "names a file that is not UTF-8".to_owned()));
    if let Some(problem) = problem {
        cx.bad(&text.path, text.id, problem, None);
        return None;
    }
    let sql = sql.ok()?;
    match expand_query(&sql, cx.variables) {
        Ok(Some(expanded)) if expanded.from_env => Some((expanded.text, Some(sql))),
        Ok(_) => Some((sql, None)),
        Err(problem) => {
            let at = cx.at(text.path.clone(), text.id);
            cx.push(problem.into_error(at));
            None
        }
    }
}

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

/// The patterns of `tables` and `exclude_tables`.
pub(super) fn tables(block: &Section, cx: &mut Cx) -> Option<Tables> {
    if let (None, Some(entry)) = (block.get("tables"), block.get("exclude_tables")) {
        let hint = Some("write `tables` too, such as `tables: [public.*]`, or remove the key");
        cx.bad(&block.path_of("exclude_tables"), entry.id, "means nothing without `tables`", hint);
    }
    block.get("tables")?;
    let patterns = patterns("tables", block, cx)?;
    let except = block.get("exclude_tables").and_then(|_| self::patterns("exclude_tables", block, cx));
    Some(Tables { patterns, except: except.unwrap_or_default() })
}

fn patterns(key: &str, block: &Section, cx: &mut Cx) -> Option<Vec<TablePattern>> {
    let entry = block.get(key)?;
    let nodes = block.list(key, cx)?;
    if nodes.is_empty() {
        cx.bad(&block.path_of(key), entry.id, "is empty", Some("write a pattern such as `public.*`"));
        return None;
    }
    let mut all = Vec::with_capacity(nodes.len());
    for (i, node) in nodes.iter().enumerate() {
        let path = format!("{}[{i}]", block.path_of(key));
        match &node.value {
            Value::Text(text) => match TablePattern::parse(text) {
                Ok(pattern) => all.push(pattern),
                Err(problem) => {
                    let hint =
                        "write a pattern such as `public.*` or `order_?`; a part with dots goes in double quotes";
                    cx.bad(&path, node.id, problem, Some(hint));
                }
            },
            _ => cx.wrong_type(&path, node.id, node, "a pattern of table names"),
        }
    }
    Some(all)
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
