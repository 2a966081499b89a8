//! The keys of the file, and the schema that all keys together have: what the checker, editors and the reference page go by.
//! It must not know what becomes of them.

use std::path::PathBuf;
use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::ConfigError;
use super::export::ExportConfig;
use super::notifications::NotificationsConfig;
use super::schema;
use super::source::SourceConfig;

/// A whole config with everything settled: defaults merged, variables expanded, secrets read.
#[derive(Debug, Clone)]
pub struct Config {
    /// The one source of all exports.
    pub source: SourceConfig,
    /// In the order of the file; at least one, names unique.
    pub exports: Vec<ExportConfig>,
    /// Where plugins are looked for.
    pub plugins: PluginsConfig,
    /// Where state is kept.
    pub state: StateConfig,
    /// Whether each run leaves a summary in `.rivet/runs/RUN_ID/summary.json` beside the config.
    pub summary: bool,
    /// Exports run several at once.
    pub parallel_exports: bool,
    /// Exports run several at once, each in a process of its own.
    pub parallel_export_processes: bool,
    /// Who is told how runs ended.
    pub notifications: NotificationsConfig,
}

/// A config of Rivet: one source, any number of exports.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "each block is read by itself, so that all errors come at once")]
struct File {
    /// Where rows come from.
    #[schemars(extend("missing" = "say where to read from: `source: {type: PLUGIN, url_env: DATABASE_URL}`"))]
    source: SourceConfig,
    /// Keys of exports that say nothing themselves.
    defaults: Option<ExportConfig>,
    /// What is exported; names are unique.
    exports: Vec<ExportConfig>,
    /// Where plugins are looked for.
    plugins: Option<PluginsConfig>,
    /// Where state is kept.
    state: Option<StateConfig>,
    /// Write how each run ended to `.rivet/runs/RUN_ID/summary.json` beside the config, as `rivet run --output json` prints it.
    #[schemars(extend("default" = false))]
    summary: Option<bool>,
    /// Run several exports at once, as `rivet run --parallel-exports` does.
    #[schemars(default)]
    parallel_exports: bool,
    /// Run several exports at once, each in a process of its own, as `rivet run --parallel-export-processes` does.
    #[schemars(default)]
    parallel_export_processes: bool,
    /// Who is told how runs ended.
    notifications: Option<NotificationsConfig>,
}

/// The `plugins` block; paths are absolute or start with the config's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(extend("later" = { "lockfile": "a lock file of plugins" }))]
pub struct PluginsConfig {
    /// Folders with plugin libraries, relative to the config; the first match wins.
    #[serde(default)]
    #[schemars(inner(length(min = 1)))]
    pub dirs: Vec<PathBuf>,
}

/// The `state` block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StateConfig {
    /// File that the state is kept in, relative to the config.
    #[serde(rename = "url")]
    #[schemars(length(min = 1), extend("reads" = "state-file"))]
    pub path: PathBuf,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { path: ".rivet_state.db".into() }
    }
}

/// Definitions that stay, since blocks refer to them by name; all others stand where they are used.
const SHARED: [&str; 2] = ["tuning", "policies"];

/// The schema of the file, with our own words in it.
pub(super) fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let generator = SchemaSettings::draft2020_12().into_generator();
        let mut root = generator.into_root_schema_for::<File>().to_value();
        let definitions = root["$defs"].as_object().cloned().unwrap_or_default();
        settle(&mut root, &definitions);
        if let Value::Object(kept) = &mut root["$defs"] {
            kept.retain(|name, _| SHARED.contains(&name.as_str()));
        }
        if let Value::Object(defaults) = &mut root["properties"]["defaults"] {
            defaults.remove("required");
            defaults["properties"].as_object_mut().and_then(|keys| keys.remove("name"));
        }
        root
    });
    &SCHEMA
}

/// Puts definitions where they are used, and takes out what no config says: nothing in the place of a value, bounds of machine
/// types, and defaults that are empty.
fn settle(schema: &mut Value, definitions: &Map<String, Value>) {
    let Value::Object(map) = schema else { return };
    let mut below = Map::new();
    if let Some(Value::Array(all)) = map.get_mut("anyOf") {
        all.retain(|one| one["type"] != "null");
        if let [Value::Object(only)] = all.as_slice() {
            below = only.clone();
            map.remove("anyOf");
        }
    }
    map.extend(below.into_iter().filter(|(key, _)| !map.contains_key(key)).collect::<Vec<_>>());
    let name = map.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix("#/$defs/"));
    let used = name.filter(|name| !SHARED.contains(name)).and_then(|name| definitions.get(name)?.as_object());
    if let Some(used) = used {
        map.remove("$ref");
        for (key, value) in used {
            map.entry(key).or_insert_with(|| value.clone());
        }
    }
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(words)) = map.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    let machine = |format: &str| ["int", "uint"].iter().any(|start| format.starts_with(start));
    let empty = [Value::Null, "".into(), Value::Array(Vec::new()), Value::Object(Map::new())];
    map.retain(|key, value| match key.as_str() {
        "format" => !value.as_str().is_some_and(machine),
        "default" => !empty.contains(value),
        _ => true,
    });
    for (key, inner) in map.iter_mut() {
        match (key.as_str(), inner) {
            ("properties" | "$defs", Value::Object(all)) => all.values_mut().for_each(|one| settle(one, definitions)),
            ("anyOf" | "oneOf", Value::Array(all)) => all.iter_mut().for_each(|one| settle(one, definitions)),
            ("items" | "additionalProperties", inner) => settle(inner, definitions),
            _ => {}
        }
    }
}

/// The keys of the `source` block that belong to core: no source plugin may have an option of that name.
pub(super) fn source_keys() -> Vec<&'static str> {
    schema::properties(&schema()["properties"]["source"]).keys().map(String::as_str).collect()
}

/// Refuses a source plugin whose options take a name of core's.
///
/// # Errors
/// `ReservedKey`, for the first one.
pub fn check_reserved(plugin: &str, options: &Value) -> Result<(), ConfigError> {
    let options = schema::properties(schema::resolve(options, options));
    match source_keys().into_iter().find(|key| options.contains_key(*key)) {
        Some(key) => Err(ConfigError::ReservedKey { plugin: plugin.to_owned(), key: key.to_owned() }),
        None => Ok(()),
    }
}

/// Whether a word is a key of the config, in any of its blocks; options of plugins are not among them.
pub(crate) fn is_key(word: &str) -> bool {
    fn has(schema: &Value, word: &str) -> bool {
        let blocks = ["items", "additionalProperties"].into_iter().filter_map(|key| schema.get(key));
        let keys = schema::properties(schema);
        let shared = schema.get("$defs").and_then(Value::as_object);
        keys.contains_key(word)
            || keys.values().chain(blocks).chain(shared.into_iter().flat_map(Map::values)).any(|inner| has(inner, word))
    }
    has(schema(), word)
}
