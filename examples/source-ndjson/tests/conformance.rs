//! The plugin under Rivet's conformance suite, and what the suite cannot know: its values and its errors.

use std::path::Path;

use anyhow::{Context, Result};
use rivet_plugin_api::arrow_array::RecordBatch;
use rivet_plugin_api::arrow_array::cast::AsArray;
use rivet_plugin_api::arrow_array::types::{Float64Type, Int64Type};
use rivet_plugin_api::{CancelToken, ErrorKind, PluginError, Relation, Scan};
use rivet_test_kit::{conformance, linked, loaded};
use serde_json::{Value, json};
use source_ndjson as _;

fn events() -> Relation {
    Relation::Table { schema: None, name: "events".to_owned() }
}

/// What core would ask for, with `lines` in a file of the folder.
fn request(folder: &Path, lines: &str) -> Result<Value> {
    std::fs::write(folder.join("events.ndjson"), lines)?;
    let columns = json!([
        {"name": "id", "type": "int64", "required": true},
        {"name": "paid", "type": "bool"},
        {"name": "total", "type": "float64"},
        {"name": "note", "type": "text"},
    ]);
    Ok(json!({"options": {"path": folder, "tables": {"events": columns}}, "n_sessions": 2}))
}

const LINES: &str = "{\"id\": 1, \"paid\": true, \"total\": 0.1, \"note\": \"ü \\\"q\\\"\"}\n\
                     {\"id\": -9223372036854775808, \"paid\": null, \"unknown\": [1]}\n\
                     \n\
                     {\"id\": 9223372036854775807, \"paid\": false, \"total\": -7, \"note\": \"\"}";

#[test]
fn linked_and_loaded_it_keeps_the_rules_and_reads_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let request = request(folder.path(), LINES)?;
    let batches = conformance::source(&linked("ndjson")?, &request, &events()).context("linked")?;
    let again = conformance::source(&loaded("source-ndjson", "ndjson")?, &request, &events()).context("loaded")?;
    assert_eq!(batches, again);
    let batch = &batches[0];
    assert_eq!(batch.num_rows(), 3);
    assert_eq!(batch["id"].as_primitive::<Int64Type>().values(), &[1, i64::MIN, i64::MAX]);
    assert_eq!(batch["paid"].as_boolean().iter().collect::<Vec<_>>(), [Some(true), None, Some(false)]);
    assert_eq!(batch["total"].as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(0.1), None, Some(-7.0)]);
    assert_eq!(batch["note"].as_string::<i32>().iter().collect::<Vec<_>>(), [Some("ü \"q\""), None, Some("")]);
    Ok(())
}

#[test]
fn many_lines_pass_the_suite_in_many_splits() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let line = |i: i64| format!("{{\"id\": {i}, \"note\": \"{}\"}}\n", "x".repeat((i % 97) as usize));
    let request = request(folder.path(), &(0..300).map(line).collect::<String>())?;
    let batches = conformance::source(&linked("ndjson")?, &request, &events())?;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 300);
    Ok(())
}

/// Reads everything, with at most 100 bytes a line.
fn read(request: &Value) -> Result<usize, PluginError> {
    let token = CancelToken::new();
    let cx = token.cx();
    let mut request = request.clone();
    request["limits"] = json!({"max_value_bytes": 100});
    let mut group = linked("ndjson").expect("it is linked").open_group(&request, &cx)?;
    let session = &mut group.sessions[0];
    let columns = session.describe(&events(), &cx)?.columns;
    let mut stream = session.scan(&Scan::new(events(), columns), &cx)?;
    let mut n_rows = 0;
    while let Some(batch) = stream.next(&cx)? {
        n_rows += batch.num_rows();
    }
    Ok(n_rows)
}

#[test]
fn what_has_no_exact_place_is_refused_by_column_and_row() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let long = format!("{{\"id\": 1, \"note\": \"{}\"}}", "secret".repeat(100));
    for (second, column, says) in [
        ("{\"id\": 1.5}", Some("id"), "the value is no int64"),
        ("{\"id\": 9223372036854775808}", Some("id"), "the value is no int64"),
        ("{\"id\": 1, \"total\": 9007199254740993}", Some("total"), "the value is no float64"),
        ("{\"id\": 1, \"total\": 18446744073709551615}", Some("total"), "the value is no float64"),
        ("{\"id\": 1, \"note\": 5}", Some("note"), "the value is no text"),
        ("{\"paid\": true}", Some("id"), "a required value is missing"),
        ("[1]", None, "a line is no JSON object at character 0"),
        ("{\"id\": secret}", None, "a line is no JSON object at character 8"),
        (&long, None, "a line is longer than 100 bytes"),
    ] {
        let lines = format!("{{\"id\": 0}}\n{second}\n{{\"id\": 2}}\n");
        let error = read(&request(folder.path(), &lines)?).err().with_context(|| second.to_owned())?;
        assert_eq!((error.kind(), error.message()), (ErrorKind::Data, says), "{second}");
        assert_eq!((error.get("row"), error.get("column")), (Some("2"), column), "{second}");
        assert!(!format!("{error:?}").contains("secret"), "data in an error: {error:?}");
    }
    Ok(())
}

#[test]
fn wrong_options_and_missing_files_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = request(folder.path(), "")?;
    assert_eq!(read(&good)?, 0);
    std::fs::remove_file(folder.path().join("events.ndjson"))?;
    let with = |pointer: &str, value: Value| {
        let mut request = good.clone();
        request[pointer] = value;
        request
    };
    for (request, kind, says) in [
        (good.clone(), ErrorKind::NotFound, "events.ndjson"),
        (with("options", json!({"path": "no/such", "tables": {}})), ErrorKind::NotFound, "no/such"),
        (with("options", json!({"path": folder.path(), "tables": {}})), ErrorKind::NotFound, "has no 'events'"),
        (with("options", json!({"path": "x", "tables": {}, "tabels": 1})), ErrorKind::Config, "tabels"),
        (with("connection", json!({"host": "db1"})), ErrorKind::Config, "`host` means nothing to ndjson"),
        (with("snapshot", json!({"join": "x"})), ErrorKind::Conflict, "cannot join"),
    ] {
        let error = read(&request).err().context(says)?;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    Ok(())
}
