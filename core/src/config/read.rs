//! From the tree to the config: variables first, then block by block, collecting all errors.
//! It must not know YAML, nor what the keys inside a block mean.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::error::forget_misspelled;
use super::expand::{expand, expand_query};
use super::load::{Locator, Variables};
use super::node::{Node, Value, item, join, name_problem};
use super::options::RESERVED_SOURCE_KEYS;
use super::section::{Cx, Section};
use super::{
    Config, ConfigError, ConfigErrors, ExportConfig, PluginsConfig, StateConfig, columns, export, source, tuning,
};

/// Keys of the file.
pub(super) const ROOT_KEYS: &[&str] = &["source", "defaults", "exports", "plugins", "state"];
pub(super) const PLUGINS_KEYS: &[&str] = &["dirs"];
pub(super) const STATE_KEYS: &[&str] = &["url"];

/// Whether a word is a key of the config, in any of its blocks; options of plugins are not among them.
pub fn is_key(word: &str) -> bool {
    let blocks = [
        ROOT_KEYS,
        PLUGINS_KEYS,
        STATE_KEYS,
        RESERVED_SOURCE_KEYS,
        source::TLS_KEYS,
        export::SHARED_KEYS,
        tuning::KEYS,
        columns::POLICY_KEYS,
    ];
    blocks.iter().any(|keys| keys.contains(&word))
}
/// State file of configs that name none.
const DEFAULT_STATE: &str = ".rivet_state.db";

/// Reads the whole config.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub(super) fn config(
    mut root: Node,
    locator: Locator,
    base_dir: &Path,
    variables: Variables<'_>,
) -> Result<Config, ConfigErrors> {
    let mut cx = Cx { locator, base_dir, variables, errors: Vec::new() };
    prepare(&mut root, "", Place { depth: 0, top: Top::Other }, &mut cx);
    let config = Section::of(String::new(), root.id, &root, &mut cx).and_then(|root| blocks(&root, &mut cx));
    let mut errors = cx.errors;
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        _ => {
            forget_misspelled(&mut errors);
            errors.sort_by_key(ConfigError::line);
            Err(ConfigErrors(errors))
        }
    }
}

fn blocks(root: &Section, cx: &mut Cx) -> Option<Config> {
    root.refuse_unknown(ROOT_KEYS, cx);
    let defaults = root.section("defaults", cx).map(|block| {
        block.refuse_unknown(export::SHARED_KEYS, cx);
        export::Patch::read(&block, cx)
    });
    if root.get("source").is_none() {
        root.missing("source", "say where to read from: `source: {type: PLUGIN, url_env: DATABASE_URL}`", cx);
    }
    let source = root.section("source", cx).map(|block| source::read(&block, cx));
    let (source, inherited) = source.unzip();
    let exports = exports(root, &defaults.unwrap_or_default(), &inherited.unwrap_or_default(), cx);
    let plugins = root.section("plugins", cx).map(|block| plugins(&block, cx)).unwrap_or_default();
    let state = root.section("state", cx).and_then(|block| state(&block, cx));
    let state = state.unwrap_or_else(|| StateConfig { path: cx.base_dir.join(DEFAULT_STATE) });
    Some(Config { source: source?, exports, plugins, state })
}

fn exports(root: &Section, defaults: &export::Patch, source: &source::Inherited, cx: &mut Cx) -> Vec<ExportConfig> {
    let items = match root.get("exports") {
        None => &[],
        Some(_) => match root.list("exports", cx) {
            Some(items) => items,
            None => return Vec::new(),
        },
    };
    if items.is_empty() {
        cx.push(ConfigError::NoExports);
    }
    let mut names: HashMap<String, u32> = HashMap::new();
    let mut all = Vec::with_capacity(items.len());
    for (i, node) in items.iter().enumerate() {
        let Some(block) = Section::of(item("exports", i, node), node.id, node, cx) else { continue };
        let known: Vec<&str> = [&["name"], export::SHARED_KEYS].concat();
        block.refuse_unknown(&known, cx);
        let name = name(&block, &mut names, cx);
        let export = export::Patch::read(&block, cx).settle(name, &block, defaults, source, cx);
        all.push(export);
    }
    all
}

