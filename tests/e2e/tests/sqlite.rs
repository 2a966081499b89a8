//! The binary over SQLite, as a user without a server sees it: plugins, stdout, parts, drift.
//! Must not know any crate of the product.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below, plugin_dir};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

/// A config of one table export to `out`; `more` are lines of the export.
fn config(table: &str, more: &str) -> String {
    format!(
        "source: {{type: sqlite, path: data.db}}\n\
         exports:\n\
         - name: {table}\n\
         \x20 table: {table}\n\
         \x20 tuning: {{profile: fast}}\n\
         \x20 destination: {{type: local, path: out}}\n{more}"
    )
}

/// Runs SQL by Python's sqlite3 on a file and returns the rows as JSON lists, one a line.
fn sqlite(workspace: &Workspace, file: &str, sql: &str) -> Result<String> {
    const SCRIPT: &str = "
import json, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
for statement in sys.argv[2].split(';'):
    for row in con.execute(statement):
        print(json.dumps(row))
con.commit()
";
    oracle::run(SCRIPT, &[&workspace.path().join(file).display().to_string(), sql])
}

#[test]
fn the_json_document_has_its_shape() -> Result<()> {
    let workspace = Workspace::new(&config("t", ""))?;
    sqlite(&workspace, "data.db", "create table t (a integer primary key, b text); insert into t values (1, 'x')")?;
    let ran = workspace.run()?.expect(0)?;
    let document = ran.json()?;
    assert_eq!(document["version"], 1);
    let summary = &document["exports"][0];
    for (key, value) in [
        ("export", json!("t")),
        ("status", json!("success")),
        ("rows", json!(1)),
        ("files", json!(1)),
        ("retries", json!(0)),
        ("error", json!(null)),
        ("profile", json!("fast")),
        ("strategy", json!("full-scan")),
        ("consistency", json!("snapshot")),
    ] {
        assert_eq!(summary[key], value, "{key} in {summary}");
    }
    for key in ["bytes", "peak_rss_bytes", "duration_ms", "longest_statement_ms", "rows_per_second"] {
        ensure!(summary[key].is_u64(), "{key} in {summary}");
    }
    let read = Exported::read(&workspace.path().join("out"))?;
    assert_eq!(summary["run_id"], read.manifest["run_id"]);
    assert_eq!(summary["manifest"], read.success["manifest"]);
    assert_eq!(summary["locations"], json!([read.parts[0]]));
    assert_eq!(summary["bytes"], read.manifest["bytes"]);
    Ok(())
}

#[test]
fn failures_are_json_too() -> Result<()> {
    let workspace = Workspace::new("exports: []\n")?;
    let ran = workspace.run()?.expect(1)?;
    for line in ran.text()?.lines() {
        let document: Value = serde_json::from_str(line)?;
        for key in ["code", "message"] {
            ensure!(document["error"][key].as_str().is_some_and(|s| !s.is_empty()), "{key} in {document}");
        }
    }
    ensure!(!ran.stdout.is_empty(), "an error is said");
    Ok(())
}

