//! What commands about the state need of a config: where the state is, and which exports there are. No secret is read, no
//! parameter is asked for, no query opened. It must not judge the rest of the config: a run does.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrors};
use super::expand::{Params, Variables};
use super::file::StateConfig;
use super::load::{prepare, text_of};
use super::mode::ModeWord;
use super::node::{Entry, Node, Value};
use super::read::Reader;
use super::report::Report;
use super::yaml::{self, Locator};

/// A config as commands about the state see it.
#[derive(Debug)]
pub struct Outline {
    /// Where the state is kept.
    pub state: PathBuf,
    /// Its exports, in the order of the file.
    pub exports: Vec<OutlinedExport>,
}

/// An export as commands about the state see it.
#[derive(Debug)]
pub struct OutlinedExport {
    /// Its name.
    pub name: String,
    /// It has `tables`: what runs are the exports that are made of it.
    pub is_group: bool,
    /// The columns of its cursor; none where it is of a mode without one.
    pub cursor: Vec<String>,
}

/// Keys of exports and defaults that say what an outline has.
const KEYS: [&str; 4] = ["name", "mode", "cursor_column", "cursor_fallback_column"];

/// Reads the outline of a config file.
///
/// # Errors
/// What is wrong with the file as a whole, with `state`, and with the variables in what is read.
pub fn outline(path: &Path) -> Result<Outline, ConfigErrors> {
    let text = text_of(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut root = kept(&yaml::tree(text)?);
    let (params, asked) = (Params::new(), RefCell::default());
    let variables = Variables { env: &|name| std::env::var(name).ok(), params: &params, asked: &asked };
    let mut report = Report::new(Locator::new(text));
    prepare(&mut root, "", false, variables, &mut report);
    let base_dir = path.parent().unwrap_or(Path::new(""));
    let mut reader = Reader { report: &mut report, base_dir, variables };
    let state = reader.block(&root, "state").and_then(|block| reader.typed::<StateConfig>(&block, "state"));
    let exports = exports(&root);
    if exports.is_empty() {
        report.push(ConfigError::NoExports);
    }
    if !report.errors.is_empty() {
        return Err(report.finish());
    }
    Ok(Outline { state: variables.below(base_dir, &state.unwrap_or_default().path), exports })
}

fn exports(root: &Node) -> Vec<OutlinedExport> {
    let Some(Value::List(items)) = root.get("exports").map(|entry| &entry.node.value) else { return Vec::new() };
    let inherited = |node: &Node| {
        let own = ["table", "query", "query_file"].iter().any(|key| node.get(key).is_some());
        root.get("defaults.tables").filter(|_| !own)
    };
    let outlined = |node: &Node| {
        let text = |key: &str| node.text(key).or_else(|| root.text(&format!("defaults.{key}")));
        let is_incremental = text("mode") == Some(ModeWord::Incremental.as_str());
        let columns = ["cursor_column", "cursor_fallback_column"].into_iter().filter_map(text);
        Some(OutlinedExport {
            name: node.text("name")?.to_owned(),
            is_group: node.get("tables").or_else(|| inherited(node)).is_some(),
            cursor: columns.filter(|_| is_incremental).map(str::to_owned).collect(),
        })
    };
    items.iter().filter_map(outlined).collect()
}

/// The tree without what an outline leaves alone.
fn kept(root: &Node) -> Node {
    let Value::Map(entries) = &root.value else { return root.clone() };
    let kept = entries.iter().filter_map(|entry| match (entry.key.as_str(), &entry.node.value) {
        ("state", _) => Some(entry.clone()),
        ("defaults", _) => Some(Entry { node: of_export(&entry.node), ..entry.clone() }),
        ("exports", Value::List(items)) => {
            let items = Value::List(items.iter().map(of_export).collect());
            Some(Entry { node: Node { value: items, ..entry.node.clone() }, ..entry.clone() })
        }
        _ => None,
    });
    Node { value: Value::Map(kept.collect()), ..root.clone() }
}

fn of_export(node: &Node) -> Node {
    let Value::Map(entries) = &node.value else { return node.clone() };
    let kept = entries.iter().filter_map(|entry| match entry.key.as_str() {
        "tables" | "table" | "query" | "query_file" => Some(Entry { node: Value::Bool(true).into(), ..entry.clone() }),
        key => KEYS.contains(&key).then(|| entry.clone()),
    });
    Node { value: Value::Map(kept.collect()), ..node.clone() }
}
