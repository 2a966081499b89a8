//! Every message with fields and words of a later day: read as the documented fallback, or refused by name, never a failure.
//! It must not know how messages travel.

use std::fmt::Debug;

use anyhow::{Context, Result};
use rivet_plugin_api::{
    CancelToken, Column, Connection, ConnectorInfo, ConnectorKind, ErrorKind, Estimate, Explained, Fidelity,
    FieldMapping, FormatCapabilities, Health, KeyValue, ListedTable, LogicalType, Notice, ObjectFacts, PartFacts,
    SnapshotInfo, SourceCapabilities, Split, StoreCapabilities, StreamFacts, StructField, TableKind, TableSchema, Tls,
    TlsMode,
};
use rivet_test_kit::linked_and_loaded;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The message with a field more in each struct. What has one key is a variant, or has no second one.
fn grown(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let is_struct = entries.len() > 1;
            let entries = entries.into_iter().map(|(key, value)| (key, grown(value)));
            let more = is_struct.then(|| ("of_a_later_day".to_owned(), json!({ "x": [1] })));
            Value::Object(entries.chain(more).collect())
        }
        Value::Array(items) => items.into_iter().map(grown).collect(),
        other => other,
    }
}

/// Whether a message of a later day reads as what is known of it.
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) -> Result<()> {
    let json = serde_json::to_value(message)?;
    let later = grown(json.clone());
    assert_ne!(later, json, "nothing was added");
    let read: T = serde_json::from_value(later.clone()).with_context(|| later.to_string())?;
    assert_eq!(read, *message);
    Ok(())
}

/// Whether an older message, which says nothing, can be read.
fn was_less<T: DeserializeOwned + Default + PartialEq + Debug>() -> Result<()> {
    assert_eq!(serde_json::from_str::<T>("{}")?, T::default());
    Ok(())
}

fn table() -> TableSchema {
    let place = LogicalType::Struct { fields: vec![StructField::new("n", LogicalType::Int { bits: 8, signed: true })] };
    let map = LogicalType::Map { key: Box::new(LogicalType::Text), value: Box::new(place) };
    let list = LogicalType::List { element: Box::new(LogicalType::Time { nanos: true }) };
    TableSchema {
        keys: vec![vec!["a".to_owned()]],
        ..TableSchema::of(vec![Column::new("a", "m", map), Column::new("b", "l", list)])
    }
}

fn info(kind: ConnectorKind) -> ConnectorInfo {
    let (version, abi_version) = ("1.0.0".to_owned(), "0.1.0".to_owned());
    ConnectorInfo { name: "x".to_owned(), kind, version, abi_version, options_schema: json!(true) }
}

#[test]
fn fields_of_a_later_day_are_passed_over_in_every_answer() -> Result<()> {
    survives(&table())?;
    survives(&Estimate { rows: Some(1), ..Default::default() })?;
    survives(&vec![Split::new(json!([1]), "all")])?;
    survives(&Health { server_version: "7".to_owned(), ..Default::default() })?;
    survives(&vec![Some(KeyValue::new("int", "1")), None])?;
    survives(&Explained { rows: Some(1), ..Default::default() })?;
    survives(&vec![ListedTable::new(Some("s".to_owned()), "t")])?;
    survives(&StreamFacts { longest_statement_ms: 1, ..Default::default() })?;
    survives(&SnapshotInfo { server: "s".to_owned(), ..Default::default() })?;
    survives(&PartFacts { rows: 1, row_groups: 1 })?;
    survives(&vec![ObjectFacts::new("a", 1, "/a")])?;
    survives(&info(ConnectorKind::Source(SourceCapabilities::default())))?;
    survives(&info(ConnectorKind::Format(FormatCapabilities::default())))?;
    survives(&info(ConnectorKind::Destination(StoreCapabilities::default())))?;
    survives(&Notice::Progress { done: 1, of: Some(2) })
}

#[test]
fn fields_that_are_not_there_yet_are_read_as_nothing_known() -> Result<()> {
    was_less::<Estimate>()?;
    was_less::<Health>()?;
    was_less::<Explained>()?;
    was_less::<StreamFacts>()?;
    was_less::<SnapshotInfo>()?;
    was_less::<PartFacts>()?;
    was_less::<SourceCapabilities>()?;
    was_less::<FormatCapabilities>()?;
    was_less::<StoreCapabilities>()
}

fn read<T: DeserializeOwned>(json: Value) -> Result<T> {
    serde_json::from_value(json.clone()).with_context(|| json.to_string())
}