#[test]
fn plugins_are_listed_and_described() -> Result<()> {
    let workspace = Workspace::new("")?;
    let text = workspace.rivet(&["plugin", "list"])?.expect(0)?;
    let json = workspace.rivet(&["plugin", "list", "--output", "json"])?.expect(0)?.json()?;
    let listed = json["plugins"].as_array().context("a list")?;
    assert_eq!(listed.len(), 14);
    for (kind, name) in [
        ("source", "sqlite"),
        ("source", "postgres"),
        ("source", "mysql"),
        ("source", "mariadb"),
        ("source", "mssql"),
        ("format", "parquet"),
        ("format", "csv"),
        ("format", "arrow"),
        ("destination", "local"),
        ("destination", "file"),
        ("destination", "stdout"),
        ("destination", "s3"),
        ("destination", "gcs"),
        ("destination", "azure"),
    ] {
        let found = text.text()?.lines().any(|l| l.starts_with(kind) && l.split_whitespace().nth(1) == Some(name));
        ensure!(found, "{kind} {name} in {:?}", text.text()?);
        let entry = listed.iter().find(|p| p["kind"] == kind && p["name"] == name);
        let entry = entry.with_context(|| format!("{kind} {name} in {json}"))?;
        for key in ["version", "abi_version"] {
            ensure!(entry[key].as_str().is_some_and(|v| v.split('.').count() == 3), "{key} in {entry}");
        }
        let origin = entry["origin"].as_str().context("an origin")?;
        ensure!(origin.starts_with(&plugin_dir()?.display().to_string()), "{origin}");
        let info = workspace.rivet(&["plugin", "info", name])?.expect(0)?;
        ensure!(info.text()?.contains(name) && info.text()?.contains("capabilities"), "{:?}", info.text()?);
        let info = workspace.rivet(&["plugin", "info", name, "--output", "json"])?.expect(0)?.json()?;
        assert_eq!(&info, entry, "list and info agree");
        ensure!(info["options_schema"]["type"] == "object", "{info}");
    }
    let unknown = workspace.rivet(&["plugin", "info", "postgre"])?.expect(1)?;
    ensure!(unknown.stderr.contains("postgre") && unknown.stderr.contains("hint:"), "{}", unknown.stderr);
    Ok(())
}

#[test]
fn stdout_gets_the_file_and_nothing_else() -> Result<()> {
    let text = config("t", "").replace("{type: local, path: out}", "{type: stdout}");
    let workspace = Workspace::new(&text)?;
    let sql = "create table t (id integer primary key, v text); with recursive n(i) as (select 1 union all select \
               i + 1 from n where i < 30000) insert into t select i, 'value ' || i from n";
    sqlite(&workspace, "data.db", sql)?;
    for words in [&["run"][..], &["run", "--output", "json"]] {
        let mut child = workspace.spawn(words)?;
        // As in a shell's pipe: the reader has our stdout itself.
        let pipe = child.stdout.take().context("piped")?;
        const SCRIPT: &str = "import io, sys, pyarrow.parquet as p; b = sys.stdin.buffer.read(); \
                              t = p.read_table(io.BytesIO(b)); \
                              print(b[:4], b[-4:], t.num_rows, sum(t['id'].to_pylist()), t['v'][29999])";
        let script = format!("{SCRIPT}{}", oracle::END);
        let reader =
            Command::new(oracle::python()?).args(["-c", &script]).stdin(pipe).stdout(Stdio::piped()).spawn()?;
        let read = reader.wait_with_output()?;
        let ended = child.wait_with_output()?;
        ensure!(ended.status.success(), "rivet: {}", String::from_utf8_lossy(&ended.stderr));
        ensure!(read.status.success(), "the reader ended with {}", read.status);
        assert_eq!(String::from_utf8(read.stdout)?.trim(), "b'PAR1' b'PAR1' 30000 450015000 value 30000");
    }
    Ok(())
}

#[test]
fn parts_roll_at_their_size() -> Result<()> {
    let workspace = Workspace::new(&config("t", "  max_file_size: 1MB\n").replace("profile: fast", "batch_size: 500"))?;
    let sql = "create table t (id integer primary key, v blob); with recursive n(i) as (select 1 union all select \
               i + 1 from n where i < 8000) insert into t select i, randomblob(1000) from n";
    sqlite(&workspace, "data.db", sql)?;
    let read = workspace.export()?;
    ensure!((5..=16).contains(&read.parts.len()), "8 MB of noise in parts of 1 MB: {:?}", read.parts);
    for part in &read.parts {
        let bytes = fs::metadata(part)?.len();
        ensure!(bytes < 2 << 20, "{bytes} bytes in {}", part.display());
    }
    let rows = read.rows("count(*) n, count(distinct id) ids, sum(octet_length(v))::bigint bytes", "")?;
    assert_eq!(rows[0], json!({"n": 8000, "ids": 8000, "bytes": 8_000_000}));
    Ok(())
}

