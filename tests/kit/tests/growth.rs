//! Plugins of other ABI revisions and another Arrow major in this host, in every order of loading.
//! It must not know how a plugin is built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rivet_plugin_api::load::{self, LoadError};
use rivet_plugin_api::wire::{Connector, Trust};
use rivet_plugin_api::{CancelToken, Health, RecordBatch, Relation, Scan, StreamFacts};
use rivet_test_hostile as _;
use rivet_test_kit::fixture::{Edit, build_fixture, build_revision};
use rivet_test_kit::library_dir;
use serde_json::json;

const OBJECT: &str = "plugin-api/abi/src/object.rs";
const PLUGIN: &str = "plugin-api/abi/src/plugin.rs";
const SOURCE: &str = "plugin-api/src/wire/export_source.rs";
const FOREIGN: &str = "plugin-api/src/wire/foreign_source.rs";
const FORMAT: &str = "plugin-api/src/wire/export_format.rs";
const FOREIGN_STORE: &str = "plugin-api/src/wire/foreign_store.rs";
const FOREIGN_FORMAT: &str = "plugin-api/src/wire/foreign_format.rs";
const STORE: &str = "plugin-api/src/wire/export_store.rs";
const REGISTER: &str = "plugin-api/src/wire/register.rs";

const fn edit(file: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { file, from, to }
}

/// An SDK from before the optional functions were appended.
const OLDER: &[Edit] = &[
    edit(OBJECT, "pub health: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,", ""),
    edit(OBJECT, "/// -> `Health`.", ""),
    edit(OBJECT, "/// Ends the transaction and the connection politely.", ""),
    edit(OBJECT, "pub end: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<()>,", ""),
    edit(OBJECT, "/// `Aggregate` -> list of `KeyValue` or null, one for each measure.", ""),
    edit(OBJECT, "pub aggregate: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,", ""),
    edit(SOURCE, "aggregate: session_aggregate,", ""),
    edit(
        FOREIGN,
        "self.raw.vtable.aggregate()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>>",
    ),
    edit(OBJECT, "/// `Explain` -> `Explained`.", ""),
    edit(OBJECT, "pub explain: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>,", ""),
    edit(SOURCE, "explain: session_explain,", ""),
    edit(OBJECT, "/// -> list of `ListedTable`.", ""),
    edit(OBJECT, "pub tables: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,", ""),
    edit(SOURCE, "tables: session_tables,", ""),
    edit(
        FOREIGN,
        "self.raw.vtable.tables()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx) -> AbiResult<RString>>",
    ),
    edit(
        FOREIGN,
        "self.raw.vtable.explain()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>>",
    ),
    edit(OBJECT, "/// Prefix of names: removes what dead uploads left. Returns how many there were.", ""),
    edit(OBJECT, "pub sweep: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<u64>,", ""),
    edit(STORE, "sweep: store_sweep,", ""),
    edit(
        FOREIGN_STORE,
        "self.0.vtable.sweep()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &rivet_plugin_abi::AbiCx, RStr<'_>) -> rivet_plugin_abi::AbiResult<u64>>",
    ),
    edit(OBJECT, "/// -> `StreamFacts`, for everything returned so far.", ""),
    edit(OBJECT, "pub facts: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,", ""),
    edit(OBJECT, "/// -> file name extension of parts with these options, without the dot.", ""),
    edit(OBJECT, "pub extension: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,", ""),
    edit(FORMAT, "extension: format_extension,", ""),
    edit(
        FOREIGN_FORMAT,
        "self.raw.vtable.extension()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void) -> rivet_plugin_abi::AbiResult<rivet_plugin_abi::abi_stable::std_types::RString>>",
    ),
    edit(PLUGIN, "/// Called after the host changed its log level.", ""),
    edit(PLUGIN, "pub log_level_changed: extern \"C\" fn(),", ""),
    edit(REGISTER, ", log_level_changed: telemetry::level_changed", ""),
    edit(SOURCE, "health: session_health,", ""),
    edit(SOURCE, "end: session_end,", ""),
    edit(SOURCE, "facts: stream_facts,", ""),
    edit(
        FOREIGN,
        "self.raw.vtable.health()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx) -> AbiResult<RString>>",
    ),
    edit(
        FOREIGN,
        "self.raw.vtable.end()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void, &AbiCx) -> AbiResult<()>>",
    ),
    edit(
        FOREIGN,
        "self.raw.vtable.facts()",
        "None::<unsafe extern \"C\" fn(*mut std::ffi::c_void) -> AbiResult<RString>>",
    ),
];