#[test]
fn words_of_a_later_day_are_read_as_the_careful_choice_in_every_answer() -> Result<()> {
    for word in [json!("geometry"), json!({ "geometry": { "srid": 4326 } }), json!({ "int": { "digits": 7 } })] {
        for (json, place) in [
            (word.clone(), "itself"),
            (json!({ "list": { "element": word } }), "a list"),
            (json!({ "struct": { "fields": [{ "name": "a", "logical": word, "nullable": true }] } }), "a struct"),
            (json!({ "map": { "key": "text", "value": word } }), "a map"),
        ] {
            let column =
                json!({ "name": "c", "native_type": "n", "logical": json, "nullable": true, "fidelity": "rounded" });
            let table: TableSchema = read(json!({ "columns": [column] }))?;
            assert!(!table.columns[0].logical.is_known(), "{word} in {place}");
            assert_eq!(table.columns[0].fidelity, Fidelity::Other);
            assert_eq!(serde_json::to_value(&table.columns[0].logical)?, json, "it is kept as it came");
        }
    }
    let listed: ListedTable = read(json!({ "name": "t", "kind": "stream", "readable": true, "in_search_path": true }))?;
    assert_eq!(listed.kind, TableKind::Other);
    let bird = json!({ "name": "b", "kind": "bird", "capabilities": {}, "version": "1", "abi_version": "1", "options_schema": {} });
    assert_eq!(read::<ConnectorInfo>(bird)?.kind, ConnectorKind::Other);
    for word in [json!("skip"), json!({ "cast": "text" }), json!({ "keep": { "as": "text" } })] {
        assert!(matches!(read(word)?, FieldMapping::Refuse(why) if why.contains("newer rivet")));
    }
    for word in [json!("song"), json!({ "song": "of a bird" }), json!({ "progress": "half" })] {
        assert!(matches!(read(word)?, Notice::Unknown(_)));
    }
    Ok(())
}

/// What opens a source is the only request that holds options: what is wrong with them is another matter.
#[test]
fn words_of_a_later_day_are_refused_by_name_where_something_is_asked() -> Result<()> {
    for connector in linked_and_loaded("rivet-test-hostile", "hostile")? {
        let open = |more: Value| {
            let mut request = json!({ "options": {}, "n_sessions": 1 });
            request.as_object_mut().context("an object")?.extend(more.as_object().context("an object")?.clone());
            anyhow::Ok(connector.open_group(&request, &CancelToken::new().cx()).map(drop))
        };
        for (more, word) in [
            (json!({ "snapshot": "rewound" }), "rewound"),
            (json!({ "snapshot": { "at": 7 } }), "at"),
            (json!({ "relation": { "procedure": { "name": "p" } } }), "procedure"),
            (json!({ "choices": { "wanted": { "like": ["a%"] } } }), "like"),
            (json!({ "choices": { "policies": { "nan": "largest" } } }), "largest"),
            (json!({ "choices": { "columns": { "a": { "policies": { "zero_date": "epoch" } } } } }), "epoch"),
            (json!({ "connection": { "host": "h", "proxy": "p" } }), "proxy"),
            (json!({ "connection": { "tls": { "mode": "verify-twice" } } }), "verify-twice"),
        ] {
            let error = open(more.clone())?.err().with_context(|| more.to_string())?;
            assert_eq!(
                (error.kind(), error.code()),
                (ErrorKind::Unsupported, "wire.unknown_word"),
                "{more}: {error:?}"
            );
            assert!(error.message().starts_with("plugin 'hostile': it is older than"), "{error}");
            assert!(error.message().ends_with(&format!("`{word}`")), "{more}: {error}");
        }
        for more in [
            json!({ "later": 1, "limits": { "later_ms": 1 }, "host": { "abi_version": "9", "later": true } }),
            json!({ "choices": { "later": 1, "columns": { "a": { "logical": "geometry", "later": 1 } } } }),
        ] {
            assert!(open(more.clone())?.is_ok(), "{more}");
        }
        let error = open(json!({ "options": { "later": 1 } }))?.err().context("options are the user's")?;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "options.invalid"), "{error:?}");
    }
    let tls: Tls = read(json!({ "mode": "require" }))?;
    let connection: Connection = read(json!({ "tls": tls }))?;
    assert_eq!(connection.tls.map(|tls| tls.mode), Some(TlsMode::Require));
    Ok(())
}
