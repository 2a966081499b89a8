//! One export: its own keys over those of `defaults`.
//! It must not know which formats, destinations or engines there are.

use rivet_plugin_api::{Relation, TypesMode};

use super::node::{Entry, Value};
use super::section::{Cx, Section, Text};
use super::source::{self, check_plugin_name, plugin_name};
use super::tuning::to_usize;
use super::units::Unit;
use super::{
    ConfigError, DriftPolicy, ExportConfig, Options, PluginConfig, Tables, Written, columns, relation, rows, tuning,
};

/// Keys that `defaults` may hold; an export has its `name` too.
pub(super) const SHARED_KEYS: &[&str] = &[
    "table",
    "tables",
    "exclude_tables",
    "query",
    "query_file",
    "parallel",
    "format",
    "compression",
    "compression_level",
    "max_file_size",
    "skip_empty",
    "types",
    "on_schema_drift",
    "tuning",
    "destination",
    "policies",
    "columns",
    "meta_columns",
    // The keys of `rows`.
    "mode",
    "select",
    "exclude",
    "where",
    "cursor_column",
    "cursor_fallback_column",
    "lookback",
    "null_cursor",
];

/// Keys that say what is read.
const WHAT: [&str; 4] = ["table", "tables", "query", "query_file"];
/// Format of exports that name none.
const DEFAULT_FORMAT: &str = "parquet";

/// Longest name of an export that stands for several, bytes: the names of theirs start with it.
const MAX_GROUP_NAME_BYTES: usize = 50;

/// The keys that one level sets.
#[derive(Default)]
pub(super) struct Patch {
    relation: Option<relation::Found>,
    tables: Option<Tables>,
    /// Whether one of [`WHAT`] is there at all, right or wrong.
    has_relation: bool,
    rows: rows::Patch,
    columns: columns::Patch,
    parallel: Option<usize>,
    format: Option<Block>,
    compression: Option<(Entry, String)>,
    compression_level: Option<(Entry, String)>,
    max_file_bytes: Option<u64>,
    skip_empty: Option<bool>,
    types: Option<TypesMode>,
    on_schema_drift: Option<DriftPolicy>,
    tuning: tuning::Patch,
    destination: Option<Block>,
}

/// A plugin's block. Without `type` it is laid over the block of `defaults`; with `type` it replaces that.
#[derive(Clone, Default)]
struct Block {
    plugin: Option<String>,
    /// Whether `type` is there at all, right or wrong.
    has_type: bool,
    options: Options,
}

impl Patch {
    pub(super) fn read(block: &Section, cx: &mut Cx) -> Self {
        for (i, one) in WHAT.iter().enumerate() {
            for other in &WHAT[i + 1..] {
                block.exclusive(one, other, cx);
            }
        }
        let types = [("portable", TypesMode::Portable), ("native", TypesMode::Native)];
        let drift = [("warn", DriftPolicy::Warn), ("continue", DriftPolicy::Continue), ("fail", DriftPolicy::Fail)];
        let extra = |key: &str| block.get(key).map(|e| (e.clone(), block.path.clone()));
        let patch = Self {
            relation: relation::read(block, cx),
            tables: relation::tables(block, cx),
            has_relation: WHAT.iter().any(|key| block.get(key).is_some()),
            rows: rows::Patch::read(block, cx),
            columns: columns::Patch::read(block, cx),
            parallel: block.whole("parallel", 1..=1024, cx).map(to_usize),
            format: read_format(block, cx),
            compression: extra("compression"),
            compression_level: extra("compression_level"),
            max_file_bytes: block.measure("max_file_size", Unit::Bytes(1), 1..=1 << 50, cx),
            skip_empty: block.flag("skip_empty", cx),
            types: block.choice("types", &types, cx),
            on_schema_drift: block.choice("on_schema_drift", &drift, cx),
            tuning: block.section("tuning", cx).map(|t| tuning::Patch::read(&t, cx)).unwrap_or_default(),
            destination: block.section("destination", cx).map(|d| Block::read(&d, cx)),
        };
        for key in ["compression", "compression_level"] {
            if patch.format.as_ref().is_some_and(|f| f.options.as_map().contains_key(key))
                && let Some(entry) = block.get(key)
            {
                let at = cx.at(block.path.clone(), entry.id);
                cx.push(ConfigError::Conflict { at, keys: (key.to_owned(), format!("format.{key}")) });
            }
        }
        patch
    }

