//! Plugins of other ABI revisions and another Arrow major in this host, in every order of loading.
//! It must not know how a plugin is built.

mod revisions;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use rivet_plugin_api::load::{self, LoadError};
use rivet_plugin_api::wire::Connector;
use rivet_plugin_api::{
    CancelToken, ConnectorKind, ErrorKind, Fidelity, FieldMapping, Health, PluginError, ReadAt, ReadMode, RecordBatch,
    Relation, Result as PluginResult, Scan, StreamFacts,
};
use rivet_test_hostile as _;
use rivet_test_kit::fixture::{build_fixture, build_revision};
use rivet_test_kit::library_dir;
use serde_json::json;

use revisions::{BREAKING, NEWER, OLDER};

struct Read {
    batches: Vec<RecordBatch>,
    health: Health,
    facts: StreamFacts,
    fidelity: Fidelity,
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
    let fidelity = columns[0].fidelity;
    let scan = Scan { max_batch_rows: 100, ..Scan::new(relation, columns) };
    let mut stream = session.scan(&scan, &cx)?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next(&cx)? {
        batches.push(batch);
    }
    let facts = stream.facts();
    drop(stream);
    session.end(&cx)?;
    Ok(Read { batches, health, facts, fidelity })
}

fn open(path: &Path, kind: &str) -> Result<Connector> {
    let library = load::open(path).map_err(|e| anyhow::anyhow!("{e}; hint: {}", e.hint()))?;
    library.log_level_changed();
    library.connectors.into_iter().find(|c| c.info().kind.name() == kind).context("one of this kind")
}

fn refusal(path: &Path) -> Result<LoadError> {
    load::open(path).err().context("it is refused")
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
            // A word that is not known is no reason to stop.
            assert_eq!(read.fidelity, if name == "newer" { Fidelity::Other } else { Fidelity::Exact }, "{name}");
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

struct ThreeBytes;

impl ReadAt for ThreeBytes {
    fn len(&self) -> u64 {
        3
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> PluginResult<usize> {
        assert_eq!((offset, buffer.len()), (0, 3));
        buffer.copy_from_slice(&[7, 8, 9]);
        Ok(3)
    }
    fn read_at_cx(&self, offset: u64, buffer: &mut [u8], _: &rivet_plugin_api::Cx) -> PluginResult<usize> {
        self.read_at(offset, buffer)?;
        buffer[0] = 1;
        Ok(3)
    }
}

#[test]
fn what_the_host_lends_grows_too() -> Result<()> {
    for (name, version, edits, first) in [("older", "0.1.0", OLDER, 7), ("newer", "0.1.9", NEWER, 1)] {
        let format = open(&build_revision(name, version, edits)?, "format")?.open_format(&json!({}))?;
        let token = CancelToken::new();
        token.keep_warnings();
        let mut stream = format.reader(Box::new(ThreeBytes))?;
        let batch = stream.next(&token.cx())?.context("a batch")?;
        let bytes = batch["n"].as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(bytes, [first, 8, 9], "{name}: an older plugin reads without a context");
        let told = if name == "older" { &[][..] } else { &["growth read a part"] };
        assert_eq!(token.take_warnings(), told, "{name}");
    }
    Ok(())
}

#[test]
fn words_that_the_other_side_does_not_know_are_refused_by_name_or_read_as_the_careful_choice() -> Result<()> {
    let newer = open(&build_revision("newer", "0.1.9", NEWER)?, "format")?.open_format(&json!({}))?;
    let schema = arrow_schema::Schema::new(vec![arrow_schema::Field::new("n", arrow_schema::DataType::Int64, false)]);
    let mapped = newer.map(&schema.into())?;
    assert!(matches!(&mapped[..], [FieldMapping::Refuse(why)] if why.contains("cast")), "{mapped:?}");

    let older = open(&build_revision("older", "0.1.0", OLDER)?, "source")?;
    let ConnectorKind::Source(can) = &older.info().kind else { anyhow::bail!("no source") };
    assert!(can.query && !can.range, "it had one flag for all ways to choose rows, and took queries: {can:?}");
    let token = CancelToken::new();
    let mut group = older.open_group(&json!({ "options": {}, "n_sessions": 1 }), &token.cx())?;
    assert!(group.snapshot.server.contains("notices"), "the host says what it knows: {:?}", group.snapshot);
    let relation = Relation::Table { schema: None, name: "any".to_owned() };
    let columns = group.sessions[0].describe(&relation, &token.cx())?.columns;
    let scan = Scan { read: ReadMode::Fetch, ..Scan::new(relation, columns) };
    let error: PluginError = group.sessions[0].scan(&scan, &token.cx()).err().context("it is refused")?;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "wire.unknown_word"), "{error:?}");
    assert!(error.message().starts_with("plugin 'growth': ") && error.message().ends_with("`fetch`"), "{error}");
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
