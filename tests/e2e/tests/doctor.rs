//! `rivet doctor` over files: what is well, what is missing, what cannot be written; no trace.
//! Must not know any crate of the product.

use std::fs;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Mount, Workspace, files_below};
use rivet_test_servers::oracle::{self, schema_errors};
use serde_json::{Value, json};

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {tuning: {profile: fast}, destination: {type: local, path: 'out/{export}'}}
exports:
- {name: a, table: a}
- {name: b, query: 'select v from a'}
- {name: c, table: a, select: [v], destination: {type: local, path: 'elsewhere/{date}'}}
";

/// A table `a` of two columns.
fn workspace(config: &str) -> Result<Workspace> {
    let workspace = Workspace::new(config)?;
    let data = workspace.path().join("data.db").display().to_string();
    let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('create table a (id integer, v text)')";
    oracle::run(script, &[&data])?;
    Ok(workspace)
}

/// Each probe as `kind probe status`, with the export or the category where there is one.
fn probes(document: &Value) -> Result<Vec<String>> {
    let rows = document["probes"].as_array().with_context(|| format!("probes in {document}"))?;
    let word = |value: &Value| value.as_str().map(|text| format!(" {text}")).unwrap_or_default();
    let one = |row: &Value| {
        let text = format!("{}{}{}", word(&row["kind"]), word(&row["probe"]), word(&row["export"]));
        format!("{text}{}{}", word(&row["status"]), word(&row["error"]["category"])).trim_start().to_owned()
    };
    Ok(rows.iter().map(one).collect())
}

#[test]
fn all_is_well_and_nothing_is_left() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let before = files_below(workspace.path())?;
    let document = workspace.rivet(&["doctor", "--output", "json"])?.expect(0)?.json()?;
    let expected = [
        "source open ok",
        "source server ok",
        "source grants a ok",
        "source grants b ok",
        "source grants c ok",
        "destination open ok",
        "destination write ok",
        "destination open ok",
        "destination write ok",
        "destination open ok",
        "destination write ok",
    ];
    assert_eq!(probes(&document)?, expected, "{document}");
    assert_eq!((&document["version"], &document["healthy"]), (&json!(1), &json!(true)));
    assert_eq!(
        (&document["probes"][2]["fact"], &document["probes"][4]["fact"]),
        (&json!("2 columns"), &json!("1 column"))
    );
    let text = workspace.rivet(&["doctor"])?.expect(0)?;
    let text = text.text()?;
    assert_eq!(text.matches("[OK]").count(), 11, "{text}");
    for part in [
        "source sqlite ",
        "SQLite 3.",
        "grants, export 'b' (query)",
        "destination local",
        "elsewhere/20",
        "write and delete",
    ] {
        ensure!(text.contains(part), "{part:?} in\n{text}");
    }
    let lines = workspace.rivet(&["doctor", "-e", "b", "--output", "ndjson"])?.expect(0)?;
    let lines: Vec<Value> = lines.text()?.lines().map(|l| Ok(serde_json::from_str(l)?)).collect::<Result<_>>()?;
    assert_eq!(
        lines.iter().map(|l| l["probe"].clone()).collect::<Vec<_>>(),
        ["open", "server", "grants", "open", "write"]
    );
    assert_eq!(files_below(workspace.path())?, before, "no file");
    for folder in ["out", "elsewhere"] {
        ensure!(!workspace.path().join(folder).exists(), "no folder {folder}");
    }
    let schema = workspace.rivet(&["schema", "doctor"])?.expect(0)?;
    let verdicts = schema_errors(schema.text()?, &[document.to_string(), "{\"version\": 1}".to_owned()])?;
    ensure!(verdicts[0].is_empty() && !verdicts[1].is_empty(), "{verdicts:?}");
    Ok(())
}

#[test]
fn a_file_that_is_missing_stops_the_source_alone() -> Result<()> {
    let workspace = Workspace::new(CONFIG)?;
    let ran = workspace.rivet(&["doctor", "--output", "json"])?.expect(1)?;
    let document = ran.json()?;
    let expected = [
        "source open failed not found",
        "source server skipped",
        "source grants a skipped",
        "source grants b skipped",
        "source grants c skipped",
        "destination open ok",
        "destination write ok",
        "destination open ok",
        "destination write ok",
        "destination open ok",
        "destination write ok",
    ];
    assert_eq!(probes(&document)?, expected, "{document}");
    assert_eq!(document["healthy"], false);
    let error = &document["probes"][0]["error"];
    ensure!(error["message"].as_str().is_some_and(|m| m.contains("data.db")), "{error}");
    ensure!(error["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{error}");
    let text = workspace.rivet(&["doctor"])?.expect(1)?;
    let lines: Vec<&str> = text.text()?.lines().collect();
    ensure!(lines[1].starts_with("  [FAIL] session") && lines[1].contains("not found: "), "{lines:#?}");
    ensure!(lines[2].trim_start().starts_with("fix: "), "{lines:#?}");
    ensure!(lines[3].starts_with("  [--]   server"), "{lines:#?}");
    Ok(())
}

#[test]
fn each_relation_and_each_column_is_looked_for() -> Result<()> {
    let config = CONFIG.replace("table: a}", "table: gone}").replace("select: [v]", "select: [w]");
    let workspace = workspace(&config)?;
    let document = workspace.rivet(&["doctor", "--output", "json"])?.expect(1)?.json()?;
    let found = probes(&document)?;
    // One that fails does not stop the next.
    assert_eq!(
        &found[2..5],
        ["source grants a failed not found", "source grants b ok", "source grants c failed other"],
        "{document}"
    );
    ensure!(document["probes"][4]["error"]["message"].to_string().contains("'w'"), "{document}");
    ensure!(document["probes"][2]["error"]["message"].to_string().contains("gone"), "{document}");
    Ok(())
}

#[test]
fn a_place_that_cannot_be_written_is_named() -> Result<()> {
    let mount = Mount::tmpfs("ro")?;
    for (path, expected) in [
        (mount.path(), ["destination open ok", "destination write failed auth"]),
        (mount.path().join("below/it"), ["destination open failed auth", "destination write skipped"]),
    ] {
        let workspace = workspace(&CONFIG.replace("out/{export}", &path.display().to_string()))?;
        let document = workspace.rivet(&["doctor", "-e", "a", "--output", "json"])?.expect(1)?.json()?;
        assert_eq!(&probes(&document)?[3..], expected, "{document}");
        let text = workspace.rivet(&["doctor", "-e", "a"])?.expect(1)?;
        let text = text.text()?;
        ensure!(text.contains("[FAIL]") && text.contains("fix: ") && text.contains("mounted read-only"), "{text}");
    }
    Ok(())
}

#[test]
fn help_and_wrong_configs() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let help = workspace.rivet(&["doctor", "--help"])?.expect(0)?;
    for part in ["[FAIL]", "not found", "--export", "exit code"] {
        ensure!(help.text()?.contains(part), "{part} in\n{}", help.text()?);
    }
    let unknown = workspace.rivet(&["doctor", "-e", "nobody"])?.expect(1)?;
    ensure!(unknown.stderr.contains("nobody"), "{}", unknown.stderr);
    fs::remove_file(workspace.path().join("rivet.yaml"))?;
    workspace.rivet(&["doctor"])?.expect(1)?;
    Ok(())
}
