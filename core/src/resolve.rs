//! From config to something that can run: plugins found, options validated, sizes and workers fixed.
//! It must not talk to a server or a store.

use arrow_schema::Schema;
use rivet_plugin_api::wire::Connector;
use rivet_plugin_api::{
    Choices, ConnectorKind, Cx, Relation, SessionGroup, Snapshot, SourceCapabilities, Store, StoreCapabilities, Wanted,
};
use serde_json::{Map, Value, json};
use std::ops::Deref;
use std::sync::Arc;

use crate::config::{
    Config, ConfigError, ConfigErrors, ExportConfig, Options, PluginConfig, Select, Verify, check_reserved, explain,
};
use crate::connectors::Connectors;
use crate::error::RunError;
use crate::memory;
use crate::partition::{self, Partition};
use crate::paths::{Places, absolute};
use crate::placeholders::Placeholders;
use crate::plan::sealed::Replay;
use crate::possible;
use crate::secrets;
use crate::tables::path_part;

mod in_place;
mod limits;

/// One export, ready to run: what its keys say, and what was made of them. It holds secrets (in the connection) and has no
/// `Debug` for that reason.
#[derive(Clone)]
pub struct ExportSpec {
    /// What the config says of it; the spec lends its fields as its own.
    export: ExportConfig,
    /// Source plugin.
    pub source: Connector,
    /// Format plugin.
    pub format: Connector,
    /// Options of the format.
    pub format_options: Value,
    /// What the format says its parts are called with these options.
    extension: String,
    /// Destination plugin.
    pub destination: Connector,
    /// Options of the destination with their placeholders.
    pub(crate) destination_options: Map<String, Value>,
    /// What the placeholders stand for, but for `{run_id}` and `{date}`.
    placeholders: Placeholders,
    /// What `{date}` stands for, as `2026-11-21`.
    pub date: String,
    /// Where relative paths start.
    places: Places,
    /// Plugin and options of the destination in one line, without credentials.
    pub destination_identity: String,
    /// As `destination_identity`, before placeholders are filled in: the same for all runs.
    pub destination_template: String,
    /// The largest value is as small as it is because of the memory.
    pub is_value_limited_by_memory: bool,
    /// Exports that share the memory of the process, with this one.
    pub n_at_once: usize,
    /// Workers wanted, of which each has a connection.
    pub n_workers: usize,
    /// A part is ended after about so many bytes.
    pub max_part_bytes: Option<u64>,
    /// Connections that are its own of those that it shares; as many as the config allows where nobody counts.
    pub n_connections: Option<usize>,
    /// Once, the stored cursor is not looked at.
    pub full_refresh: bool,
    /// Once, what the destination says of runs that the state does not know is no reason to stop.
    pub force: bool,
    /// Once, a run that was interrupted is gone on with, or nothing is done.
    pub resume: bool,
    /// Once, nothing is kept of a run that was interrupted.
    pub fresh: bool,
    /// Once, a range of the cursor is read and the cursor stays: from, to.
    pub backfill: Option<(Option<String>, Option<String>)>,
    /// Once, every part is read back before it counts.
    pub validate: bool,
    /// Once, this plan is followed in the place of one that is made now.
    pub replay: Option<Arc<Replay>>,
    /// Once, how much may be read to find out what is to be read.
    pub look: Look,
    /// The key of the config that holds a password in clear.
    pub password_key: Option<&'static str>,
    /// What may stand in no text about the export, the longest first.
    pub secrets: Vec<String>,
    connection: Value,
    pub(crate) source_options: Map<String, Value>,
}

/// How much of a relation may be read to find out which of its rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// As much as a run needs.
    #[default]
    Run,
    /// What an index answers at once: nothing is scanned.
    ByIndex,
    /// What an index answers, and what needs a scan.
    Probe,
}

impl Deref for ExportSpec {
    type Target = ExportConfig;

    fn deref(&self) -> &ExportConfig {
        &self.export
    }
}

impl ExportSpec {
    /// What the source can do.
    pub fn source_capabilities(&self) -> SourceCapabilities {
        match &self.source.info().kind {
            ConnectorKind::Source(capabilities) => capabilities.clone(),
            _ => SourceCapabilities::default(),
        }
    }

    /// What the destination can do.
    pub fn store_capabilities(&self) -> StoreCapabilities {
        capabilities_of(&self.destination)
    }

    /// File name extension of parts, without the dot.
    pub fn extension(&self) -> String {
        self.extension.clone()
    }

    /// Most rows in a batch.
    pub fn max_batch_rows(&self) -> usize {
        self.tuning.batch_rows.unwrap_or(MAX_BATCH_ROWS)
    }

    /// How what is written is divided into folders.
    ///
    /// # Errors
    /// `Impossible` where it cannot be.
    pub fn partition(&self, written: &Schema) -> Result<Option<Partition>, RunError> {
        let by = self.partition_by.as_deref();
        by.map(|column| Partition::of(column, self.partition_granularity, written)).transpose()
    }

