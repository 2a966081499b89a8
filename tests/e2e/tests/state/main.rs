//! What is remembered from run to run, as the binary shows and changes it: `state`, `metrics`, `journal`.
//! Must not know any crate of the product.

mod configs;
mod cursors;
mod places;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, plugin_dir, rivet};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {tuning: {profile: fast}, destination: {type: local, path: 'out/{export}'}}
exports:
- {name: a, table: a}
- {name: gone, table: gone}
";

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

/// A table `a` of 100 rows; `gone` does not exist.
fn workspace() -> Result<Workspace> {
    let workspace = Workspace::new(CONFIG)?;
    let sql = "create table a (id integer primary key, v text); with recursive n(i) as (select 1 union all select i \
               + 1 from n where i < 100) insert into a select i, 'v' || i from n";
    sqlite(&workspace, "data.db", sql)?;
    Ok(workspace)
}

/// A cursor as a run would store it.
fn give_cursor(workspace: &Workspace) -> Result<()> {
    let value = json!({ "value": { "native_type": "integer", "text": "41" }, "rows": "ab" });
    let sql = format!("insert into cursors values ('a', 'xxh3-128:ab', 'r0', '{value}', 1795236912345, 'rivet.yaml')");
    sqlite(workspace, ".rivet_state.db", &sql).map(drop)
}

fn json_of(workspace: &Workspace, words: &[&str]) -> Result<Value> {
    let words = [words, &["--output", "json"]].concat();
    workspace.rivet(&words)?.expect(0)?.json()
}

#[test]
fn before_the_first_run_there_is_nothing_and_looking_makes_nothing() -> Result<()> {
    let workspace = workspace()?;
    let document = json_of(&workspace, &["state", "show"])?;
    let none = |name| json!({"export": name, "cursor": null, "last_run": null, "lock": null});
    assert_eq!(document["exports"], json!([none("a"), none("gone")]));
    assert_eq!(json_of(&workspace, &["metrics"])?, json!({"version": 1, "runs": []}));
    assert_eq!(json_of(&workspace, &["state", "files", "-e", "a"])?, json!({"version": 1, "files": []}));
    for (words, says) in [
        (&["state", "set", "-e", "a", "--cursor", "1"][..], "has no cursor"),
        (&["state", "reset", "-e", "a"], "has no cursor"),
        (&["state", "files", "-e", "b"], "no export is called 'b'"),
        (&["metrics", "-e", "b"], "Known exports: a, gone"),
        (&["journal", "--last"], "no run is remembered"),
        (&["journal", "r1"], "no run is remembered"),
        (&["journal"], "no run is remembered"),
        (&["metrics", "--last", "0"], "--last"),
        (&["state", "show", "--state", "none.db"], "none.db"),
    ] {
        let ran = workspace.rivet(words)?.expect(1)?;
        ensure!(ran.stderr.contains(says), "'{says}' in {}", ran.stderr);
    }
    let left: Vec<_> = fs::read_dir(workspace.path())?.map(|e| Ok(e?.file_name())).collect::<Result<_>>()?;
    assert_eq!(left.len(), 2, "the config and the data alone: {left:?}");
    Ok(())
}