#[test]
fn an_empty_table_is_a_file_with_its_columns_or_skipped() -> Result<()> {
    let workspace = Workspace::new(&config("t", ""))?;
    sqlite(&workspace, "data.db", "create table t (id integer primary key, v text)")?;
    let read = workspace.export()?;
    assert_eq!((read.n_rows(), read.parts.len()), (0, 1));
    ensure!(read.schema()?.starts_with("id: int64 not null\nv: "), "{}", read.schema()?);
    let skipping = Workspace::new(&config("t", "  skip_empty: true\n"))?;
    sqlite(&skipping, "data.db", "create table t (id integer primary key, v text)")?;
    let document = skipping.run()?.expect(0)?.json()?;
    assert_eq!(document["exports"][0]["status"], "skipped");
    let written = files_below(&skipping.path().join("out"))?;
    ensure!(written.iter().all(|f| f.extension().is_none_or(|e| e != "parquet")), "{written:?}");
    Ok(())
}

#[test]
fn two_exports_share_a_folder_and_a_pipe_takes_one() -> Result<()> {
    let twice = "- name: t_2\n  table: u\n  keep_runs: 1\n  destination: {type: local, path: ./out/}\n";
    let workspace = Workspace::new(&config("t", twice))?;
    let sql =
        "create table t (id integer primary key); create table u (id integer primary key); insert into t values (1)";
    sqlite(&workspace, "data.db", sql)?;
    for _ in 0..2 {
        workspace.rivet(&["run"])?.expect(0)?;
        for (export, rows) in [("t", 1), ("t_2", 0)] {
            let pointer = std::fs::read(workspace.path().join(format!("out/_SUCCESS.{export}")))?;
            let pointer: serde_json::Value = serde_json::from_slice(&pointer)?;
            assert_eq!(pointer["rows"], rows, "each pointer is its export's own: {pointer}");
        }
    }
    let left = files_below(&workspace.path().join("out"))?;
    // The parts of one are called as if they were of a run of the other that starts with 2.
    let of = |export: &str| left.iter().filter(|f| f.to_string_lossy().contains(&format!("/{export}_2"))).count();
    assert_eq!((of("t"), of("t_2")), (3, 1), "keep_runs of one removes nothing of the other: {left:?}");
    let piped = config("t", "- name: u\n  table: t\n  destination: {type: stdout}\n");
    workspace.configure(&piped.replace("{type: local, path: out}", "{type: stdout}"))?;
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    for part in ["'t'", "'u'", "write to the same place", "hint:"] {
        ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_second_run_adds_a_manifest_and_moves_success() -> Result<()> {
    let workspace = Workspace::new(&config("t", ""))?;
    sqlite(&workspace, "data.db", "create table t (id integer primary key); insert into t values (1)")?;
    let first = workspace.export()?;
    let before: Vec<(_, Vec<u8>)> = contents(&first)?;
    sqlite(&workspace, "data.db", "insert into t values (2)")?;
    let second = workspace.export()?;
    assert_eq!((first.n_rows(), second.n_rows()), (1, 2));
    assert_ne!(first.success["manifest"], second.success["manifest"]);
    let manifests = files_below(&workspace.path().join("out"))?;
    let manifests = manifests.iter().filter(|f| f.to_string_lossy().contains("/_manifest-")).count();
    assert_eq!(manifests, 2);
    assert_eq!(contents(&first)?, before, "nothing of the first run changed");
    Ok(())
}

fn contents(read: &Exported) -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    read.parts.iter().map(|p| Ok((p.clone(), fs::read(p)?))).collect()
}

#[test]
fn a_changed_schema_warns_or_fails_by_policy() -> Result<()> {
    let workspace = Workspace::new(&config("t", "  on_schema_drift: fail\n"))?;
    sqlite(&workspace, "data.db", "create table t (id integer primary key); insert into t values (1)")?;
    workspace.export()?;
    let before = files_below(&workspace.path().join("out"))?;
    sqlite(&workspace, "data.db", "alter table t add column added text")?;
    let failed = workspace.rivet(&["run"])?.expect(4)?;
    for part in ["── t ──", "schema changed: t: 'added' text was added", "hint:"] {
        ensure!(failed.stderr.contains(part), "{part} in {}", failed.stderr);
    }
    assert_eq!(files_below(&workspace.path().join("out"))?, before, "nothing was written");
    workspace.configure(&config("t", "  on_schema_drift: warn\n"))?;
    let warned = workspace.run()?.expect(0)?.json()?;
    let warnings = warned["exports"][0]["warnings"].to_string();
    ensure!(warnings.contains("added"), "{warnings}");
    let again = workspace.run()?.expect(0)?.json()?;
    assert_eq!(again["exports"][0]["warnings"], json!([]), "the last good run has the column");
    Ok(())
}

#[test]
fn a_source_that_reads_alone_does_not_say_that_it_reads_in_parallel() -> Result<()> {
    let workspace = Workspace::new(&config("t", "  parallel: 4\n"))?;
    let rows =
        "with recursive i(i) as (select 1 union all select i + 1 from i where i < 50000) select i, 'v' || i from i";
    sqlite(&workspace, "data.db", &format!("create table t (a integer primary key, b text); insert into t {rows}"))?;
    for words in [&["run", "--dry-run"][..], &["run"], &["check"]] {
        let document = workspace.rivet(&[words, &["--output", "json"]].concat())?.expect(0)?.json()?;
        assert_eq!(document["exports"][0]["strategy"], "full-scan", "{words:?}");
        let told = document["exports"][0]["warnings"].to_string();
        ensure!(told.contains("one worker reads, since sessions of the source 'sqlite' cannot share"), "{told}");
    }
    let read = Exported::read(&workspace.path().join("out"))?;
    assert_eq!((read.n_rows(), &read.manifest["strategy"]), (50_000, &json!("full-scan")));
    Ok(())
}

#[test]
fn a_check_asks_what_an_index_answers_and_no_more() -> Result<()> {
    let workspace = Workspace::new("")?;
    let rows = "with recursive i(i) as (select 1 union all select i + 1 from i where i < 3000) \
                select i, i, '2024-01-01 00:00:' || printf('%02d', i % 60) from i";
    let table =
        "create table t (id integer primary key, n integer, at timestamp not null); create index t_at on t (at)";
    sqlite(&workspace, "data.db", &format!("{table}; insert into t {rows}"))?;
    for (column, asked, not_asked) in [
        ("id", json!(["the largest id, by index"]), json!([])),
        ("at", json!(["the largest at, by index"]), json!([])),
        ("n", json!([]), json!(["rows without n", "the largest n"])),
    ] {
        workspace.configure(&config("t", &format!("  mode: incremental\n  cursor_column: {column}\n")))?;
        let found = workspace.rivet(&["check", "--json"])?.expect(0)?.json()?["exports"][0].clone();
        let mut all = vec![json!("catalogue, statistics and planner")];
        all.extend(asked.as_array().context("a list")?.iter().cloned());
        assert_eq!((&found["asked"], &found["not_asked"]), (&json!(all), &not_asked), "{column}: {found}");
        assert_eq!(found["verdict"], "EFFICIENT", "{found}");
    }
    let text = workspace.rivet(&["check"])?.expect(0)?;
    for words in ["not asked    rows without n, the largest n: ", "suggestion   make an index on n", "t: EFFICIENT"] {
        ensure!(text.text()?.contains(words), "{words} in {}", text.text()?);
    }
    let probed = workspace.rivet(&["check", "--probe", "--json"])?.expect(0)?.json()?["exports"][0].clone();
    assert_eq!((&probed["not_asked"], &probed["cursor_range"]), (&json!([]), &json!([null, "3000"])));
    Ok(())
}

#[test]
fn an_expression_is_said_to_be_text_until_columns_says_what_it_is() -> Result<()> {
    let query = "  query: 'select count(*) as n, sum(p) / 2 as half, min(a) as a from t'\n";
    let text = config("q", query).replace("  table: q\n", "");
    let workspace = Workspace::new(&text)?;
    sqlite(&workspace, "data.db", "create table t (a integer, p real); insert into t values (1, 0.5), (2, 2.0)")?;
    for command in ["run", "check"] {
        let ran = workspace.rivet(&[command])?.expect(0)?;
        for part in ["n, half", "text", "columns: {n: int64}"] {
            ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
        }
    }
    workspace.configure(&format!("{text}  columns: {{n: int64, half: float64, a: text}}\n"))?;
    let ran = workspace.rivet(&["run"])?.expect(0)?;
    ensure!(!ran.stderr.contains("knows no type"), "{}", ran.stderr);
    let read = Exported::read(&workspace.path().join("out"))?;
    ensure!(read.schema()?.starts_with("n: int64\nhalf: double\na: string"), "{}", read.schema()?);
    assert_eq!(read.rows("*", "")?, [json!({"n": 2, "half": 1.25, "a": "1"})]);
    // A value that is something else ends the run: nothing is rounded.
    workspace.configure(&format!("{text}  columns: {{half: int64}}\n"))?;
    let ran = workspace.rivet(&["run"])?.expect(3)?;
    for part in ["half", "int64", "hint:"] {
        ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_wait_for_a_lock_without_end_is_told() -> Result<()> {
    let workspace = Workspace::new(&config("t", ""))?;
    sqlite(&workspace, "data.db", "create table t (a integer); insert into t values (1)")?;
    const LOCK: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); \
                        c.execute('begin exclusive'); print('locked', flush=True); sys.stdin.read(); c.execute('commit')";
    let path = workspace.path().join("data.db");
    let mut locker = Command::new(oracle::python()?)
        .args(["-c", LOCK])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = std::io::BufReader::new(locker.stdout.take().context("piped")?);
    std::io::BufRead::read_line(&mut said, &mut String::new())?;
    let mut child = workspace.spawn(&["run"])?;
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().context("piped")?));
    let mut told = String::new();
    for line in lines {
        told = line?;
        if told.contains("waiting") {
            break;
        }
    }
    for part in ["locked", "data.db", "lock_timeout_s"] {
        ensure!(told.contains(part), "{part} in {told}");
    }
    drop(locker.stdin.take());
    ensure!(locker.wait()?.success() && child.wait()?.success(), "both end once the lock is free");
    assert_eq!(Exported::read(&workspace.path().join("out"))?.n_rows(), 1);
    Ok(())
}

