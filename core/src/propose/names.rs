//! What exports are called, and how a config writes the name of a relation.
//! It must not know what is exported.

use rivet_plugin_api::ListedTable;

use super::Refusal;
use crate::tables::{MAX_NAME_BYTES, told_apart};

/// A relation as `table` has it.
///
/// # Errors
/// A name that no config can hold.
pub(super) fn written(table: &ListedTable) -> Result<String, Refusal> {
    let parts = table.schema.as_deref().into_iter().chain([table.name.as_str()]);
    if parts.clone().any(|part| part.contains(|c: char| c.is_control())) {
        let hint = "export a view of it that has another name, or use `query`".to_owned();
        return Err(Refusal { why: "its name has a control character".to_owned(), hint: Some(hint) });
    }
    Ok(parts.map(part).collect::<Vec<_>>().join("."))
}

fn part(name: &str) -> String {
    let plain = !name.contains(['.', '"']) && name.trim() == name && !name.is_empty();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A name for each: the table's, after its schema's where that is part of the name; no two are the same to a file system
/// that does not tell large letters from small ones.
pub(super) fn exports(tables: &[&ListedTable]) -> Vec<String> {
    let plain: Vec<String> = tables.iter().map(|table| plain(table)).collect();
    let is_taken = |i: usize| {
        let same = |(j, name): (usize, &String)| j != i && name.eq_ignore_ascii_case(&plain[i]);
        plain.iter().enumerate().any(same)
    };
    let name = |(i, table): (usize, &&ListedTable)| {
        if is_taken(i) || plain[i].len() > MAX_NAME_BYTES {
            return told_apart(&plain[i], &identity(table), MAX_NAME_BYTES);
        }
        plain[i].clone()
    };
    tables.iter().enumerate().map(name).collect()
}

fn identity(table: &ListedTable) -> String {
    format!("{}\0{}", table.schema.as_deref().unwrap_or_default(), table.name)
}

fn plain(table: &ListedTable) -> String {
    let schema = table.schema.as_deref().filter(|_| !table.in_search_path);
    let whole = schema.into_iter().chain([table.name.as_str()]).collect::<Vec<_>>().join(".");
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' };
    let mut name: String = whole.chars().map(allowed).collect();
    if name.starts_with(['.', '-']) {
        name.insert(0, '_');
    }
    name
}