/// An SDK that has grown functions this host has never heard of.
const NEWER: &[Edit] = &[
    edit(
        OBJECT,
        "pub facts: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,",
        "pub facts: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,
    /// Of a later day.
    pub rewind: unsafe extern \"C\" fn(*mut c_void, &AbiCx, u64) -> AbiResult<()>,",
    ),
    edit(
        OBJECT,
        "pub tables: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,",
        "pub tables: unsafe extern \"C\" fn(*mut c_void, &AbiCx) -> AbiResult<RString>,
    /// Of a later day.
    pub pause: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,",
    ),
    edit(
        OBJECT,
        "pub extension: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,",
        "pub extension: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,
    /// Of a later day.
    pub media_type: unsafe extern \"C\" fn(*mut c_void) -> AbiResult<RString>,",
    ),
    edit(
        OBJECT,
        "pub sweep: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<u64>,",
        "pub sweep: unsafe extern \"C\" fn(*mut c_void, &AbiCx, RStr<'_>) -> AbiResult<u64>,
    /// Of a later day.
    pub tidy: unsafe extern \"C\" fn(*mut c_void, RStr<'_>) -> AbiResult<u64>,",
    ),
    edit(
        PLUGIN,
        "pub log_level_changed: extern \"C\" fn(),",
        "pub log_level_changed: extern \"C\" fn(),
    /// Of a later day.
    pub farewell: extern \"C\" fn() -> u32,",
    ),
    edit(
        SOURCE,
        "facts: stream_facts,",
        "facts: stream_facts,
        rewind: { unsafe extern \"C\" fn f(_: *mut c_void, _: &AbiCx, _: u64) -> AbiResult<()> { not_this_kind(\"\") } f },",
    ),
    edit(
        SOURCE,
        "tables: session_tables,",
        "tables: session_tables,
        pause: { unsafe extern \"C\" fn f(_: *mut c_void) -> AbiResult<RString> { not_this_kind(\"\") } f },",
    ),
    edit(
        FORMAT,
        "extension: format_extension,",
        "extension: format_extension,
        media_type: { unsafe extern \"C\" fn f(_: *mut c_void) -> AbiResult<RString> {
            super::export_source::not_this_kind(\"\") } f },",
    ),
    edit(
        STORE,
        "sweep: store_sweep,",
        "sweep: store_sweep,
        tidy: { unsafe extern \"C\" fn f(_: *mut c_void, _: RStr<'_>) -> AbiResult<u64> {
            super::export_source::not_this_kind(\"\") } f },",
    ),
    edit(
        REGISTER,
        "log_level_changed: telemetry::level_changed",
        "log_level_changed: telemetry::level_changed, farewell: { extern \"C\" fn f() -> u32 { 1 } f }",
    ),
];

/// An SDK with one function of another signature.
const BREAKING: &[Edit] = &[
    edit(OBJECT, "RSlice<'_, u8>, u8) -> AbiResult<u8>,", "RSlice<'_, u8>, u32) -> AbiResult<u8>,"),
    edit(STORE, "replace: u8,", "replace: u32,"),
    edit(FOREIGN_STORE, "u8::from(mode == PutMode::Replace)", "u32::from(mode == PutMode::Replace)"),
];

struct Read {
    batches: Vec<RecordBatch>,
    health: Health,
    facts: StreamFacts,
}

fn read(connector: &Connector) -> Result<Read> {
    let token = CancelToken::new();
    let cx = token.cx();
    let request = json!({ "options": { "n_batches": 3, "batch_rows": 100 }, "n_sessions": 1 });
    let mut group = connector.open_group(&request, &cx)?;
    let session = group.sessions.first_mut().context("one session")?;
    let health = session.health(&cx)?;
    let relation = Relation::Table { schema: None, name: "any".to_owned() };
    let columns = session.describe(&relation, &cx)?.columns;
    let scan = Scan { max_batch_rows: 100, ..Scan::new(relation, columns) };
    let mut stream = session.scan(&scan, &cx)?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next(&cx)? {
        batches.push(batch);
    }
    let facts = stream.facts();
    drop(stream);
    session.end(&cx)?;
    Ok(Read { batches, health, facts })
}

fn open(path: &Path, kind: &str) -> Result<Connector> {
    let library = load::open(path, Trust::Full).map_err(|e| anyhow::anyhow!("{e}; hint: {}", e.hint()))?;
    library.log_level_changed();
    library.connectors.into_iter().find(|c| c.info().kind.name() == kind).context("one of this kind")
}

fn refusal(path: &Path) -> Result<LoadError> {
    load::open(path, Trust::Full).err().context("it is refused")
}

/// Every order of `items`.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (i, first) in items.iter().enumerate() {
        let rest: Vec<T> = items.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, item)| item.clone()).collect();
        all.extend(orders(&rest).into_iter().map(|order| [vec![first.clone()], order].concat()));
    }
    all
}

/// Each order loads fresh copies: a copy is another library to the system, with statics of its own.
#[test]
fn older_newer_and_current_plugins_deliver_the_same_in_every_order() -> Result<()> {
    let plugins: [(&str, PathBuf); 4] = [
        ("older", build_revision("older", "0.1.0", OLDER)?),
        ("newer", build_revision("newer", "0.1.9", NEWER)?),
        ("arrow", build_fixture("arrow-other-major")?),
        ("current", library_dir()?.join("librivet_test_hostile.so")),
    ];
    let expected = read(&open(&plugins[3].1, "source")?)?.batches;
    assert_eq!(expected.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [100, 100, 100]);
    for (n, order) in orders(&plugins).into_iter().enumerate() {
        let dir = tempfile::tempdir()?;
        let opened: Vec<(&str, Connector)> = order
            .iter()
            .map(|(name, library)| {
                let copy = dir.path().join(format!("{name}-{n}.so"));
                std::fs::copy(library, &copy)?;
                Ok((*name, open(&copy, "source").with_context(|| (*name).to_owned())?))
            })
            .collect::<Result<_>>()?;
        for (name, connector) in opened {
            let read = read(&connector).with_context(|| name.to_owned())?;
            assert_eq!(read.batches, expected, "{name}");
            let (health, statement_ms) = match name {
                // What an older plugin has no function for reads as nothing known.
                "older" | "current" => ("", 0),
                _ => ("growth 7", 7),
            };
            assert_eq!((read.health.server_version.as_str(), read.facts.longest_statement_ms), (health, statement_ms));
        }
    }
    Ok(())
}

#[test]
fn a_format_from_before_it_could_say_its_extension_has_that_of_its_capabilities() -> Result<()> {
    for (name, version, edits, extension) in
        [("older", "0.1.0", OLDER, "usual"), ("newer", "0.1.9", NEWER, "by.options")]
    {
        let format = open(&build_revision(name, version, edits)?, "format")?.open_format(&json!({}))?;
        assert_eq!(format.extension()?, extension, "{name}");
    }
    Ok(())
}

#[test]
fn another_major_version_is_refused_with_both_versions_and_a_way_out() -> Result<()> {
    let path = build_revision("breaking", "0.2.0", BREAKING)?;
    let error = refusal(&path)?;
    let LoadError::Version { plugin, host, .. } = &error else { anyhow::bail!("{error:?}") };
    assert_eq!((plugin.as_str(), host.as_str()), ("0.2.0", rivet_plugin_api::abi::ABI_VERSION));
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(error.hint().contains("rebuild the plugin"), "{}", error.hint());
    Ok(())
}

#[test]
fn a_signature_changed_behind_the_versions_back_is_refused_by_name() -> Result<()> {
    let path = build_revision("sly", "0.1.0", BREAKING)?;
    let error = refusal(&path)?;
    let LoadError::Layout { difference, .. } = &error else { anyhow::bail!("{error:?}") };
    assert_eq!(difference, "connectors.open_store.put.param_4: mismatched type");
    assert!(error.to_string().contains(&path.display().to_string()) && error.to_string().len() < 500, "{error}");
    assert!(error.hint().contains("rebuild the plugin"), "{}", error.hint());
    Ok(())
}