#[test]
fn chunks_and_windows_hold_their_rows() -> Result<()> {
    let make = "create table t (id integer primary key, at datetime, unix integer, note text);\
                with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000) \
                insert into t select i * 1000, datetime('now', (600 - i * 720) || ' minutes'), strftime('%s', 'now') + 36000 - i * 43200, 'n' || (i % 7) from n";
    for (keys, strategy, sizes, n_rows) in [
        ("mode: chunked; chunk_size: 400; parallel: 4", "chunked(id, size=400)", Some(json!([400, 400, 200])), 1000),
        ("mode: chunked; chunk_column: [note, id]; chunk_count: 3", "chunked(note, id, count=3)", None, 1000),
        ("mode: chunked; chunk_column: at; chunk_by_days: 250", "chunked(at, days=250)", None, 1000),
        ("mode: time_window; time_column: at; days_window: 7", "time-window(at, 7d)", None, 14),
        (
            "mode: time_window; time_column: unix; time_column_type: unix; days_window: 7",
            "time-window(unix, 7d)",
            None,
            14,
        ),
        ("mode: time_window; time_column: at; days_window: 4294967295", "time-window(at, 4294967295d)", None, 1000),
    ] {
        let more: String = keys.split("; ").map(|key| format!("  {key}\n")).collect();
        let workspace = Workspace::new(&config("t", &more))?;
        sqlite(&workspace, "data.db", make)?;
        let read = workspace.export().context(keys)?;
        assert_eq!(read.manifest["strategy"], strategy);
        assert_eq!(read.n_rows(), n_rows, "{keys}");
        let found: Vec<&Value> =
            read.manifest["parts"].as_array().context("parts")?.iter().map(|part| &part["rows"]).collect();
        ensure!(sizes.is_none_or(|sizes| json!(found) == sizes), "{keys}: {found:?}");
        let distinct = read.rows("count(distinct id) n", "")?;
        assert_eq!(distinct[0]["n"], n_rows);
    }
    Ok(())
}
