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
        "config parse ok",
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
        (&document["probes"][3]["fact"], &document["probes"][5]["fact"]),
        (&json!("2 columns"), &json!("1 column"))
    );
    let text = workspace.rivet(&["doctor"])?.expect(0)?;
    let text = text.text()?;
    // A line for the config, one for the source, one for each destination, and the probes.
    assert_eq!(text.matches("[OK]").count(), 11 + 5, "{text}");
    assert_eq!(text.lines().next(), Some("[OK]  Config parsed successfully"), "{text}");
    assert_eq!(text.lines().last(), Some("All checks passed."), "{text}");
    for part in [
        "[OK]  Source sqlite ",
        "SQLite 3.",
        "grants, export 'b' (query)",
        "[OK]  Destination local",
        "elsewhere/20",
        "write and delete",
    ] {
        ensure!(text.contains(part), "{part:?} in\n{text}");
    }
    let lines = workspace.rivet(&["doctor", "-e", "b", "--output", "ndjson"])?.expect(0)?;
    let lines: Vec<Value> = lines.text()?.lines().map(|l| Ok(serde_json::from_str(l)?)).collect::<Result<_>>()?;
    assert_eq!(
        lines.iter().map(|l| l["probe"].clone()).collect::<Vec<_>>(),
        ["parse", "open", "server", "grants", "open", "write"]
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
        "config parse ok",
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
    let error = &document["probes"][1]["error"];
    ensure!(error["message"].as_str().is_some_and(|m| m.contains("data.db")), "{error}");
    ensure!(error["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{error}");
    let text = workspace.rivet(&["doctor"])?.expect(1)?;
    let lines: Vec<&str> = text.text()?.lines().collect();
    assert_eq!((lines[0], lines[1]), ("[OK]  Config parsed successfully", ""), "{lines:#?}");
    assert_eq!(lines[2], "[FAIL] Source sqlite", "{lines:#?}");
    ensure!(lines[3].starts_with("  [FAIL] session") && lines[3].contains("not found: "), "{lines:#?}");
    ensure!(lines[4].trim_start().starts_with("fix: "), "{lines:#?}");
    ensure!(lines[5].starts_with("  [--]   server"), "{lines:#?}");
    let last = lines.last().context("a closing line")?;
    assert_eq!(*last, "Some checks failed (1 of 8). Fix what is marked [FAIL] before running exports.");
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
        &found[3..6],
        ["source grants a failed not found", "source grants b ok", "source grants c failed other"],
        "{document}"
    );
    ensure!(document["probes"][5]["error"]["message"].to_string().contains("'w'"), "{document}");
    ensure!(document["probes"][3]["error"]["message"].to_string().contains("gone"), "{document}");
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
        assert_eq!(&probes(&document)?[4..], expected, "{document}");
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
    ensure!(unknown.text()?.contains("nobody"), "{}", unknown.text()?);
    // Two mistakes are two lines, each with its fix.
    workspace.configure(&CONFIG.replace("table: a}", "tabel: a}").replace("profile: fast", "profile: fsat"))?;
    let failed = workspace.rivet(&["doctor"])?.expect(1)?;
    let lines: Vec<&str> = failed.text()?.lines().collect();
    assert_eq!(failed.stderr, "", "{lines:#?}");
    let of_config = lines.iter().filter(|line| line.starts_with("[FAIL] Config: "));
    ensure!(of_config.count() >= 2, "{lines:#?}");
    ensure!(lines.iter().any(|l| l.trim_start().starts_with("fix: ") && l.contains("table")), "{lines:#?}");
    ensure!(lines.last().is_some_and(|last| last.starts_with("Some checks failed")), "{lines:#?}");
    let document = workspace.rivet(&["doctor", "--output", "json"])?.expect(1)?.json()?;
    assert_eq!((&document["healthy"], &document["probes"][0]["kind"]), (&json!(false), &json!("config")), "{document}");
    fs::remove_file(workspace.path().join("rivet.yaml"))?;
    let gone = workspace.rivet(&["doctor"])?.expect(1)?;
    ensure!(gone.text()?.starts_with("[FAIL] Config: ") && gone.text()?.contains("rivet.yaml"), "{}", gone.text()?);
    Ok(())
}
