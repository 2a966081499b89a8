//! Exports with `tables`: one export for each table that is meant, before anything is run. Pure.
//! It must not ask a source, nor know how a run works: what comes out differs in nothing from exports with `table`.

use rivet_plugin_api::ListedTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{Config, ExportConfig, Tables};
use crate::error::RunError;

/// Longest name of a group's export, bytes: it becomes part of file names.
pub(crate) const MAX_NAME_BYTES: usize = 100;

/// The config with an export for each table.
pub struct Expanded {
    /// No export of it has `tables`.
    pub config: Config,
    /// One sentence for each pattern that excludes nothing, and for each export that leaves out what may not be read, or
    /// what a pattern would match if it were a table.
    pub warnings: Vec<String>,
}

/// Puts an export for each table in the place of exports with `tables`.
///
/// # Errors
/// `Impossible` when a pattern matches nothing, nothing that may be read is left, or two exports get one name.
pub fn expand(config: &Config, listed: &[ListedTable]) -> Result<Expanded, RunError> {
    let mut exports: Vec<ExportConfig> = Vec::new();
    let mut warnings = Vec::new();
    for export in &config.exports {
        let Some(tables) = &export.group() else {
            exports.push(export.clone());
            continue;
        };
        let meant = meant(&export.name, tables, listed)?;
        let (readable, closed): (Vec<_>, Vec<_>) = meant.into_iter().partition(|table| table.readable);
        let names: Vec<String> = closed.iter().map(|table| table.relation().label()).collect();
        if readable.is_empty() {
            return Err(RunError::Impossible {
                what: format!("export '{}' means {}, which the role may not read", export.name, names.join(", ")),
                hint: "grant SELECT on the tables, and USAGE on their schema".to_owned(),
            });
        }
        for idle in tables.except.iter().filter(|pattern| !listed.iter().any(|table| pattern.matches(table))) {
            let text = idle.text();
            warnings.push(format!("'{text}' in `exclude_tables` of export '{}' excludes no table", export.name));
        }
        if !names.is_empty() {
            let names = names.join(", ");
            warnings.push(format!("export '{}' leaves out what the role may not read: {names}", export.name));
        }
        let passed: Vec<String> =
            listed.iter().filter(|table| tables.pass_over(table)).map(|table| table.relation().label()).collect();
        if !passed.is_empty() {
            let passed = passed.join(", ");
            warnings.push(format!(
                "export '{}' leaves out what is no table, and is read when named whole: {passed}",
                export.name
            ));
        }
        let of = |table: &ListedTable| export.of_table(name(&export.name, table), table.relation());
        exports.extend(readable.into_iter().map(of));
    }
    for (i, one) in exports.iter().enumerate() {
        if exports[..i].iter().any(|before| before.name == one.name) {
            return Err(RunError::Impossible {
                what: format!("two exports are called '{}', one of them made by `tables`", one.name),
                hint: "give the export with `tables` another name".to_owned(),
            });
        }
    }
    Ok(Expanded { config: Config { exports, ..config.clone() }, warnings })
}

/// The tables that an export means, in the order of the list. Each pattern means at least one.
fn meant<'l>(export: &str, tables: &Tables, listed: &'l [ListedTable]) -> Result<Vec<&'l ListedTable>, RunError> {
    if let Some(idle) = tables.patterns.iter().find(|pattern| !listed.iter().any(|table| pattern.matches(table))) {
        return Err(RunError::Impossible {
            what: format!("no table matches '{}' in `tables` of export '{export}'", idle.text()),
            hint: idle.nearest(listed),
        });
    }
    let meant: Vec<&ListedTable> = listed.iter().filter(|table| tables.mean(table)).collect();
    if meant.is_empty() {
        return Err(RunError::Impossible {
            what: format!("`exclude_tables` of export '{export}' leaves no table"),
            hint: "remove a pattern from it".to_owned(),
        });
    }
    Ok(meant)
}

/// `export.schema.table`: what the export of a table is called in state, manifests and file names, run after run. A name
/// that cannot stand there as it is, is made to fit and told apart from all others by a digest.
fn name(export: &str, table: &ListedTable) -> String {
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let parts: Vec<&str> = table.schema.as_deref().into_iter().chain([table.name.as_str()]).collect();
    let whole = format!("{export}.{}", parts.join("."));
    if parts.iter().all(|part| plain(part)) && whole.len() <= MAX_NAME_BYTES {
        return whole;
    }
    told_apart(&whole, &parts.join("\0"), MAX_NAME_BYTES)
}

/// A text as part of a path: letters, digits, `_`, `-` and `.`, at most so many bytes, with a digest of `identity`.
pub(crate) fn told_apart(text: &str, identity: &str, max_bytes: usize) -> String {
    let digest = format!("-{:08x}", xxh3_64(identity.as_bytes()) >> 32);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let fitting: String = text.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    format!("{}{digest}", &fitting[..fitting.len().min(max_bytes - digest.len())])
}

/// What `{table}` stands for in a path: the name of the table, unless that would lead elsewhere.
pub fn path_part(name: &str) -> String {
    let harmless = !name.starts_with('.') && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control());
    if harmless { name.to_owned() } else { told_apart(name, name, MAX_NAME_BYTES).replacen('.', "_", 1) }
}

