//! `rivet run --parallel-exports`: several exports at once, told in the order of the config.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

/// Two exports of 40 rows; the first pauses ten times as long as the second.
const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {destination: {type: local, path: 'out/{export}'}}
exports:
- {name: slow, table: a, tuning: {batch_size: 4, throttle_ms: 100}}
- {name: quick, query: 'select id from a', tuning: {batch_size: 4, throttle_ms: 10}}
";

fn workspace(config: &str) -> Result<Workspace> {
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table a (id integer primary key)')
con.executemany('insert into a values (?)', [(i,) for i in range(40)])
con.commit()
";
    let workspace = Workspace::new(config)?;
    oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string()])?;
    Ok(workspace)
}

/// When a run began and ended, by its journal.
fn span(workspace: &Workspace, run_id: &Value) -> Result<(String, String)> {
    let run_id = run_id.as_str().context("an id")?;
    let journal = workspace.rivet(&["journal", run_id, "--output", "json"])?.expect(0)?.json()?;
    let at = |event: &str| {
        let found = journal["events"].as_array().and_then(|all| all.iter().find(|e| e["event"] == event));
        found.and_then(|e| e["at"].as_str()).map(str::to_owned).with_context(|| format!("{event} in {journal}"))
    };
    Ok((at("run_started")?, at("export_finished")?))
}

#[test]
fn exports_overlap_and_are_told_in_the_order_of_the_config() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let document = workspace.rivet(&["run", "--parallel-exports", "--output", "json"])?.expect(0)?.json()?;
    let exports = document["exports"].as_array().context("exports")?;
    let names: Vec<_> = exports.iter().map(|e| &e["export"]).collect();
    assert_eq!(names, ["slow", "quick"]);
    for export in ["slow", "quick"] {
        assert_eq!(Exported::read(&workspace.path().join("out").join(export))?.n_rows(), 40);
    }
    let (slow, quick) = (span(&workspace, &exports[0]["run_id"])?, span(&workspace, &exports[1]["run_id"])?);
    if std::thread::available_parallelism()?.get() > 1 {
        ensure!(quick.0 < slow.1 && slow.0 < quick.1, "they overlap: {slow:?} {quick:?}");
    }
    let document = workspace.rivet(&["run", "--output", "json"])?.expect(0)?.json()?;
    let exports = document["exports"].as_array().context("exports")?;
    let (slow, quick) = (span(&workspace, &exports[0]["run_id"])?, span(&workspace, &exports[1]["run_id"])?);
    ensure!(slow.1 <= quick.0, "one after the other without the flag: {slow:?} {quick:?}");
    Ok(())
}

#[test]
fn connections_bound_what_runs_at_once() -> Result<()> {
    let limited = CONFIG.replace("throttle_ms: 10}", "throttle_ms: 10, max_connections: 1}");
    let workspace = workspace(&limited)?;
    let document = workspace.rivet(&["run", "--parallel-exports", "--output", "json"])?.expect(0)?.json()?;
    let (slow, quick) = (&document["exports"][0]["run_id"], &document["exports"][1]["run_id"]);
    let (slow, quick) = (span(&workspace, slow)?, span(&workspace, quick)?);
    ensure!(slow.1 <= quick.0, "one connection, one export: {slow:?} {quick:?}");
    Ok(())
}

#[test]
fn one_that_fails_leaves_the_others_alone() -> Result<()> {
    let many: String = (0..5)
        .map(|i| format!("- {{name: e{i}, table: {}, tuning: {{profile: fast}}}}\n", if i == 2 { "gone" } else { "a" }))
        .collect();
    let (head, _) = CONFIG.split_once("- {name").context("a config")?;
    let workspace = workspace(&format!("{head}{many}"))?;
    let document = workspace.rivet(&["run", "--parallel-exports", "--output", "json"])?.expect(1)?.json()?;
    let ended: Vec<_> =
        document["exports"].as_array().context("exports")?.iter().map(|e| (&e["export"], &e["status"])).collect();
    for (i, (export, status)) in ended.iter().enumerate() {
        assert_eq!(**export, json!(format!("e{i}")));
        assert_eq!(**status, json!(if i == 2 { "failed" } else { "success" }));
    }
    assert_eq!(ended.len(), 5);
    Ok(())
}

