//! `rivet run --dry-run`: says everything, writes nothing.
//! Must not know any crate of the product.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {tuning: {profile: fast}, destination: {type: local, path: 'out/deep/{export}'}}
exports:
- {name: a, table: a}
- {name: b, query: 'select v from a'}
";

/// A table `a` of 100 rows.
fn workspace() -> Result<Workspace> {
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table a (id integer primary key, v text, d decimal(8,2))')
con.executemany('insert into a values (?, ?, 1)', [(i, f'v{i}') for i in range(100)])
con.commit()
";
    let workspace = Workspace::new(CONFIG)?;
    oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string()])?;
    Ok(workspace)
}

/// Every file and folder with its content.
fn everything(workspace: &Workspace) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for file in files_below(workspace.path())? {
        let folders = file.ancestors().skip(1).take_while(|p| *p != workspace.path());
        found.extend(folders.map(|p| (p.to_owned(), Vec::new())));
        found.insert(file.clone(), fs::read(&file)?);
    }
    for entry in fs::read_dir(workspace.path())? {
        found.entry(entry?.path()).or_default();
    }
    Ok(found)
}

#[test]
fn a_dry_run_shows_the_plan_and_leaves_no_trace() -> Result<()> {
    let workspace = workspace()?;
    let before = everything(&workspace)?;
    let document = workspace.rivet(&["run", "--dry-run", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(everything(&workspace)?, before, "nothing before the first run");
    let (a, b) = (&document["exports"][0], &document["exports"][1]);
    assert_eq!((&a["export"], &a["strategy"], &a["error"]), (&json!("a"), &json!("full-scan"), &json!(null)));
    assert_eq!((&a["relation"], &b["relation"]), (&json!("a"), &json!("query")));
    ensure!(a["destination"]["identity"].as_str().is_some_and(|d| d.contains("out/deep/a")), "{a}");
    assert_eq!((&a["source"]["plugin"], &a["splits"][0]["label"]), (&json!("sqlite"), &json!("all rows")));
    let types: Vec<_> = a["columns"].as_array().context("columns")?.iter().map(|c| &c["arrow_type"]).collect();
    assert_eq!(types, ["Int64", "Utf8", "Decimal128(8, 2)"]);
    assert_eq!(a["columns"][2]["native_type"], "decimal(8,2)");

    workspace.run()?.expect(0)?;
    let after_run = everything(&workspace)?;
    let text = workspace.rivet(&["run", "--dry-run"])?.expect(0)?;
    assert_eq!(everything(&workspace)?, after_run, "nothing after a run");
    for word in ["a: full-scan", "b: full-scan", "decimal(8,2)", "Decimal128(8, 2)", "can be written", "out/deep/b"] {
        ensure!(text.text()?.contains(word), "{word} in {}", text.text()?);
    }
    let lines = workspace.rivet(&["run", "--dry-run", "--output", "ndjson"])?.expect(0)?;
    let names: Vec<Value> = lines
        .text()?
        .lines()
        .map(|l| Ok(serde_json::from_str::<Value>(l)?["export"].clone()))
        .collect::<Result<_>>()?;
    assert_eq!(names, ["a", "b"]);
    Ok(())
}

#[test]
fn what_a_run_would_meet_is_met_and_the_others_are_shown() -> Result<()> {
    let workspace = workspace()?;
    workspace.configure(&CONFIG.replace("table: a", "table: gone"))?;
    let before = everything(&workspace)?;
    let failed = workspace.rivet(&["run", "--dry-run"])?.expect(1)?;
    ensure!(failed.stderr.contains("export 'a'") && failed.stderr.contains("gone"), "{}", failed.stderr);
    ensure!(failed.text()?.contains("b: full-scan"), "{:?}", failed.text()?);
    let document = workspace.rivet(&["run", "--dry-run", "--output", "json"])?.expect(1)?.json()?;
    ensure!(document["exports"][0]["error"]["code"].is_string(), "{document}");
    assert_eq!(everything(&workspace)?, before);

    workspace.configure(CONFIG)?;
    fs::create_dir_all(workspace.path().join("out/deep"))?;
    fs::write(workspace.path().join("out/deep/a"), "in the way")?;
    let failed = workspace.rivet(&["run", "--dry-run", "-e", "a"])?.expect(1)?;
    ensure!(failed.stderr.contains("out/deep/a") && failed.stderr.contains("export 'a'"), "{}", failed.stderr);
    Ok(())
}

#[test]
fn drift_and_runs_in_the_way_are_foreseen() -> Result<()> {
    let workspace = workspace()?;
    workspace.run()?.expect(0)?;
    let changed = CONFIG.replace("select v from a", "select v, 1 as added from a");
    workspace.configure(&changed)?;
    let document = workspace.rivet(&["run", "--dry-run", "--output", "json"])?.expect(0)?.json()?;
    let warnings = document["exports"][1]["warnings"].to_string();
    ensure!(warnings.contains("added"), "{document}");
    workspace.configure(&changed.replace("defaults: {", "defaults: {on_schema_drift: fail, "))?;
    workspace.rivet(&["run", "--dry-run"])?.expect(4)?;

    workspace.configure(&CONFIG.replace("{profile: fast}", "{batch_size: 1, throttle_ms: 1000}"))?;
    let mut slow = workspace.spawn(&["run", "-e", "a"])?;
    let warned = |word: &str| -> Result<bool> {
        let document = workspace.rivet(&["run", "--dry-run", "-e", "a", "--output", "json"])?.expect(0)?.json()?;
        Ok(document["exports"][0]["warnings"].to_string().contains(word))
    };
    let mut seen = Ok(false);
    for _ in 0..100 {
        seen = warned(&format!("process {}", slow.id()));
        if !matches!(seen, Ok(false)) {
            break;
        }
    }
    slow.kill()?;
    slow.wait()?;
    ensure!(seen?, "the dry run never saw the run");
    ensure!(warned("did not end")?, "the dead run is seen");
    Ok(())
}