/// Whether an export of that name was made of the one called `group`, by `tables`.
pub fn is_made_of(name: &str, group: &str) -> bool {
    name.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rivet_plugin_api::TableKind;

    use super::*;
    use crate::config::{Params, parse};

    fn listed(schema: Option<&str>, name: &str, readable: bool) -> ListedTable {
        let schema = schema.map(str::to_owned);
        ListedTable { schema, name: name.to_owned(), kind: TableKind::Table, readable, in_search_path: true }
    }

    fn config(exports: &str) -> Config {
        let yaml = format!("source: {{type: s}}\ndefaults: {{destination: {{type: d}}}}\nexports:\n{exports}");
        parse(&yaml, Path::new(""), &|_| None, &Params::new()).expect("it is right")
    }

    fn expanded(exports: &str, tables: &[ListedTable]) -> Result<(Vec<String>, Vec<String>), String> {
        let found = expand(&config(exports), tables).map_err(|e| format!("{e}; {}", e.hint().unwrap_or_default()))?;
        assert!(found.config.exports.iter().all(|e| e.tables.is_none()));
        let shown = |e: &ExportConfig| format!("{} = {}", e.name, e.relation.label());
        Ok((found.config.exports.iter().map(shown).collect(), found.warnings))
    }

    #[test]
    fn each_table_becomes_an_export_in_the_place_of_its_group() {
        let tables = [listed(Some("s"), "a", true), listed(Some("s"), "b", true), listed(Some("s"), "log", true)];
        let exports =
            "- {name: x, table: t}\n- {name: all, tables: [s.*], exclude_tables: [s.l*]}\n- {name: y, table: u}";
        let (names, warnings) = expanded(exports, &tables).expect("they match");
        assert_eq!(names, ["x = t", "all.s.a = s.a", "all.s.b = s.b", "y = u"]);
        assert!(warnings.is_empty());
    }

    #[test]
    fn what_may_not_be_read_is_named() {
        let tables = [listed(Some("s"), "a", true), listed(Some("s"), "b", false)];
        let (names, warnings) = expanded("- {name: all, tables: ['*']}", &tables).expect("one may be read");
        assert_eq!(names, ["all.s.a = s.a"]);
        assert_eq!(warnings, ["export 'all' leaves out what the role may not read: s.b"]);
        let refused = expanded("- {name: all, tables: [b]}", &tables).expect_err("none is left");
        assert!(refused.contains("means s.b, which the role may not read; grant SELECT"), "{refused}");
    }

    #[test]
    fn an_exclusion_of_nothing_is_said() {
        let tables = [listed(Some("sales"), "a", true), listed(Some("sales"), "b_tmp", true)];
        let pick = "- {name: all, tables: [sales.*], exclude_tables: [sales.*_tmp, archive.*]}";
        let (names, warnings) = expanded(pick, &tables).expect("one is left");
        assert_eq!(names, ["all.sales.a = sales.a"]);
        assert_eq!(warnings, ["'archive.*' in `exclude_tables` of export 'all' excludes no table"]);
    }

    #[test]
    fn patterns_that_mean_nothing_are_errors() {
        let tables = [listed(Some("sales"), "a", true)];
        let said = |exports: &str| expanded(exports, &tables).expect_err("nothing is left");
        let idle = said("- {name: all, tables: [sales.*, sale.*]}");
        assert_eq!(idle, "no table matches 'sale.*' in `tables` of export 'all'; did you mean 'sales'?");
        assert!(said("- {name: all, tables: [sales.*], exclude_tables: [a]}").contains("leaves no table"));
        let twice = said("- {name: all.sales.a, table: a}\n- {name: all, tables: [sales.*]}");
        assert!(twice.contains("two exports are called 'all.sales.a'"), "{twice}");
    }

    #[test]
    fn every_table_gets_a_name_of_its_own_that_a_file_can_have() {
        let long = "t".repeat(70);
        let tables = [
            listed(Some("s"), "a b", true),
            listed(Some("s"), "a_b", true),
            listed(Some("s.a"), "b", true),
            listed(Some("s"), "a.b", true),
            listed(Some("s"), "../../x", true),
            listed(Some(&long), &long, true),
            listed(None, "plain", true),
        ];
        let names: Vec<String> = tables.iter().map(|table| name("all", table)).collect();
        assert_eq!((names[1].as_str(), names[6].as_str()), ("all.s.a_b", "all.plain"));
        for (i, name) in names.iter().enumerate() {
            assert_eq!(crate::config::name_problem(name), None, "{name}");
            assert!(is_made_of(name, "all") && !is_made_of(name, "al"), "{name}");
            assert!(!names[..i].contains(name), "{name}");
        }
        for hostile in ["../../x", "..", ".", "a/b", "a\\b", ".hidden"] {
            let part = path_part(hostile);
            assert!(!part.contains('/') && !part.contains('\\') && !part.starts_with('.'), "{part}");
        }
        assert_eq!(path_part("Order Details"), "Order Details");
    }
}