#[test]
fn history_says_what_the_runs_said() -> Result<()> {
    let workspace = workspace()?;
    let told = workspace.run()?.expect(1)?.json()?;
    let (good, bad) = (&told["exports"][0], &told["exports"][1]);
    let runs = json_of(&workspace, &["metrics"])?["runs"].clone();
    let row = |export: &str| {
        let found = runs.as_array().and_then(|rows| rows.iter().find(|r| r["export"] == export));
        found.cloned().with_context(|| format!("{export} in {runs}"))
    };
    for key in ["run_id", "status", "rows", "files", "bytes", "retries"] {
        assert_eq!(row("a")?[key], good[key], "{key}");
    }
    for key in ["peak_rss_bytes", "duration_ms", "rows_per_second"] {
        ensure!(row("a")?[key].as_u64().is_some_and(|n| n > 0), "{key} in {}", row("a")?);
    }
    for key in ["run_id", "status"] {
        assert_eq!(row("gone")?[key], bad[key], "a run that failed before its plan is history too");
    }
    assert_eq!(row("gone")?["error"]["code"], bad["error"]["code"]);
    let shown = json_of(&workspace, &["state", "show"])?;
    assert_eq!(shown["exports"][0]["last_run"], row("a")?);
    assert_eq!(shown["exports"][1]["last_run"], row("gone")?);
    let one = json_of(&workspace, &["metrics", "-e", "gone", "--last", "5"])?;
    assert_eq!(one["runs"], json!([row("gone")?]));

    let files = json_of(&workspace, &["state", "files", "-e", "a"])?["files"].clone();
    assert_eq!(files.as_array().map(Vec::len), Some(1));
    let path = files[0]["path"].as_str().context("a path")?;
    assert_eq!((&files[0]["run_id"], &files[0]["rows"]), (&good["run_id"], &json!(100)));
    assert_eq!(files[0]["bytes"], fs::metadata(path)?.len());
    workspace.run()?;
    let count = |words: &[&str]| -> Result<_> {
        let words = [&["state", "files"], words].concat();
        Ok(json_of(&workspace, &words)?["files"].as_array().map(Vec::len))
    };
    assert_eq!((count(&["-e", "a", "--last", "1"])?, count(&["-l", "5"])?, count(&[])?), (Some(1), Some(2), Some(2)));
    let table = workspace.rivet(&["state", "files"])?.expect(0)?;
    let head = table.text()?.lines().next().map(|head| head.split_whitespace().collect::<Vec<_>>());
    let columns = ["RUN", "ID", "EXPORT", "CREATED", "(UTC)", "FORMAT", "COMPRESSION", "ROWS", "BYTES", "FILE"];
    assert_eq!(head, Some(columns.to_vec()));
    for key in ["created_at", "format", "compression"] {
        ensure!(files[0][key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {}", files[0]);
    }
    let listed = workspace.rivet(&["metrics", "-l", "2"])?.expect(0)?;
    for word in ["MODE", "PROFILE", "FORMAT", "FILES", "VALIDATED", "SCHEMA", "full", "fast", "parquet", "unchanged"] {
        ensure!(listed.text()?.contains(word), "{word} in {}", listed.text()?);
    }
    assert_eq!((&row("a")?["mode"], &row("a")?["format"]), (&json!("full"), &json!("parquet")));
    let lines = workspace.rivet(&["metrics", "--output", "ndjson"])?.expect(0)?;
    let lines: Vec<Value> = lines.text()?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(Value::from(lines), json_of(&workspace, &["metrics"])?["runs"], "a list becomes lines");
    let direct = json_of(&workspace, &["state", "show", "--state", ".rivet_state.db"])?;
    assert_eq!(direct["exports"].as_array().map(Vec::len), Some(2), "no config is needed");
    Ok(())
}

#[test]
fn the_journal_has_the_events_of_a_run_in_order() -> Result<()> {
    let workspace = workspace()?;
    let told = workspace.run()?.expect(1)?.json()?;
    let run_id = |i: usize| told["exports"][i]["run_id"].as_str().context("an id");
    let journal = json_of(&workspace, &["journal", run_id(0)?])?;
    let events = journal["events"].as_array().context("events")?;
    let kinds: Vec<_> = events.iter().filter_map(|e| e["event"].as_str()).collect();
    assert_eq!(kinds, ["run_started", "planned", "split_done", "timeline", "export_finished"]);
    assert_eq!(events[1]["details"]["strategy"], "full-scan");
    let (timeline, end) = (&events[3]["details"], &events[4]["details"]);
    let samples = timeline["samples"]["rows"].as_array().context("samples")?;
    assert_eq!((samples.last(), &timeline["spans"][0]["rows"]), (Some(&json!(100)), &json!(100)));
    assert_eq!((&end["rows"], &journal["run"]["rows"]), (&json!(100), &json!(100)));
    ensure!(events.windows(2).all(|w| w[0]["at"].as_str() <= w[1]["at"].as_str()), "{journal}");
    let last = json_of(&workspace, &["journal", "--last", "-e", "gone"])?;
    assert_eq!(last["run_id"], run_id(1)?);
    let invocation = |events: &Value| events[0]["details"]["invocation"].clone();
    assert_eq!(invocation(&last["events"]), invocation(&journal["events"]), "they were started together");
    let short = workspace.rivet(&["journal", run_id(0)?])?.expect(0)?;
    ensure!(
        short.text()?.contains("pace, memory and pauses over time: `rivet report` draws them"),
        "{}",
        short.text()?
    );
    ensure!(!short.text()?.contains("samples="), "no figures without end: {}", short.text()?);
    assert_eq!(json_of(&workspace, &["journal"])?["run_id"], run_id(1)?, "the newest");
    assert_eq!(json_of(&workspace, &["journal", "-e", "gone"])?["run_id"], run_id(1)?);
    assert_eq!(json_of(&workspace, &["journal", "--run-id", run_id(0)?])?, journal);
    let both = json_of(&workspace, &["journal", "--last", "2"])?;
    assert_eq!((&both["run_id"], &both["earlier"][0]["run_id"]), (&json!(run_id(1)?), &json!(run_id(0)?)));
    assert_eq!(both["earlier"][0]["events"], journal["events"]);
    let text = workspace.rivet(&["journal", run_id(1)?])?.expect(0)?;
    for word in ["failed", "run_started", "export_finished", "gone"] {
        ensure!(text.text()?.contains(word), "{word} in {:?}", text.text()?);
    }
    let unknown = workspace.rivet(&["journal", "r9"])?.expect(1)?;
    ensure!(unknown.stderr.contains("'r9'") && unknown.stderr.contains("hint:"), "{}", unknown.stderr);
    Ok(())
}

#[test]
fn a_cursor_is_moved_and_forgotten_by_hand() -> Result<()> {
    let workspace = workspace()?;
    workspace.run()?.expect(1)?;
    let none = workspace.rivet(&["state", "set", "-e", "a", "--cursor", "5"])?.expect(1)?;
    ensure!(none.stderr.contains("has no cursor: it reads everything in each run"), "{}", none.stderr);
    give_cursor(&workspace)?;
    let cursor = json_of(&workspace, &["state", "show", "-e", "a"])?["exports"][0]["cursor"].clone();
    for (key, value) in [("value", "41"), ("native_type", "integer"), ("fingerprint", "xxh3-128:ab"), ("relation", "a")]
    {
        assert_eq!(cursor[key], value, "{cursor}");
    }
    let set = workspace.rivet(&["state", "set", "-e", "a", "--cursor", "-7"])?.expect(0)?;
    ensure!(set.text()?.contains("old cursor  41 (integer)"), "{:?}", set.text()?);
    ensure!(set.text()?.contains("new cursor  -7 (integer)"), "{:?}", set.text()?);
    let stored = sqlite(&workspace, ".rivet_state.db", "select value_json, fingerprint from cursors")?;
    let stored: (String, String) = serde_json::from_str(&stored)?;
    assert_eq!(
        serde_json::from_str::<Value>(&stored.0)?,
        json!({"value": {"native_type": "integer", "text": "-7"}, "rows": ""})
    );
    assert_eq!(stored.1, "xxh3-128:ab");
    let reset = json_of(&workspace, &["state", "reset", "-e", "a"])?;
    assert_eq!((&reset["old"]["value"], &reset["new"]), (&json!("-7"), &json!(null)));
    assert_eq!(sqlite(&workspace, ".rivet_state.db", "select * from cursors")?, "");
    assert_eq!(sqlite(&workspace, ".rivet_state.db", "select count(*) from schemas")?, "[1]\n", "the schema stays");
    Ok(())
}

#[test]
fn the_next_run_reads_from_a_cursor_that_was_moved_by_hand() -> Result<()> {
    let workspace = workspace()?;
    workspace.configure(
        &CONFIG.replace("{name: a, table: a}", "{name: a, table: a, mode: incremental, cursor_column: id}"),
    )?;
    let rows = |words: &[&str]| -> Result<Value> { Ok(json_of(&workspace, words)?["exports"][0]["rows"].clone()) };
    let run = ["run", "-e", "a"];
    assert_eq!((rows(&run)?, rows(&run)?), (json!(100), json!(0)));
    let cursor =
        || -> Result<Value> { Ok(json_of(&workspace, &["state", "show", "-e", "a"])?["exports"][0]["cursor"].clone()) };
    ensure!(cursor()?["value"] == "100" && cursor()?["native_type"].is_string(), "{}", cursor()?);
    workspace.rivet(&["state", "set", "-e", "a", "--cursor", "91"])?.expect(0)?;
    assert_eq!((&cursor()?["value"], &cursor()?["run_id"]), (&json!("91"), &json!("by hand")));
    assert_eq!(cursor()?["relation"], "a", "the last good run says what it belongs to");
    assert_eq!(rows(&run)?, 10, "the rows from 91 on");
    assert_eq!((cursor()?["value"].clone(), rows(&run)?), (json!("100"), json!(0)));
    workspace.rivet(&["state", "reset", "-e", "a"])?.expect(0)?;
    let before = fs::read(workspace.path().join(".rivet_state.db"))?;
    workspace.rivet(&["run", "-e", "a", "--dry-run"])?.expect(0)?;
    assert_eq!(fs::read(workspace.path().join(".rivet_state.db"))?, before, "a dry run moves no cursor");
    assert_eq!(rows(&run)?, 100, "without a cursor everything is read");
    Ok(())
}

#[test]
fn a_cursor_is_not_changed_under_a_run_that_will_move_it() -> Result<()> {
    let workspace = workspace()?;
    workspace.configure(
        &CONFIG.replace("{name: a, table: a}", "{name: a, table: a, mode: incremental, cursor_column: id}"),
    )?;
    workspace.rivet(&["run", "-e", "a"])?.expect(0)?;
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('insert into a (id) values (101)'); c.commit()";
    oracle::run(script, &[&workspace.path().join("data.db").display().to_string()])?;
    ensure!(workspace.rivet(&["run", "-e", "a", "--fault", "judged"])?.code.is_none(), "it was killed");
    for words in [&["state", "set", "-e", "a", "--cursor", "91"][..], &["state", "reset", "-e", "a"]] {
        let ran = workspace.rivet(words)?.expect(1)?;
        ensure!(
            ran.stderr.contains("was interrupted after its verdict") && ran.stderr.contains("hint: "),
            "{}",
            ran.stderr
        );
    }
    workspace.rivet(&["run", "-e", "a", "--resume"])?.expect(0)?;
    workspace.rivet(&["state", "set", "-e", "a", "--cursor", "91"])?.expect(0).map(drop)
}

#[test]
fn a_running_export_shows_its_lock_and_keeps_its_cursor() -> Result<()> {
    let workspace = workspace()?;
    workspace.run()?.expect(1)?;
    give_cursor(&workspace)?;
    workspace.configure(&CONFIG.replace("{profile: fast}", "{batch_size: 1, throttle_ms: 1000}"))?;
    let mut slow = workspace.spawn(&["run", "-e", "a"])?;
    let seen = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let document = json_of(&workspace, &["state", "show", "-e", "a"]).ok()?;
        let export = document["exports"][0].clone();
        (export["last_run"]["status"] == "running").then_some(export)
    });
    let refused = [&["state", "set", "-e", "a", "--cursor", "1"][..], &["state", "reset", "-e", "a"]]
        .map(|words| workspace.rivet(words));
    let text = workspace.rivet(&["state", "show"]);
    slow.kill()?;
    slow.wait()?;
    let seen = seen.context("the run was never seen")?;
    assert_eq!((&seen["lock"]["pid"], &seen["lock"]["command"]), (&json!(slow.id()), &json!("rivet run")));
    assert_eq!(seen["lock"]["run_id"], seen["last_run"]["run_id"]);
    ensure!(text?.text()?.contains(&format!("running   process {}", slow.id())), "the text names it");
    for ran in refused {
        let ran = ran?.expect(6)?;
        ensure!(ran.stderr.contains(&format!("process {}", slow.id())), "{}", ran.stderr);
    }
    let document = json_of(&workspace, &["state", "show", "-e", "a"])?;
    let export = &document["exports"][0];
    assert_eq!((&export["lock"], &export["last_run"]["status"]), (&json!(null), &json!("unfinished")));
    assert_eq!(export["cursor"]["value"], "41", "nothing was changed");
    workspace.rivet(&["state", "set", "-e", "a", "--cursor", "1"])?.expect(0)?;
    Ok(())
}

