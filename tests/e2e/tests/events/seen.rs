//! A run without a terminal: a log that says in order what happened when, blocks with words that scripts look for, and files.
//! Must not know any crate of the product.

use std::fs;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::oracle;
use serde_json::Value;

use super::workspace;

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {destination: {type: local, path: 'out/{export}'}}
exports:
- {name: gone, table: gone}
- {name: a, table: a, tuning: {batch_size: 5, throttle_ms: 300}}
- {name: b, table: a, compression: snappy}
";

/// Whether a line of a log begins with a time.
fn is_timed(line: &str) -> bool {
    line.split(' ').next().is_some_and(|at| at.len() == 24 && at.ends_with('Z') && at.starts_with("20"))
}

/// The lines of the block of an export: label and what it says.
fn block(stderr: &str, export: &str) -> Vec<(String, String)> {
    let lines = stderr.lines().skip_while(|line| *line != format!("── {export} ──")).skip(1);
    let inside = lines.take_while(|line| line.starts_with("  "));
    let pairs = inside.filter_map(|line| line.trim_start().split_once(':'));
    pairs.map(|(label, said)| (label.to_owned(), said.trim().to_owned())).collect()
}

fn said<'b>(block: &'b [(String, String)], label: &str) -> Option<&'b str> {
    block.iter().find(|(l, _)| l == label).map(|(_, said)| said.as_str())
}

#[test]
fn a_log_says_in_order_what_happened_when() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let mut child = workspace.spawn(&["run", "--fault", "progress:200"])?;
    let mut lines = BufReader::new(child.stderr.take().context("piped")?).lines();
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        seen.push(line?);
        if seen.last().is_some_and(|line| line.starts_with("  hint:")) {
            break;
        }
    }
    ensure!(child.try_wait()?.is_none(), "a failure is told at once: {seen:?}");
    for line in lines {
        seen.push(line?);
    }
    ensure!(child.wait()?.code() == Some(1), "one export does not exist");
    let at = |words: &str| {
        seen.iter().position(|line| line.contains(words)).with_context(|| format!("{words} in {seen:#?}"))
    };
    let order = [
        at(" INFO gone: run 20")?,
        at("── gone ──")?,
        at(" INFO a: run 20")?,
        at(" INFO a: full-scan")?,
        at(" INFO a: 10 of about 20 rows")?,
        at("── a ──")?,
        at(" INFO b: run 20")?,
        at("── b ──")?,
        at("2 succeeded, 1 failed: gone")?,
    ];
    ensure!(order.is_sorted() && order[8] + 1 == seen.len(), "{order:?} {seen:#?}");
    for line in seen.iter().filter(|line| !line.starts_with("  ") && !line.starts_with("── ")) {
        ensure!(is_timed(line) || line.starts_with("2 succeeded"), "{line:?} says no time");
    }
    ensure!(!seen.iter().any(|line| line.contains('\x1b')), "{seen:?}");
    Ok(())
}

#[test]
fn a_block_has_the_words_that_scripts_look_for() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let first = workspace.rivet(&["run", "-e", "b", "--validate"])?.expect(0)?;
    let labels: Vec<String> = block(&first.stderr, "b").into_iter().map(|(label, _)| label).collect();
    let all = ["run_id", "status", "tuning", "strategy", "rows", "files", "bytes", "duration", "peak RSS", "validated"];
    let rest = ["compression", "ended", "read", "manifest"];
    assert_eq!(labels, [&all[..], &rest[..]].concat(), "no schema to compare with, no retries");
    ensure!(!first.stderr.contains("earlier run") && !first.stderr.contains("succeeded"), "{}", first.stderr);
    let second = workspace.rivet(&["run", "-e", "b"])?.expect(0)?;
    ensure!(
        second.stderr.contains("Z warning: export 'b': this folder holds parts of 1 earlier run"),
        "{}",
        second.stderr
    );
    let read = block(&second.stderr, "b");
    for (label, expected) in [
        ("status", "success"),
        ("tuning", "profile=balanced, batch_size=10000"),
        ("rows", "20"),
        ("files", "1"),
        ("schema", "unchanged"),
        ("compression", "snappy"),
    ] {
        assert_eq!(said(&read, label), Some(expected), "{read:?}");
    }
    let files = said(&read, "read").context("what to read")?;
    let rows = oracle::duckdb(&format!("select count(*) n from '{files}'"))?;
    assert_eq!(rows.trim(), r#"{"n": 20}"#, "this run alone");
    let failed = workspace.rivet(&["run", "-e", "gone"])?.expect(1)?;
    let read = block(&failed.stderr, "gone");
    let labels: Vec<&str> = read.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["run_id", "status", "tuning", "duration", "peak RSS", "ended", "error", "hint"]);
    assert_eq!(said(&read, "status"), Some("failed"));
    Ok(())
}