#[test]
fn a_wave_ends_before_the_next_begins() -> Result<()> {
    let export = |name: &str, keys: &str| {
        format!("- {{name: {name}, table: a, tuning: {{batch_size: 20, throttle_ms: 100}}, {keys}}}\n")
    };
    let (head, _) = CONFIG.split_once("exports:").context("a config")?;
    let exports = [
        export("last", "skip_empty: false"),
        export("second", "wave: 2"),
        export("heavy", "wave: 2, parallel_safe: false"),
        export("first", "wave: 1"),
    ]
    .concat();
    let workspace = workspace(&format!("parallel_exports: true\n{head}exports:\n{exports}"))?;
    let document = workspace.run()?.expect(0)?.json()?;
    let all = document["exports"].as_array().context("exports")?;
    let names: Vec<_> = all.iter().filter_map(|e| e["export"].as_str()).collect();
    assert_eq!(names, ["last", "second", "heavy", "first"], "told in the order of the config");
    let spans = all.iter().map(|e| span(&workspace, &e["run_id"])).collect::<Result<Vec<_>>>()?;
    let [last, second, heavy, first] = spans.as_slice() else { anyhow::bail!("four exports") };
    ensure!(first.1 <= second.0 && second.1 <= heavy.0 && heavy.1 <= last.0, "{spans:?}");
    Ok(())
}

/// So many exports of the table, which take a while each; the memory suffices for all at once.
fn many(n: usize, throttle_ms: u32) -> Result<Workspace> {
    let (head, _) = CONFIG.split_once("exports:").context("a config")?;
    let tuning = format!("{{batch_size: 4, throttle_ms: {throttle_ms}, memory_mb: 1024}}");
    let exports: String = (0..n).map(|i| format!("- {{name: e{i}, table: a, tuning: {tuning}}}\n")).collect();
    workspace(&format!("{head}exports:\n{exports}"))
}