/// Runs a command on a terminal and prints what that shows.
const ON_A_TERMINAL: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(sys.argv[1])
    for assignment in sys.argv[2].split():
        os.environ.update([assignment.split('=')])
    os.execv(sys.argv[3], sys.argv[3:])
shown = b''
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
os.waitpid(pid, 0)
print(repr(shown.decode()))
";

#[test]
fn colours_are_for_terminals_that_want_them() -> Result<()> {
    let workspace = workspace()?;
    workspace.run()?.expect(1)?;
    let piped = workspace.rivet(&["metrics"])?.expect(0)?;
    ensure!(!piped.stdout.contains(&0x1b) && piped.text()?.contains("success"), "{:?}", piped.text()?);
    let (rivet, plugins) = (rivet()?.display().to_string(), plugin_dir()?.display().to_string());
    let dir = workspace.path().display().to_string();
    let on_terminal =
        |variables: &str| oracle::run(ON_A_TERMINAL, &[&dir, variables, &rivet, "metrics", "--plugin-dir", &plugins]);
    ensure!(on_terminal("A=1")?.contains("\\x1b[32msuccess"), "{}", on_terminal("A=1")?);
    let without = on_terminal("NO_COLOR=1")?;
    ensure!(!without.contains("\\x1b") && without.contains("success"), "{without}");
    Ok(())
}

