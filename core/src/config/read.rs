//! From the tree to the config: blocks are checked, laid over each other, given their types, and completed by what the types
//! cannot say alone. It must not know YAML, nor what a key is for.

use std::collections::HashMap;
use std::path::{Component, Path};

use rivet_plugin_api::Relation;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::check::{Checker, Place};
use super::error::ConfigError;
use super::expand::{Variables, expand_query};
use super::export::{CompressionProfile, DEFAULT_FORMAT, ExportConfig, Written};
use super::file::{Config, PluginsConfig, StateConfig, schema, source_keys};
use super::files::{self, Unread};
use super::merge::merge;
use super::node::{Entry, NOWHERE, Node, Value, item, join};
use super::notifications::NotificationsConfig;
use super::options::Options;
use super::relation;
use super::report::Report;
use super::schema::{properties, texts};
use super::source::{Environment, SourceConfig};
use super::tuning::{Named, Profile};

/// Largest file that holds a query, bytes.
const MAX_QUERY_BYTES: usize = 1 << 20;

/// Keys that say where the server is.
const ADDRESS: [&str; 4] = ["url", "url_env", "url_file", "host"];
/// Keys that say the rest of it, beside `host`.
const BY_KEYS: [&str; 5] = ["port", "user", "password", "password_env", "database"];
/// Keys of an export that are options of its format.
const SHORTCUTS: [&str; 2] = ["compression", "compression_level"];

/// Makes a config of a tree whose variables are expanded.
pub(super) struct Reader<'a> {
    pub(super) report: &'a mut Report,
    pub(super) base_dir: &'a Path,
    pub(super) variables: Variables<'a>,
}

/// An export's block.
pub(super) struct Block<'n> {
    pub(super) path: &'n str,
    /// What stands in it.
    pub(super) own: &'n Node,
    /// With the levels below it.
    pub(super) merged: &'n Node,
}

