//! Reading a config: its text, the variables in it, and the blocks that come of it.
//! It must not know which keys there are, but for `query`, where a dollar is SQL's own.

use std::cell::RefCell;
use std::path::Path;

use super::error::{At, ConfigError, ConfigErrors};
use super::expand::{Params, Variables, expand, expand_query};
use super::file::Config;
use super::files::{self, Unread};
use super::misplaced::explain;
use super::node::{Node, Value, item, join};
use super::read::Reader;
use super::report::Report;
use super::suggest::did_you_mean;
use super::yaml::{self, Locator};

/// Reads a config file; variables come from `params` (in queries) and from the environment of the process.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, params: &Params) -> Result<Config, ConfigErrors> {
    let text = text_of(path)?;
    parse(&text, path.parent().unwrap_or(Path::new("")), &|name| std::env::var(name).ok(), params)
}

/// The text of a config file.
pub(super) fn text_of(path: &Path) -> Result<String, ConfigError> {
    let bytes = files::read(path, yaml::MAX_BYTES).map_err(|e| match e {
        Unread::TooLarge => ConfigError::TooLarge { limit_bytes: yaml::MAX_BYTES },
        Unread::Failed(cause) => ConfigError::File { file: path.display().to_string(), cause },
    })?;
    String::from_utf8(bytes).map_err(|e| {
        let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|b| **b == b'\n').count();
        ConfigError::NotUtf8 { at: At::line(u32::try_from(line).ok()) }
    })
}

/// Reads a config from text. `base_dir` is the folder that relative paths start from; `env` answers for variables.
/// Touches nothing else but the files that `url_file` and `query_file` name.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(
    text: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    params: &Params,
) -> Result<Config, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut root = yaml::tree(text)?;
    let asked = RefCell::default();
    let variables = Variables { env, params, asked: &asked };
    let mut report = Report::new(Locator::new(text));
    prepare(&mut root, "", false, variables, &mut report);
    let config = Reader { report: &mut report, base_dir, variables }.config(&root);
    let config = config.filter(|_| report.errors.is_empty()).ok_or_else(|| {
        let mut errors = report.finish();
        explain(&mut errors.0);
        errors
    })?;
    let asked = asked.borrow();
    let unused = params.keys().filter(|key| !asked.contains(*key));
    let unused: Vec<ConfigError> = unused
        .map(|key| {
            let hint = did_you_mean(key, asked.iter().map(String::as_str));
            ConfigError::UnusedParam { key: key.clone(), hint }
        })
        .collect();
    if unused.is_empty() { Ok(config) } else { Err(ConfigErrors(unused)) }
}

/// Expands variables and drops keys that stand twice, both with their errors. `is_export` says whether a `query` here is that of
/// an export, not an option of some plugin.
pub(super) fn prepare(node: &mut Node, path: &str, is_export: bool, variables: Variables<'_>, report: &mut Report) {
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries.iter_mut() {
                let inner = join(path, &entry.key);
                if let Some(first) = entry.first {
                    let (at, first_line) = (report.at(inner.clone(), entry.id), report.locator.line(first));
                    report.push(ConfigError::DuplicateKey { at, first_line });
                }
                if let Value::Text(_) = entry.node.value {
                    let is_query = is_export && entry.key == "query";
                    expand_text(&mut entry.node, entry.id, &inner, is_query, variables, report);
                } else {
                    prepare(&mut entry.node, &inner, inner == "defaults", variables, report);
                }
            }
            entries.retain(|e| e.first.is_none());
        }
        Value::List(items) => {
            for (i, node) in items.iter_mut().enumerate() {
                let inner = item(path, i, node);
                prepare(node, &inner, path == "exports", variables, report);
            }
        }
        Value::Text(_) => expand_text(node, node.id, path, false, variables, report),
        _ => {}
    }
}

fn expand_text(node: &mut Node, id: u32, path: &str, is_query: bool, variables: Variables<'_>, report: &mut Report) {
    let Value::Text(text) = &node.value else { return };
    let expanded = if is_query { expand_query(text, variables) } else { expand(text, false, variables.env) };
    match expanded {
        Ok(None) => {}
        Ok(Some(expanded)) => {
            let written = std::mem::replace(&mut node.value, Value::Text(expanded.text));
            if let (true, Value::Text(written)) = (expanded.from_env, written) {
                node.from_env = true;
                node.written = Some(written);
            }
        }
        Err(problem) => {
            let at = report.at(path, id);
            report.push(problem.into_error(at));
            node.value = Value::Failed;
        }
    }
}