#[test]
fn a_reader_that_goes_away_is_no_error() -> Result<()> {
    let workspace = workspace()?;
    workspace.run()?.expect(1)?;
    for words in [&["metrics"][..], &["state", "show", "--output", "json"], &["journal", "--last"]] {
        let mut child = workspace.spawn(words)?;
        drop(child.stdout.take());
        let ended = child.wait_with_output()?;
        assert_eq!(ended.status.code(), Some(0), "{words:?}: {ended:?}");
        assert_eq!(String::from_utf8(ended.stderr)?, "", "{words:?}");
    }
    Ok(())
}

#[test]
fn the_commands_explain_themselves() -> Result<()> {
    for (words, says) in [
        (&["state", "--help"][..], "Forget the cursor"),
        (&["state", "show", "--help"], "who is running it"),
        (&["state", "files", "--help"], "--last <N>"),
        (&["state", "set", "--help"], "--cursor <VALUE>"),
        (&["metrics", "--help"], "newest first"),
        (&["journal", "--help"], "[RUN_ID]"),
    ] {
        let shown = Command::new(rivet()?).args(words).output()?;
        let text = String::from_utf8(shown.stdout)?;
        ensure!(shown.status.success() && text.contains(says), "{words:?}: {says} in {text}");
    }
    Ok(())
}