/// The name of an export; empty when there is no usable one.
fn name(block: &Section, names: &mut HashMap<String, u32>, cx: &mut Cx) -> String {
    if block.get("name").is_none() {
        block.missing("name", "each export has a name of its own", cx);
    }
    let Some(text) = block.text("name", cx) else { return String::new() };
    if let Some(problem) = name_problem(text.value) {
        cx.bad(&text.path, text.id, problem, Some("the name becomes part of file names"));
    } else if let Some(first) = names.get(text.value) {
        let first_line = cx.locator.line(*first);
        let at = cx.at(block.path.clone(), text.id);
        cx.push(ConfigError::DuplicateName { at, first_line });
    } else {
        names.insert(text.value.to_owned(), text.id);
    }
    text.value.to_owned()
}

fn plugins(block: &Section, cx: &mut Cx) -> PluginsConfig {
    // Who pins plugins must not believe that they are pinned.
    let pinned = block.get("lockfile");
    if let Some(entry) = pinned {
        let at = cx.at(block.path_of("lockfile"), entry.id);
        cx.push(ConfigError::NotBuilt { at, what: "a lock file of plugins".to_owned() });
    }
    let not_built: &[&str] = if pinned.is_some() { &["lockfile"] } else { &[] };
    block.refuse_unknown(&[PLUGINS_KEYS, not_built].concat(), cx);
    let mut dirs = Vec::new();
    for (i, node) in block.list("dirs", cx).unwrap_or_default().iter().enumerate() {
        match &node.value {
            Value::Text(text) if !text.is_empty() => dirs.push(cx.base_dir.join(text)),
            _ => cx.wrong_type(&format!("{}[{i}]", block.path_of("dirs")), node.id, node, "the path of a folder"),
        }
    }
    PluginsConfig { dirs }
}

fn state(block: &Section, cx: &mut Cx) -> Option<StateConfig> {
    block.refuse_unknown(STATE_KEYS, cx);
    let url = block.word("url", cx)?;
    let file = ["sqlite://", "sqlite:"].iter().find_map(|scheme| url.value.strip_prefix(scheme)).unwrap_or(url.value);
    if file.is_empty() || file.contains("://") {
        cx.bad(&url.path, url.id, "must be the path of a SQLite file", Some("write a path, or sqlite:PATH"));
        return None;
    }
    Some(StateConfig { path: cx.base_dir.join(PathBuf::from(file)) })
}

/// Where in the file a value is, as far as it matters for `$$`.
#[derive(Clone, Copy)]
struct Place {
    depth: u32,
    top: Top,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Top {
    Exports,
    Defaults,
    Other,
}

impl Place {
    fn key(self, key: &str) -> Self {
        let top = match (self.depth, key) {
            (0, "exports") => Top::Exports,
            (0, "defaults") => Top::Defaults,
            (0, _) => Top::Other,
            _ => self.top,
        };
        Self { depth: self.depth + 1, top }
    }

    /// Whether a `query` key here is that of an export, not an option of some plugin.
    fn is_export(self) -> bool {
        matches!((self.top, self.depth), (Top::Exports, 3) | (Top::Defaults, 2))
    }
}

/// Expands variables and drops keys that stand twice, both with their errors.
fn prepare(node: &mut Node, path: &str, place: Place, cx: &mut Cx) {
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries.iter_mut() {
                let inner = join(path, &entry.key);
                if let Some(first) = entry.first {
                    let first_line = cx.locator.line(first);
                    let at = cx.at(inner.clone(), entry.id);
                    cx.push(ConfigError::DuplicateKey { at, first_line });
                }
                let place = place.key(&entry.key);
                if let Value::Text(_) = entry.node.value {
                    let is_query = entry.key == "query" && place.is_export();
                    expand_text(&mut entry.node, entry.id, &inner, is_query, cx);
                } else {
                    prepare(&mut entry.node, &inner, place, cx);
                }
            }
            entries.retain(|e| e.first.is_none());
        }
        Value::List(items) => {
            for (i, node) in items.iter_mut().enumerate() {
                let inner = item(path, i, node);
                let place = Place { depth: place.depth + 1, ..place };
                prepare(node, &inner, place, cx);
            }
        }
        Value::Text(_) => expand_text(node, node.id, path, false, cx),
        _ => {}
    }
}

fn expand_text(node: &mut Node, id: u32, path: &str, is_query: bool, cx: &mut Cx) {
    let Value::Text(text) = &node.value else { return };
    let expanded = if is_query { expand_query(text, cx.variables) } else { expand(text, false, cx.variables.env) };
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
            let at = cx.at(path, id);
            cx.push(problem.into_error(at));
            node.value = Value::Failed;
        }
    }
}