    /// The export of this name, with `defaults` where it is silent and `source` tuning below both.
    pub(super) fn settle(
        self,
        name: String,
        block: &Section,
        defaults: &Self,
        source: &source::Inherited,
        cx: &mut Cx,
    ) -> ExportConfig {
        if !self.has_relation && !defaults.has_relation {
            block.missing("table", "an export reads a `table`, several `tables`, or a `query`", cx);
        }
        let what = if self.has_relation { &self } else { defaults };
        let (own, tables) = (what.relation.clone(), what.tables.clone());
        if tables.is_some() && name.len() > MAX_GROUP_NAME_BYTES {
            let problem =
                format!("is longer than {MAX_GROUP_NAME_BYTES} bytes, and `tables` adds the name of each table");
            cx.bad(&block.path_of("name"), block.id, problem, None);
        }
        let format = self.settle_format(defaults, cx);
        let destination = settle_destination(self.destination, defaults, block, cx);
        let patterns = tables.as_ref().map(|t| Relation::Table { schema: None, name: t.label() });
        let (relation, written) = own.map_or((None, None), |read| (Some(read.relation), Some(read.written)));
        let relation = relation.or(patterns).unwrap_or(Relation::Query { sql: String::new() });
        let rows = self.rows.settle(&defaults.rows, &relation, block, cx);
        let (choices, meta_columns) = self.columns.settle(&defaults.columns, source.policies);
        ExportConfig {
            name,
            written: Written {
                relation: written.unwrap_or_else(|| relation.clone()),
                condition: rows.condition_written,
            },
            relation,
            tables,
            mode: rows.mode,
            select: rows.select,
            condition: rows.condition,
            choices,
            meta_columns,
            parallel: self.parallel.or(defaults.parallel).unwrap_or(1),
            format,
            destination,
            max_file_bytes: self.max_file_bytes.or(defaults.max_file_bytes),
            skip_empty: self.skip_empty.or(defaults.skip_empty).unwrap_or(false),
            types: self.types.or(defaults.types).unwrap_or_default(),
            on_schema_drift: self.on_schema_drift.or(defaults.on_schema_drift).unwrap_or_default(),
            tuning: self.tuning.over(&defaults.tuning.clone().over(&source.tuning)).settle(),
        }
    }

    /// Order of precedence, weakest first: block of `defaults` (unless replaced), `compression` keys of `defaults`,
    /// block of the export, `compression` keys of the export. A level belongs to its codec and falls with it.
    fn settle_format(&self, defaults: &Self, cx: &mut Cx) -> PluginConfig {
        let own = self.format.clone().unwrap_or_default();
        let mut base = if own.has_type { Block::default() } else { defaults.format.clone().unwrap_or_default() };
        defaults.lay_compression(&mut base.options, cx);
        if self.compression.is_some() || own.options.as_map().contains_key("compression") {
            base.options.forget("compression");
            base.options.forget("compression_level");
        }
        base.options.lay(own.options);
        self.lay_compression(&mut base.options, cx);
        let plugin = own.plugin.or(base.plugin).unwrap_or_else(|| DEFAULT_FORMAT.to_owned());
        PluginConfig { plugin, options: base.options }
    }

    fn lay_compression(&self, options: &mut Options, cx: &mut Cx) {
        if let Some((entry, path)) = &self.compression {
            options.set("compression", entry, path, cx);
        }
        if let Some((entry, path)) = &self.compression_level {
            options.set("compression_level", entry, path, cx);
        }
    }
}

fn settle_destination(own: Option<Block>, defaults: &Patch, block: &Section, cx: &mut Cx) -> PluginConfig {
    let merged = match (own, defaults.destination.clone()) {
        (None, None) => {
            block.missing("destination", "say where parts go: `destination: {type: local, path: out}`", cx);
            return PluginConfig { plugin: String::new(), options: Options::default() };
        }
        (Some(own), Some(mut base)) if !own.has_type => {
            base.options.lay(own.options);
            base
        }
        (Some(own), _) => own,
        (None, Some(base)) => base,
    };
    if !merged.has_type {
        block.missing("destination.type", "name the destination plugin, such as `type: local`", cx);
    }
    PluginConfig { plugin: merged.plugin.unwrap_or_default(), options: merged.options }
}

impl Block {
    fn read(block: &Section, cx: &mut Cx) -> Self {
        Self {
            plugin: plugin_name(block, cx),
            has_type: block.get("type").is_some(),
            options: Options::of(block, &["type"], cx),
        }
    }
}

fn read_format(block: &Section, cx: &mut Cx) -> Option<Block> {
    let entry = block.get("format")?;
    let path = block.path_of("format");
    match &entry.node.value {
        Value::Text(value) => {
            let text = Text { value, from_env: entry.node.from_env, written: None, path, id: entry.id };
            Some(Block { plugin: check_plugin_name(&text, cx), has_type: true, options: Options::default() })
        }
        Value::Map(entries) => Some(Block::read(&Section { path, id: entry.id, entries }, cx)),
        _ => {
            cx.wrong_type(&path, entry.id, &entry.node, "the name of a format, or a block with `type`");
            None
        }
    }
}