/// The processes that this one has started and that live.
fn children(of: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if fields.first() != Some(&"Z") && fields.get(1) == Some(&of.to_string().as_str()) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Waits until something is so, for at most half a minute.
fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = std::time::Instant::now();
    while !is_so()? {
        ensure!(started.elapsed().as_secs() < 30, "waited for {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(())
}

fn signal(name: &str, pid: u32) -> Result<()> {
    let sent = std::process::Command::new("kill").args([format!("-{name}"), pid.to_string()]).status()?;
    ensure!(sent.success(), "kill -{name} {pid}");
    Ok(())
}

fn is_published(workspace: &Workspace, export: &str) -> bool {
    workspace.path().join("out").join(export).join("_SUCCESS").exists()
}

/// What all exports wrote: name, rows and digests of the parts.
fn written(workspace: &Workspace, n: usize) -> Result<Vec<(u64, Vec<Value>)>> {
    let read = |i| {
        let read = Exported::read(&workspace.path().join("out").join(format!("e{i}")))?;
        let parts = read.manifest["parts"].as_array().context("parts")?;
        Ok((read.n_rows(), parts.iter().map(|part| part["digest"].clone()).collect()))
    };
    (0..n).map(read).collect()
}

/// A document without what differs from run to run.
fn settled(mut document: Value) -> Value {
    let exports = document["exports"].as_array_mut();
    for export in exports.into_iter().flatten() {
        for key in ["run_id", "started_at", "ended_at", "duration_ms", "rows_per_second", "peak_rss_bytes", "manifest"]
        {
            export[key].take();
        }
        export["locations"].take();
        export["longest_statement_ms"].take();
        export["oldest_transaction_ms"].take();
    }
    document
}

#[test]
fn processes_write_and_tell_what_threads_do() -> Result<()> {
    let one_by_one = many(8, 0)?;
    one_by_one.run()?.expect(0)?;
    let (threads, apart) = (many(8, 5)?, many(8, 5)?);
    let by_threads = threads.rivet(&["run", "--parallel-exports=4", "--output", "json"])?.expect(0)?.json()?;
    let running = apart.spawn(&["run", "--parallel-export-processes=4", "--output", "json"])?;
    let parent = running.id();
    let counter = std::thread::spawn(move || {
        let (mut most, mut seen) = (0, std::collections::BTreeSet::new());
        while lives(parent) {
            let found = children(parent).unwrap_or_default();
            most = most.max(found.len());
            for pid in found {
                seen.extend(std::fs::read(format!("/proc/{pid}/cmdline")).ok());
            }
        }
        (most, seen)
    });
    let by_processes = rivet_test_e2e::finish(running)?.expect(0)?.json()?;
    let (most, seen) = counter.join().map_err(|_| anyhow::anyhow!("the counter panicked"))?;
    ensure!((2..=4).contains(&most), "{most} processes at once");
    ensure!(seen.iter().any(|words| words.starts_with(b"rivet\0export-process")), "{seen:?}");
    assert_eq!(written(&apart, 8)?, written(&one_by_one, 8)?);
    assert_eq!(settled(by_processes.clone()), settled(by_threads));
    for export in by_processes["exports"].as_array().context("exports")? {
        ensure!(export["peak_rss_bytes"].as_u64() > Some(1 << 20), "its own peak: {export}");
        span(&apart, &export["run_id"])?;
    }
    let metrics = apart.rivet(&["metrics", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(metrics["runs"].as_array().context("runs")?.len(), 8, "one run for each");
    let kinds = |workspace: &Workspace, flag: &str| -> Result<std::collections::BTreeSet<String>> {
        let ran = workspace.rivet(&["run", flag, "--output", "ndjson"])?.expect(0)?;
        let events = ran.text()?.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        Ok(events.iter().map(|e| format!("{} {}", e["event"], e["export"])).collect())
    };
    assert_eq!(kinds(&apart, "--parallel-export-processes")?, kinds(&threads, "--parallel-exports")?);
    Ok(())
}

#[test]
fn a_process_that_is_killed_takes_one_export_with_it() -> Result<()> {
    let workspace = many(3, 0)?;
    let slow = std::fs::read_to_string(workspace.path().join("rivet.yaml"))?;
    let slow = slow.replacen("throttle_ms: 0", "throttle_ms: 5000", 1);
    workspace.configure(&format!("parallel_export_processes: true\n{slow}"))?;
    let running = workspace.spawn(&["run", "--output", "json"])?;
    until("the others", || Ok(is_published(&workspace, "e1") && is_published(&workspace, "e2")))?;
    let mut left = Vec::new();
    until("the slow one to be left", || {
        left = children(running.id())?;
        Ok(left.len() == 1)
    })?;
    signal("KILL", left[0])?;
    let document = rivet_test_e2e::finish(running)?.expect(7)?.json()?;
    let exports = document["exports"].as_array().context("exports")?;
    let statuses: Vec<_> = exports.iter().map(|e| &e["status"]).collect();
    assert_eq!(statuses, ["failed", "success", "success"]);
    let error = &exports[0]["error"];
    ensure!(error["code"] == "process.crashed", "{error}");
    ensure!(
        error["message"].as_str().is_some_and(|m| m.contains("export 'e0': its process was ended by signal 9")),
        "{error}"
    );
    workspace.configure(&slow.replace("5000", "0"))?;
    let again = workspace.run()?.expect(0)?.json()?;
    ensure!(again["exports"][0]["warnings"].to_string().contains("was interrupted"), "it is settled: {again}");
    Ok(())
}

#[test]
fn no_process_outlives_its_parent() -> Result<()> {
    for (name, code) in [("TERM", Some(130)), ("INT", Some(130)), ("KILL", None)] {
        let workspace = many(2, 1000)?;
        let running = workspace.spawn(&["run", "--parallel-export-processes=2", "--output", "json"])?;
        let mut begun = Vec::new();
        until("both", || {
            begun = children(running.id())?;
            let metrics = workspace.rivet(&["state", "show", "--output", "json"])?.text()?.matches("\"pid\"").count();
            Ok(begun.len() == 2 && metrics == 2)
        })?;
        signal(name, running.id())?;
        let ran = rivet_test_e2e::finish(running)?;
        assert_eq!(ran.code, code, "{name}: {}", ran.stderr);
        until("the end of the processes", || Ok(!begun.iter().any(|pid| lives(*pid))))?;
        let parts = rivet_test_e2e::files_below(&workspace.path().join("out"))?;
        ensure!(parts.is_empty(), "{name}: {parts:?}");
        if code.is_some() {
            let classes: Vec<Value> =
                ran.json()?["exports"].as_array().into_iter().flatten().map(|e| e["error"]["code"].clone()).collect();
            assert_eq!(classes, ["interrupted", "interrupted"], "{name}");
        }
        workspace.configure(&std::fs::read_to_string(workspace.path().join("rivet.yaml"))?.replace("1000", "0"))?;
        workspace.run()?.expect(0)?;
    }
    Ok(())
}

#[test]
fn an_abort_in_each_process_is_told_of_each_export() -> Result<()> {
    let workspace = many(2, 0)?;
    let ran =
        workspace.rivet(&["run", "--parallel-export-processes", "--fault", "part_recorded", "--output", "json"])?;
    let document = ran.expect(7)?.json()?;
    for export in document["exports"].as_array().context("exports")? {
        ensure!(export["error"]["code"] == "process.crashed", "{export}");
        ensure!(export["run_id"].as_str().is_some_and(|id| id.len() > 10), "{export}");
    }
    workspace.run()?.expect(0)?;
    let single = workspace.rivet(&["run", "-e", "e0", "--parallel-export-processes", "--fault", "locked"])?;
    ensure!(single.code.is_none(), "one export alone needs no process of its own: {single:?}");
    Ok(())
}

#[test]
fn the_longest_is_the_first() -> Result<()> {
    let workspace = many(3, 0)?;
    workspace.rivet(&["run", "-e", "e0", "-e", "e1"])?.expect(0)?;
    let config = std::fs::read_to_string(workspace.path().join("rivet.yaml"))?;
    workspace.configure(&config.replacen("name: e0, table: a", "name: e0, query: select id from a where id < 5", 1))?;
    workspace.rivet(&["run", "-e", "e0"])?.expect(0)?;
    let events = workspace.rivet(&["run", "--parallel-exports=2", "--output", "ndjson"])?.expect(0)?;
    let started: Vec<Value> = events
        .text()?
        .lines()
        .map(serde_json::from_str::<Value>)
        .filter_map(|e| e.ok().filter(|e| e["event"] == "run_started").map(|e| e["export"].clone()))
        .collect();
    assert_eq!(started.last(), Some(&json!("e0")), "fewest rows: {started:?}");
    Ok(())
}

/// What runs stops cleanly, and what was not begun is named: nobody takes the rest for done.
#[test]
fn an_interrupt_names_the_exports_that_it_leaves_out() -> Result<()> {
    for (signalled, words, left) in [
        ("INT", &["run"][..], "2 not started: e1, e2"),
        ("TERM", &["run"], "2 not started: e1, e2"),
        ("TERM", &["run", "--parallel-exports=2"], "1 not started: e2"),
        ("INT", &["run", "--parallel-export-processes=2"], "1 not started: e2"),
    ] {
        let workspace = many(3, 1000)?;
        let running = workspace.spawn(&[words, &["--summary-output", "told.json"]].concat())?;
        let n_begun = if words.len() == 1 { 1 } else { 2 };
        until("the first to read", || {
            let held = workspace.rivet(&["state", "show", "--output", "json"])?.text()?.matches("\"pid\"").count();
            Ok(held == n_begun)
        })?;
        let begun = children(running.id())?;
        signal(signalled, running.id())?;
        let ran = rivet_test_e2e::finish(running)?.expect(130)?;
        ensure!(ran.stderr.contains(left), "{words:?}: {}", ran.stderr);
        let told: Value = serde_json::from_slice(&std::fs::read(workspace.path().join("told.json"))?)?;
        let named = told["not_started"].as_array().context("names")?;
        ensure!(named.len() == 3 - n_begun && named.last() == Some(&json!("e2")), "{told}");
        ensure!(
            told["exports"].as_array().is_some_and(|all| all.iter().all(|e| e["error"]["code"] == "interrupted")),
            "{told}"
        );
        until("the end of the processes", || Ok(!begun.iter().any(|pid| lives(*pid))))?;
        ensure!(rivet_test_e2e::files_below(&workspace.path().join("out"))?.is_empty(), "{words:?}: something is left");
        workspace.configure(&std::fs::read_to_string(workspace.path().join("rivet.yaml"))?.replace("1000", "0"))?;
        let again = workspace.run()?.expect(0)?.json()?;
        let statuses: Vec<_> = again["exports"].as_array().into_iter().flatten().map(|e| &e["status"]).collect();
        assert_eq!(
            (statuses.as_slice(), &again["not_started"]),
            (&[&json!("success"); 3][..], &json!([])),
            "{words:?}"
        );
    }
    Ok(())
}
