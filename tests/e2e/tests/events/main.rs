//! What a run says while it goes on: events (`--output ndjson`: one JSON object a line), a log, a terminal.
//! Must not know any crate of the product.

mod seen;
mod terminal;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::oracle;
use serde_json::{Value, json};

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {destination: {type: local, path: 'out/{export}'}}
exports:
- {name: a, table: a, tuning: {batch_size: 5, throttle_ms: 300}}
- {name: gone, table: gone}
";

/// A table `a` of 20 rows.
fn workspace(config: &str) -> Result<Workspace> {
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table a (id integer primary key)')
con.executemany('insert into a values (?)', [(i,) for i in range(20)])
con.commit()
";
    let workspace = Workspace::new(config)?;
    oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string()])?;
    Ok(workspace)
}

fn events(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("read {line:?}"))).collect()
}

/// The kinds of the events of one export, in order, repeated ones once.
fn kinds<'e>(events: &'e [Value], export: &str) -> Vec<&'e str> {
    let mut kinds: Vec<_> =
        events.iter().filter(|e| e["export"] == export).filter_map(|e| e["event"].as_str()).collect();
    kinds.dedup();
    kinds
}

#[test]
fn events_come_while_the_run_goes_on() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let mut child = workspace.spawn(&["run", "--output", "ndjson"])?;
    let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        seen.push(serde_json::from_str::<Value>(&line?)?);
        if seen.last().is_some_and(|e| e["event"] == "progress") {
            break;
        }
    }
    ensure!(child.try_wait()?.is_none(), "the run goes on after its first progress");
    for line in lines {
        seen.push(serde_json::from_str(&line?)?);
    }
    assert_eq!(child.wait()?.code(), Some(1), "one export does not exist");
    ensure!(seen.iter().all(|e| e["v"] == 1 && e["at"].as_str().is_some_and(|at| at.ends_with('Z'))), "{seen:?}");
    ensure!(seen.iter().all(|e| e["run_id"].as_str().is_some_and(|id| id.len() > 15)), "{seen:?}");
    assert_eq!(
        kinds(&seen, "a"),
        ["run_started", "planned", "progress", "part_written", "split_done", "export_finished"]
    );
    assert_eq!(kinds(&seen, "gone"), ["run_started", "export_finished"]);
    let of = |export: &str, kind: &str| -> Result<&Value> {
        let found = seen.iter().rfind(|e| e["export"] == export && e["event"] == kind);
        found.with_context(|| format!("{kind} of {export}"))
    };
    assert_eq!(of("a", "part_written")?["rows"], 20);
    ensure!(of("a", "progress")?["rows"].as_u64() > Some(5), "progress goes on");
    let summary = &of("a", "export_finished")?["summary"];
    assert_eq!((&summary["status"], &summary["rows"]), (&json!("success"), &json!(20)));
    let failed = &of("gone", "export_finished")?["summary"];
    ensure!(failed["status"] == "failed" && failed["error"]["hint"].is_string(), "{failed}");
    Ok(())
}

#[test]
fn failures_before_a_run_are_events_too() -> Result<()> {
    let workspace = workspace("exports: []\n")?;
    let ran = workspace.rivet(&["run", "--output", "ndjson"])?.expect(1)?;
    let all = events(ran.text()?)?;
    ensure!(!all.is_empty() && all.iter().all(|e| e["event"] == "error" && e["error"]["code"].is_string()), "{all:?}");
    Ok(())
}

#[test]
fn data_on_stdout_sends_events_to_stderr() -> Result<()> {
    let (head, _) = CONFIG.split_once("defaults").context("a config")?;
    let workspace = workspace(&format!("{head}exports: [{{name: a, table: a, destination: {{type: stdout}}}}]\n"))?;
    let ran = workspace.rivet(&["run", "--output", "ndjson"])?.expect(0)?;
    ensure!(ran.stdout.starts_with(b"PAR1") && ran.stdout.ends_with(b"PAR1"), "the file and nothing else");
    let all = events(&ran.stderr)?;
    assert_eq!(kinds(&all, "a").last(), Some(&"export_finished"), "{all:?}");
    Ok(())
}

#[test]
fn lists_become_lines() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let plugins = events(workspace.rivet(&["plugin", "list", "--output", "ndjson"])?.expect(0)?.text()?)?;
    let whole = workspace.rivet(&["plugin", "list", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(Value::from(plugins), whole["plugins"]);
    let shown = events(workspace.rivet(&["state", "show", "--output", "ndjson"])?.expect(0)?.text()?)?;
    assert_eq!(shown.iter().map(|e| &e["export"]).collect::<Vec<_>>(), ["a", "gone"]);
    Ok(())
}

#[test]
fn a_reader_of_events_that_goes_away_does_not_stop_the_run() -> Result<()> {
    let workspace = workspace(&CONFIG.replace(", throttle_ms: 300", ""))?;
    let mut child = workspace.spawn(&["run", "-e", "a", "--output", "ndjson"])?;
    drop(child.stdout.take().map(Stdio::from));
    let ended = child.wait_with_output()?;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    rivet_test_e2e::Exported::read(&workspace.path().join("out/a")).map(drop)
}