#[test]
fn several_files_are_read_by_one_pattern_and_a_change_of_the_schema_is_said() -> Result<()> {
    let config = CONFIG.replace("compression: snappy", "format: csv, max_file_size: 20, tuning: {batch_size: 5}");
    let workspace = workspace(&config)?;
    workspace.rivet(&["run", "-e", "b"])?.expect(0)?;
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('alter table a add column v text')";
    oracle::run(script, &[&workspace.path().join("data.db").display().to_string()])?;
    let ran = workspace.rivet(&["run", "-e", "b"])?.expect(0)?;
    ensure!(ran.stderr.contains("schema changed: a: 'v' text was added"), "{}", ran.stderr);
    let read = block(&ran.stderr, "b");
    assert_eq!(said(&read, "schema"), Some("CHANGED"));
    ensure!(said(&read, "files").is_some_and(|n| n != "1"), "{read:?}");
    let pattern = said(&read, "read").filter(|text| text.ends_with("_*.csv")).context("a pattern")?;
    let rows = oracle::duckdb(&format!("select count(*) n from read_csv('{pattern}', header = true)"))?;
    assert_eq!(rows.trim(), r#"{"n": 20}"#, "{pattern}");
    Ok(())
}

#[test]
fn summaries_are_written_where_they_are_asked_for() -> Result<()> {
    let workspace = workspace(&format!("summary: true\n{CONFIG}"))?;
    let ran = workspace.rivet(&["run", "--json", "--summary-output", "told/all.json"])?.expect(1)?;
    let document = ran.json()?;
    let read = |path: &str| -> Result<Value> {
        let text = fs::read(workspace.path().join(path)).with_context(|| format!("read {path}"))?;
        serde_json::from_slice(&text).context("read it as JSON")
    };
    assert_eq!(read("told/all.json")?, document);
    for export in document["exports"].as_array().context("exports")? {
        let run_id = export["run_id"].as_str().context("a run")?;
        let own = read(&format!(".rivet/runs/{run_id}/summary.json"))?;
        assert_eq!((&own["exports"][0], own["exports"].as_array().map(Vec::len)), (export, Some(1)));
    }
    fs::write(workspace.path().join("file"), "")?;
    let lost = workspace.rivet(&["run", "-e", "b", "--summary-output", "file/x.json"])?.expect(2)?;
    ensure!(lost.stderr.contains("failed to write the summary to 'file/x.json'"), "{}", lost.stderr);
    Ok(())
}

#[test]
fn errors_are_json_where_they_are_asked_for() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let errors = |words: &[&str]| -> Result<Vec<Value>> {
        let ran = workspace.rivet(words)?.expect(1)?;
        Ok(ran.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    };
    for words in [
        &["run", "-e", "gone", "--json-errors"][..],
        &["run", "-e", "nobody", "--json-errors"],
        &["metrics", "--json-errors", "--last", "x"],
    ] {
        let found = errors(words)?;
        ensure!(found.len() == 1 && found[0]["error"]["code"].is_string(), "{words:?}: {found:?}");
        ensure!(found[0]["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{words:?}: {found:?}");
    }
    Ok(())
}

const SIZED: &str = "\
source: {type: sqlite, path: data.db}
exports:
- name: a
  table: a
  mode: incremental
  cursor_column: id
  tuning: {batch_size_memory_mb: 10}
  destination: {type: local, path: out}
";

#[test]
fn logs_are_what_the_flags_say_else_rust_log() -> Result<()> {
    let logged = |variable: &str, words: &[&str]| -> Result<String> {
        let workspace: Workspace = workspace(SIZED)?.with_variable("RUST_LOG", variable);
        workspace.rivet(&["run"])?.expect(0)?;
        Ok(workspace.rivet(&[&["run"], words].concat())?.expect(0)?.stderr)
    };
    let info = logged("info", &[])?;
    for words in [": connected to ", " column, about ", "batch_size_memory_mb=10: computed batch_size=", "publishing "]
    {
        ensure!(info.contains(words), "{words} in {info}");
    }
    ensure!(!info.to_lowercase().contains("select "), "{info}");
    let debug = logged("debug", &[])?;
    // Behind the time, which may be any.
    let sql: Vec<&str> = debug.lines().filter_map(|line| Some(line.split_once("reads: SELECT ")?.1)).collect();
    ensure!(!sql.is_empty() && sql.iter().all(|line| line.contains("\"id\"") && !line.contains("19")), "{debug}");
    let quiet = logged("warn", &[])?;
    ensure!(!quiet.contains(" INFO ") && quiet.contains("status:      "), "{quiet}");
    let of_one = logged("warn,rivet_source_sqlite=debug", &[])?;
    ensure!(
        of_one.contains("reads: SELECT ") && !of_one.contains("connected to"),
        "a plugin by its own name: {of_one}"
    );
    let flag = logged("error", &["-v"])?;
    ensure!(flag.contains(": connected to "), "the flag wins: {flag}");
    let wrong = logged("a=b=c", &[])?;
    ensure!(wrong.contains("warning: RUST_LOG means nothing") && wrong.contains(" INFO a: run "), "{wrong}");
    Ok(())
}