impl Reader<'_> {
    /// The config, unless it has no source; what is wrong is in the report.
    pub(super) fn config(&mut self, root: &Node) -> Option<Config> {
        if !matches!(root.value, Value::Map(_)) {
            self.report.wrong_type("", root.id, root, "a block of keys");
            return None;
        }
        self.unknown(root);
        let nothing = || Node::from(Value::Map(Vec::new()));
        let defaults = self.block(root, "defaults").unwrap_or_else(nothing);
        let (source, inherited) = self.source(root).unzip();
        let lowest = Node::from_json(&json!({ "format": { "type": DEFAULT_FORMAT } }));
        let inherited = merge(schema(), export_schema(), &lowest, &inherited.unwrap_or_else(nothing));
        let exports = self.exports(root, &merge(schema(), export_schema(), &inherited, &defaults));
        let plugins = self.block(root, "plugins").and_then(|block| self.typed::<PluginsConfig>(&block, "plugins"));
        let state = self.block(root, "state").and_then(|block| self.typed::<StateConfig>(&block, "state"));
        let summary = self.flag(root, "summary");
        let (mut plugins, mut state) = (plugins.unwrap_or_default(), state.unwrap_or_default());
        plugins.dirs.iter_mut().for_each(|dir| *dir = self.variables.below(self.base_dir, &*dir));
        state.path = self.variables.below(self.base_dir, &state.path);
        let parallel_exports = self.flag(root, "parallel_exports");
        let parallel_export_processes = self.flag(root, "parallel_export_processes");
        let notifications = self.notifications(root).unwrap_or_default();
        Some(Config {
            source: source?,
            exports,
            plugins,
            state,
            summary,
            parallel_exports,
            parallel_export_processes,
            notifications,
        })
    }

    fn notifications(&mut self, root: &Node) -> Option<NotificationsConfig> {
        let block = self.block(root, "notifications")?;
        let mut notifications: NotificationsConfig = self.typed(&block, "notifications")?;
        notifications.fetch(&block, self.variables, self.report);
        Some(notifications)
    }

    fn checker(&mut self) -> Checker<'static, '_> {
        Checker { root: schema(), report: &mut *self.report, partial: true, beside: &[] }
    }

    /// Reports keys of the file that are none.
    fn unknown(&mut self, root: &Node) {
        let strange = root.entries().iter().filter(|entry| !properties(schema()).contains_key(&entry.key));
        let mut strange = Node { value: Value::Map(strange.cloned().collect()), ..root.clone() };
        self.checker().block(schema(), &mut strange, &Place::new("", root.id));
    }

    /// A block of the file, checked.
    pub(super) fn block(&mut self, root: &Node, key: &str) -> Option<Node> {
        let entry = root.get(key)?;
        self.checked(&properties(schema())[key], &entry.node, key, entry.id)
    }

    /// Whether a key of the file says true.
    fn flag(&mut self, root: &Node, key: &str) -> bool {
        let Some(Entry { id, node, .. }) = root.get(key) else { return false };
        let mut node = Node { id: *id, ..node.clone() };
        self.checker().value(&properties(schema())[key], &mut node, &Place::new(key, *id));
        matches!(node.value, Value::Bool(true))
    }

    fn checked(&mut self, of: &'static Json, node: &Node, path: &str, id: u32) -> Option<Node> {
        let mut node = Node { id, ..node.clone() };
        self.checker().value(of, &mut node, &Place::new(path, id));
        matches!(node.value, Value::Map(_)).then_some(node)
    }

    /// What a block is as its type.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, block: &Node, path: &str) -> Option<T> {
        let typed = serde_json::from_value(block.to_json()?);
        if typed.is_err() && self.report.errors.is_empty() {
            let hint = Some("this is a defect of rivet: its schema takes what it cannot read");
            self.report.bad(path, block.id, "cannot be read", hint);
        }
        typed.ok()
    }

    /// The source, and what exports inherit from it.
    fn source(&mut self, root: &Node) -> Option<(SourceConfig, Node)> {
        let of = &properties(schema())["source"];
        let Some(entry) = root.get("source") else {
            self.checker().missing(schema(), "source", &Place::new("", root.id));
            return None;
        };
        if let Value::Map(_) = entry.node.value {
            self.required(of, &entry.node, &Place::new("source", entry.id));
        }
        let block = with_environment(&self.block(root, "source")?);
        self.host(&block);
        let settled = self.with_profile(&block);
        let mut source: SourceConfig = self.typed(&settled, "source")?;
        source.options = Options::of(&block, &source_keys(), &self.report.locator);
        source.fetch(&block, self.base_dir, self.variables, self.report);
        let inherited = ["tuning", "policies"].into_iter().filter_map(|key| block.get(key).cloned()).collect();
        Some((source, Value::Map(inherited).into()))
    }

    /// A server that is described key by key has an address.
    fn host(&mut self, block: &Node) {
        let has = |key: &&str| block.get(key).is_some();
        if BY_KEYS.iter().any(has) && !ADDRESS.iter().any(has) {
            let at = self.report.at("source.host", block.id);
            let hint = Some("name the server: `host: db.example.com`, or the folder of its socket".to_owned());
            self.report.push(ConfigError::MissingKey { at, hint });
        }
    }

    /// The block with its tuning over what its profile sets.
    fn with_profile(&mut self, block: &Node) -> Node {
        let of = &schema()["$defs"]["tuning"];
        let own = block.get("tuning").map(|entry| &entry.node).filter(|node| matches!(node.value, Value::Map(_)));
        let nothing = Value::Map(Vec::new()).into();
        let own = own.unwrap_or(&nothing);
        let profile = own.text("profile").and_then(|word| serde_json::from_value::<Profile>(word.into()).ok());
        let mut lowest = Node::from_json(&profile.unwrap_or_default().keys());
        self.checker().value(of, &mut lowest, &Place::new("tuning", NOWHERE));
        let mut tuning = merge(schema(), of, &lowest, own);
        let has = |key| own.get(key).is_some();
        let (max_value, memory, throttle) = (has("max_value_mb"), has("memory_mb"), has("throttle_ms"));
        let named = Named { max_value, memory, throttle };
        tuning.put(Entry::made("named", Value::Ready(json!(named)).into()));
        let mut block = block.clone();
        block.put(Entry::made("tuning", tuning));
        block
    }

    /// Reports keys that are missing, in this block and in those of it that are there.
    fn required(&mut self, of: &Json, node: &Node, place: &Place) {
        for key in texts(of, "required").filter(|key| node.get(key).is_none()) {
            self.checker().missing(of, key, place);
        }
        for (key, of) in properties(of) {
            if let Some(entry) = node.get(key).filter(|entry| matches!(entry.node.value, Value::Map(_))) {
                self.required(of, &entry.node, &place.key(key, entry.id));
            }
        }
    }

    fn exports(&mut self, root: &Node, base: &Node) -> Vec<ExportConfig> {
        let entry = root.get("exports");
        let items: &[Node] = match entry.map(|entry| &entry.node.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        };
        match entry {
            Some(entry) if !matches!(entry.node.value, Value::List(_)) => {
                self.report.wrong_type("exports", entry.id, &entry.node, "a list");
            }
            _ if items.is_empty() => self.report.push(ConfigError::NoExports),
            _ => {}
        }
        let mut names: HashMap<String, u32> = HashMap::new();
        let mut all = Vec::with_capacity(items.len());
        for (i, node) in items.iter().enumerate() {
            let path = item("exports", i, node);
            let Some(export) = self.export(node, base, &path) else { continue };
            if let Some(entry) = node.get("name").filter(|_| !export.name.is_empty()) {
                if let Some(first) = names.get(&export.name) {
                    let first_line = self.report.locator.line(*first);
                    let at = self.report.at(path, entry.id);
                    self.report.push(ConfigError::DuplicateName { at, first_line });
                } else {
                    names.insert(export.name.clone(), entry.id);
                }
            }
            all.push(export);
        }
        all
    }

    fn export(&mut self, node: &Node, base: &Node, path: &str) -> Option<ExportConfig> {
        let own = self.checked(export_schema(), node, path, node.id)?;
        let merged = with_shortcuts(&over(base, &own));
        self.required(export_schema(), &merged, &Place::new(path, node.id));
        let settled = self.with_profile(&merged);
        let mut export: ExportConfig = self.typed(&settled, path)?;
        let block = Block { path, own: &own, merged: &merged };
        for (key, plugin) in [("format", &mut export.format), ("destination", &mut export.destination)] {
            if let Some(Entry { id, node, .. }) = merged.get(key) {
                let node = Node { id: *id, ..node.clone() };
                plugin.options = Options::of(&node, &["type"], &self.report.locator);
            }
        }
        self.relation(&mut export, &block);
        self.rules(&export, &block);
        Some(export)
    }

    /// What is read, and what of it may be kept.
    fn relation(&mut self, export: &mut ExportConfig, block: &Block<'_>) {
        let written = |key: &str| block.merged.get(key).and_then(|entry| entry.node.written.clone());
        let mut as_written = written("query").and_then(|sql| relation::query(&sql).ok());
        let found = match (&export.table, &export.query, &export.query_file, export.group()) {
            (Some(relation), ..) | (None, Some(relation), ..) => Some(relation.clone()),
            (None, None, Some(file), _) => {
                let read = self.query_file(file, block);
                as_written = read.as_ref().and_then(|(_, written)| written.clone());
                read.map(|(relation, _)| relation)
            }
            (None, None, None, Some(tables)) => Some(Relation::Table { schema: None, name: tables.label() }),
            (None, None, None, None) => None,
        };
        let Some(found) = found else { return };
        let condition = export.condition.clone().map(|condition| written("where").unwrap_or(condition));
        export.written = Written { relation: as_written.unwrap_or_else(|| found.clone()), condition };
        export.relation = found;
    }

    /// The query that a file holds, variables filled in, and as it stands there if that differs. The file lies in the config's
    /// folder or below.
    fn query_file(&mut self, file: &str, block: &Block<'_>) -> Option<(Relation, Option<Relation>)> {
        let id = block.merged.get("query_file").map_or(NOWHERE, |entry| entry.id);
        let level = if block.own.get("query_file").is_some() { block.path } else { "defaults" };
        let key = join(level, "query_file");
        let path = Path::new(file);
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            let hint = "write a path that starts from the config's folder, without '..'";
            self.report.bad(&key, id, "leaves the config's folder", Some(hint));
            return None;
        }
        let read = files::read(&self.base_dir.join(path), MAX_QUERY_BYTES).map_err(|e| match e {
            Unread::TooLarge => "names a file of more than 1 MiB".to_owned(),
            Unread::Failed(cause) => format!("names a file that cannot be read: {cause}"),
        });
        let read = read.and_then(|b| String::from_utf8(b).map_err(|_| "names a file that is not UTF-8".to_owned()));
        let sql = read.map_err(|problem| self.report.bad(&key, id, problem, None)).ok()?;
        let expanded = expand_query(&sql, self.variables).map_err(|problem| {
            let at = self.report.at(key.clone(), id);
            self.report.push(problem.into_error(at));
        });
        let (text, written) = match expanded.ok()? {
            Some(expanded) if expanded.from_env => (expanded.text, relation::query(&sql).ok()),
            _ => (sql, None),
        };
        let hint = Some("the file must hold a SELECT statement");
        let query = relation::query(&text).map_err(|problem| self.report.bad(&key, id, problem, hint)).ok()?;
        Some((query, written))
    }
}