    /// Attempts after the first. What a pipe has passed on cannot be taken back, so there are none.
    pub fn max_retries(&self) -> u32 {
        let wanted = self.max_attempts().map_or(self.tuning.max_retries, |n| n.saturating_sub(1));
        if self.store_capabilities().retractable { wanted } else { 0 }
    }

    /// The choices that sessions are opened with: types, policies, and the columns that are wanted.
    pub fn session_choices(&self) -> Choices {
        let wanted = match self.select() {
            Select::All => Wanted::All,
            Select::Only(names) => Wanted::Only(names),
            Select::Except(names) => Wanted::Except(names),
        };
        Choices { wanted, ..self.choices() }
    }

    /// Opens sessions of the source that will read the export's relation, or something else, for a run; outside of one
    /// `run_id` is empty.
    ///
    /// # Errors
    /// The source's error.
    pub fn open_sessions(
        &self,
        run_id: &str,
        n_sessions: usize,
        snapshot: &Snapshot,
        relation: Option<&Relation>,
        cx: &Cx,
    ) -> Result<SessionGroup, RunError> {
        let request = json!({
            "connection": self.connection,
            "options": self.source_options,
            "n_sessions": n_sessions,
            "snapshot": snapshot,
            "relation": relation,
            "choices": self.session_choices(),
            "purpose": {"export": self.name, "run_id": run_id, "rehearsal": self.look != Look::Run},
            "limits": {
                "statement_timeout_ms": self.tuning.statement_timeout_ms,
                "lock_timeout_ms": self.tuning.lock_timeout_ms,
                "no_progress_timeout_ms": self.tuning.no_progress_timeout_ms(),
                "max_value_bytes": self.tuning.max_value_bytes,
            },
        });
        self.source.open_group(&request, cx).map_err(RunError::plugin("connect to the source", ""))
    }

    /// The export as on another day: its destination may be another one.
    #[must_use]
    pub fn on(&self, date: &str) -> Self {
        let mut there = self.clone();
        date.clone_into(&mut there.date);
        there.destination_identity = identity(&self.destination, &there.place(None));
        there
    }

    /// The export as a rehearsal looks at it.
    #[must_use]
    pub fn looked_at(&self, look: Look) -> Self {
        Self { look, ..self.clone() }
    }

    /// Options of the destination, with the placeholders filled in.
    pub(crate) fn place(&self, run_id: Option<&str>) -> Map<String, Value> {
        let mut placeholders = self.placeholders.with("{date}", &self.date);
        if let Some(run_id) = run_id {
            placeholders = placeholders.with("{run_id}", run_id);
        }
        let filled = placeholders.fill_all(&self.destination_options);
        absolute(filled, &self.destination, &self.places)
    }

    /// Opens the destination for a run.
    ///
    /// # Errors
    /// The destination's error.
    pub fn open_store(&self, run_id: &str, cx: &Cx) -> Result<Box<dyn Store>, RunError> {
        self.destination
            .open_store(&Value::Object(self.place(Some(run_id))), cx)
            .map_err(RunError::plugin("open the destination", self.destination_identity.clone()))
    }
}

fn capabilities_of(destination: &Connector) -> StoreCapabilities {
    match &destination.info().kind {
        ConnectorKind::Destination(capabilities) => capabilities.clone(),
        _ => StoreCapabilities::default(),
    }
}

/// A part is ended after so many bytes where the config says nothing: what a format keeps in memory about a part (its
/// index and statistics) stays bounded, however large the table.
const DEFAULT_PART_BYTES: u64 = 256 << 20;
/// Rows of a batch that is sized in bytes.
const MAX_BATCH_ROWS: usize = 1 << 20;

/// Resolves all exports of a config. `today` fills `{date}`, as `2026-11-21`; relative paths start at `places`.
///
/// # Errors
/// All that is wrong with plugins and options, at once.
pub fn resolve(
    config: &Config,
    connectors: &Connectors,
    places: &Places,
    today: &str,
) -> Result<Vec<ExportSpec>, RunError> {
    let mut errors = Vec::new();
    let source =
        Chosen::of("source", &config.source.plugin, &config.source.options, "source", connectors, &mut errors)?;
    let mut specs = Vec::with_capacity(config.exports.len());
    for export in &config.exports {
        let mut choose = |kind, plugin: &PluginConfig| {
            let owner = format!("exports.{}.{kind}", export.name);
            Chosen::of(kind, &plugin.plugin, &plugin.options, &owner, connectors, &mut errors)
        };
        let format = choose("format", &export.format)?;
        let destination = choose("destination", &export.destination)?;
        errors.extend(in_place::wrong(export, &destination.options));
        specs.push(spec(config, export, [source.clone(), format, destination], places, today));
    }
    if !errors.is_empty() {
        explain(&mut errors);
        return Err(RunError::Config(ConfigErrors(errors)));
    }
    let of_connection = secrets::of_config(config);
    for spec in &mut specs {
        spec.secrets = secrets::of_export(&of_connection, spec);
        spec.extension = extension(spec)?;
        possible::check(spec)?;
        spec.leave_room_for_uploads();
        spec.is_value_limited_by_memory = memory::fit(&spec.export.name, &mut spec.export.tuning, spec.n_workers)?;
    }
    apart(&specs)?;
    Ok(specs)
}

/// A plugin with its options as its schema wants them.
#[derive(Clone)]
struct Chosen {
    connector: Connector,
    options: Map<String, Value>,
}

impl Chosen {
    /// Finds the plugin and checks its options; what is wrong with the options is added to `errors`.
    fn of(
        kind: &'static str,
        name: &str,
        options: &Options,
        owner: &str,
        connectors: &Connectors,
        errors: &mut Vec<ConfigError>,
    ) -> Result<Self, RunError> {
        let connector = connectors.find(kind, name)?.clone();
        if kind == "source"
            && let Err(reserved) = check_reserved(name, &connector.info().options_schema)
        {
            errors.push(reserved);
        }
        let options = options.resolve(owner, &connector.info().options_schema).unwrap_or_else(|e| {
            errors.extend(e.0);
            Map::new()
        });
        Ok(Self { connector, options })
    }
}

fn spec(
    config: &Config,
    export: &ExportConfig,
    [source, format, destination]: [Chosen; 3],
    places: &Places,
    today: &str,
) -> ExportSpec {
    let table = match &export.relation {
        Relation::Table { name, .. } => path_part(name),
        Relation::Query { .. } => export.name.clone(),
    };
    let placeholders = Placeholders::default().with("{export}", &export.name).with("{table}", &table);
    let config_dir = Placeholders::default().with("{config_dir}", &places.config_dir.to_string_lossy());
    // Where partitions go in any case: below the rest of the path.
    let destination_options = partition::without_place(&config_dir.fill_all(&destination.options));
    let destination_template =
        identity(&destination.connector, &absolute(destination_options.clone(), &destination.connector, places));
    let default_part_bytes = capabilities_of(&destination.connector).objects.then_some(DEFAULT_PART_BYTES);
    // One connection more than workers holds the snapshot that they share.
    let most_workers = export.tuning.max_connections.map_or(usize::MAX, |n| n.saturating_sub(1).max(1));
    ExportSpec {
        n_workers: export.parallel.min(most_workers),
        max_part_bytes: export.max_file_bytes.or(default_part_bytes),
        export: export.clone(),
        destination_identity: String::new(),
        source_options: absolute(source.options, &source.connector, places),
        source: source.connector,
        format_options: Value::Object(absolute(format.options, &format.connector, places)),
        format: format.connector,
        extension: String::new(),
        destination: destination.connector,
        destination_options,
        placeholders,
        date: String::new(),
        places: places.clone(),
        destination_template,
        is_value_limited_by_memory: false,
        n_at_once: 1,
        n_connections: None,
        full_refresh: false,
        force: false,
        resume: false,
        fresh: false,
        backfill: None,
        validate: export.verify == Verify::Content,
        replay: None,
        look: Look::Run,
        password_key: config.source.password_key,
        secrets: Vec::new(),
        connection: config.source.connection_json(),
    }
    .on(today)
}

/// Plugin and options in a fixed order: those that its schema calls the place, or all where none is called so. Options marked
/// secret are left out.
fn identity(destination: &Connector, options: &Map<String, Value>) -> String {
    let schema = &destination.info().options_schema;
    let is_place = |key: &str| schema["properties"][key]["place"] == true;
    let names_it = schema["properties"].as_object().is_some_and(|all| all.keys().any(|key| is_place(key)));
    let mut options = options.clone();
    options.retain(|key, _| !names_it || is_place(key));
    format!("{}({})", destination.info().name, secrets::open_text(schema, &options))
}

/// Asks the format, which refuses here what its schema could not say about its options.
fn extension(spec: &ExportSpec) -> Result<String, RunError> {
    let format = spec.format.open_format(&spec.format_options);
    format.and_then(|f| f.extension()).map_err(RunError::plugin("open format", &spec.format.info().name))
}

/// A pipe takes one export; where objects have names, exports may share a place, since each has its own names there.
fn apart(specs: &[ExportSpec]) -> Result<(), RunError> {
    for (i, one) in specs.iter().enumerate().filter(|(_, one)| !one.store_capabilities().objects) {
        if let Some(other) = specs[..i].iter().find(|s| s.destination_identity == one.destination_identity) {
            return Err(RunError::Impossible {
                what: format!("exports '{}' and '{}' write to the same place", other.name, one.name),
                hint: "name one of them with --export, or write to a folder".to_owned(),
            });
        }
    }
    Ok(())
}