/// The block of the source with the profile that its environment stands for, unless it names one.
fn with_environment(block: &Node) -> Node {
    let mut block = block.clone();
    let word = block.text("environment").and_then(|word| serde_json::from_value::<Environment>(word.into()).ok());
    if let (Some(environment), None) = (word, block.get("tuning.profile")) {
        let mut tuning =
            block.get("tuning").cloned().unwrap_or_else(|| Entry::made("tuning", Value::Map(vec![]).into()));
        let profile = Value::Text(environment.profile().as_str().to_owned());
        tuning.node.put(Entry::made("profile", profile.into()));
        block.put(tuning);
    }
    block
}

pub(super) fn export_schema() -> &'static Json {
    &properties(schema())["exports"]["items"]
}

/// An export over the levels below it. A level of compression belongs to its codec and falls with it.
fn over(base: &Node, own: &Node) -> Node {
    let mut base = base.clone();
    if ["compression", "format.compression"].iter().any(|key| own.get(key).is_some()) {
        ["compression_level", "format.compression_level"].iter().for_each(|key| base.remove(key));
    }
    merge(schema(), export_schema(), &base, own)
}

/// The block with its format's options in its format.
fn with_shortcuts(block: &Node) -> Node {
    let mut block = block.clone();
    let Some(mut format) = block.get("format").cloned() else { return block };
    let named = SHORTCUTS.iter().filter_map(|key| block.get(key).cloned());
    named.chain(by_profile(&block)).for_each(|entry| format.node.put(entry));
    block.put(format);
    block
}

/// Codec and level that the block's profile stands for.
fn by_profile(block: &Node) -> Vec<Entry> {
    let word = block.text("compression_profile");
    let profile = word.and_then(|word| serde_json::from_value::<CompressionProfile>(word.into()).ok());
    let Some((codec, level)) = profile.map(CompressionProfile::codec) else { return Vec::new() };
    let id = block.get("compression_profile").map_or(NOWHERE, |entry| entry.id);
    let values = [Some(Json::from(codec)), level.map(Json::from)];
    let set = SHORTCUTS.iter().zip(values).filter_map(|(key, value)| Some((key, value?)));
    set.map(|(key, value)| Entry { id, ..Entry::made(key, Node::from_json(&value)) }).collect()
}
