//! A state that is lost, emptied, older than the destination, or another one's: the run stops before it reads a row twice.
//! Must not know how that is noticed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

const INCREMENTAL: &str = "mode: incremental, cursor_column: id";

fn config(mode: &str, state: &str) -> String {
    format!(
        "source: {{type: sqlite, path: data.db, tuning: {{profile: fast}}}}\nstate: {{url: {state}}}\n\
         exports: [{{name: t, table: t, {mode}, destination: {{type: local, path: out}}}}]\n"
    )
}

/// Table `t` with ids 1 to `n`.
fn fill(workspace: &Workspace, n: u32) -> Result<()> {
    let sql = format!(
        "drop table if exists t; create table t (id integer primary key); with recursive n(i) as (select 1 union all \
         select i + 1 from n where i < {n}) insert into t select i from n"
    );
    let file = workspace.path().join("data.db").display().to_string();
    oracle::run("import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.argv[2])", &[&file, &sql])
        .map(drop)
}

fn workspace(mode: &str) -> Result<Workspace> {
    let workspace = Workspace::new(&config(mode, "state.db"))?;
    fill(&workspace, 5)?;
    workspace.rivet(&["run"])?.expect(0)?;
    Ok(workspace)
}

fn state_files(workspace: &Workspace) -> Vec<PathBuf> {
    ["state.db", "state.db-wal", "state.db-shm"].map(|name| workspace.path().join(name)).to_vec()
}

fn out(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    files_below(&workspace.path().join("out"))
}

/// Rows of each manifest in the output folder, by the name of the manifest.
fn rows(workspace: &Workspace) -> Result<Vec<u64>> {
    let manifests = out(workspace)?.into_iter().filter(|f| f.extension().is_some_and(|e| e == "json"));
    manifests
        .map(|f| serde_json::from_slice::<Value>(&fs::read(f)?)?["rows"].as_u64().context("a manifest counts rows"))
        .collect()
}

/// The run stops with this code, says these words and a hint, and writes nothing; so does a rehearsal.
fn stops(workspace: &Workspace, code: i32, says: &[&str]) -> Result<()> {
    let before = out(workspace)?;
    for words in [&["run"][..], &["run", "--dry-run"]] {
        let ran = workspace.rivet(words)?.expect(code)?;
        for word in says.iter().chain(&["hint: ", "--force"]) {
            ensure!(ran.stderr.contains(word), "{words:?}: {word:?} is missing in {}", ran.stderr);
        }
    }
    ensure!(out(workspace)? == before, "something was written");
    Ok(())
}

#[test]
fn a_state_that_is_lost_or_emptied_stops_the_run() -> Result<()> {
    for mode in ["mode: full", INCREMENTAL] {
        for emptied in [false, true] {
            let workspace = workspace(mode)?;
            workspace.rivet(&["run"])?.expect(0)?;
            for file in state_files(&workspace) {
                let _ = fs::remove_file(&file);
            }
            if emptied {
                fs::write(workspace.path().join("state.db"), "")?;
            }
            stops(&workspace, 1, &["_SUCCESS.t", "does not know"])?;
            let forced = workspace.rivet(&["run", "--force", "--output", "json"])?.expect(0)?.json()?;
            assert_eq!(forced["exports"][0]["rows"], json!(5));
            ensure!(forced["exports"][0]["warnings"].to_string().contains("does not know"), "{forced}");
            // From here on the two belong together again.
            workspace.rivet(&["run"])?.expect(0)?;
        }
    }
    Ok(())
}

#[test]
fn a_state_that_is_lost_is_made_again() -> Result<()> {
    let workspace = workspace(INCREMENTAL)?;
    fill(&workspace, 9)?;
    workspace.rivet(&["run"])?.expect(0)?;
    // A backfill moves no cursor, neither now nor when it is found again.
    workspace.rivet(&["run", "--to", "1000"])?.expect(0)?;
    workspace.rivet(&["state", "rebuild"])?.expect(1)?;
    for file in state_files(&workspace) {
        let _ = fs::remove_file(&file);
    }
    let made = workspace.rivet(&["state", "rebuild", "--output", "json"])?.expect(0)?.json()?;
    let row = &made["exports"][0];
    assert_eq!(
        (row["runs"].as_array().map(Vec::len), &row["files"], &row["cursor"]),
        (Some(3), &json!(3), &json!("9"))
    );
    // Which rows were at the cursor is not known: they come again, and no others.
    fill(&workspace, 12)?;
    workspace.rivet(&["run"])?.expect(0)?;
    let mut found = rows(&workspace)?;
    found.sort_unstable();
    assert_eq!(found, [4, 4, 5, 9], "ids 9 to 12 came last");
    let files = workspace.rivet(&["state", "files", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(files["files"].as_array().map(Vec::len), Some(4));
    // A file that is not there is no file of a run.
    let lost = out(&workspace)?.into_iter().find(|f| f.extension().is_some_and(|e| e == "parquet"));
    fs::remove_file(lost.context("a file")?)?;
    for file in state_files(&workspace) {
        let _ = fs::remove_file(&file);
    }
    let made = workspace.rivet(&["state", "rebuild"])?.expect(0)?;
    ensure!(made.text()?.contains("left out: run "), "{}", made.text()?);
    Ok(())
}

#[test]
fn a_run_by_a_clock_that_was_ahead_is_not_taken_for_the_last() -> Result<()> {
    let workspace = workspace(INCREMENTAL)?;
    for n in [9, 12] {
        fill(&workspace, n)?;
        workspace.rivet(&["run"])?.expect(0)?;
    }
    let mut n_changed = 0;
    for file in out(&workspace)?.into_iter().filter(|f| f.extension().is_some_and(|e| e == "json")) {
        let mut manifest: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        if manifest["cursor"]["upper"]["text"] == "9" {
            manifest["planned_at"] = json!("2999-01-01T00:00:00.000Z");
            fs::write(&file, manifest.to_string())?;
            n_changed += 1;
        }
    }
    assert_eq!(n_changed, 1);
    state_files(&workspace).iter().for_each(|file| drop(fs::remove_file(file)));
    let made = workspace.rivet(&["state", "rebuild", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(made["exports"][0]["cursor"], "12");
    Ok(())
}

#[test]
fn a_state_from_a_backup_stops_the_run() -> Result<()> {
    let workspace = workspace(INCREMENTAL)?;
    let backup: Vec<(PathBuf, Vec<u8>)> =
        state_files(&workspace).into_iter().filter_map(|f| Some((f.clone(), fs::read(f).ok()?))).collect();
    fill(&workspace, 9)?;
    workspace.rivet(&["run"])?.expect(0)?;
    let kept: Vec<(PathBuf, Vec<u8>)> =
        state_files(&workspace).into_iter().filter_map(|f| Some((f.clone(), fs::read(f).ok()?))).collect();
    let put_back = |files: &[(PathBuf, Vec<u8>)]| -> Result<()> {
        state_files(&workspace).iter().for_each(|f| drop(fs::remove_file(f)));
        Ok(files.iter().try_for_each(|(path, bytes)| fs::write(path, bytes))?)
    };
    put_back(&backup)?;
    stops(&workspace, 1, &["_SUCCESS.t", "does not know"])?;
    // The right one goes on without a word.
    put_back(&kept)?;
    workspace.rivet(&["run"])?.expect(0)?;
    let mut found = rows(&workspace)?;
    found.sort_unstable();
    assert_eq!(found, [4, 5], "each row once, and nothing of a run without rows");
    Ok(())
}

#[test]
fn of_two_states_for_one_place_the_second_stops() -> Result<()> {
    let workspace = workspace("mode: full")?;
    workspace.configure(&config("mode: full", "other.db"))?;
    stops(&workspace, 1, &["_SUCCESS.t", "does not know"])?;
    // A dead run is not completed over what another state has put there since.
    workspace.configure(&config("mode: full", "state.db"))?;
    let died = workspace.rivet(&["run", "--fault", "judged"])?;
    ensure!(died.code.is_none());
    workspace.configure(&config("mode: full", "other.db"))?;
    workspace.rivet(&["run", "--force"])?.expect(0)?;
    workspace.configure(&config("mode: full", "state.db"))?;
    let before = out(&workspace)?;
    workspace.rivet(&["run"])?.expect(1)?;
    assert_eq!(out(&workspace)?, before);
    Ok(())
}

#[test]
fn a_pointer_that_cannot_be_read_stops_the_run() -> Result<()> {
    for (name, text) in
        [("_SUCCESS.t", String::new()), ("_SUCCESS.t", "{".to_owned()), ("_SUCCESS", " ".repeat(1 << 20))]
    {
        let workspace = workspace("mode: full")?;
        fs::write(workspace.path().join("out").join(name), &text)?;
        stops(&workspace, 3, &[name, "not what rivet writes there"])?;
        workspace.rivet(&["run", "--force"])?.expect(0)?;
        workspace.rivet(&["run"])?.expect(0)?;
    }
    Ok(())
}

#[test]
fn the_empty_pointer_of_other_tools_stops_nobody() -> Result<()> {
    let workspace = workspace("mode: full")?;
    fs::write(workspace.path().join("out/_SUCCESS"), "")?;
    let summary = workspace.run()?.expect(0)?.json()?;
    let warnings = summary["exports"][0]["warnings"].to_string();
    ensure!(warnings.contains("_SUCCESS") && warnings.contains("is empty"), "{warnings}");
    ensure!(fs::metadata(workspace.path().join("out/_SUCCESS"))?.len() > 0, "it is replaced");
    let summary = workspace.run()?.expect(0)?.json()?;
    assert_eq!(summary["exports"][0]["warnings"], serde_json::json!([]));
    Ok(())
}

#[test]
fn another_export_in_the_same_place_stops_nobody() -> Result<()> {
    let workspace = workspace(INCREMENTAL)?;
    let other = |state: &str| config("mode: full", state).replace("name: t,", "name: t2,");
    for _ in 0..2 {
        workspace.configure(&other("other.db"))?;
        workspace.rivet(&["run"])?.expect(0)?;
        workspace.configure(&config(INCREMENTAL, "state.db"))?;
        fill(&workspace, 7)?;
        workspace.rivet(&["run"])?.expect(0)?;
    }
    // The common pointer is the other's, and hides nothing of ours.
    workspace.configure(&other("other.db"))?;
    workspace.rivet(&["run"])?.expect(0)?;
    workspace.configure(&config(INCREMENTAL, "new.db"))?;
    stops(&workspace, 1, &["_SUCCESS.t'", "does not know"])
}

#[test]
fn a_pipe_has_no_pointers() -> Result<()> {
    let workspace =
        Workspace::new(&config("mode: full", "state.db").replace("{type: local, path: out}", "{type: stdout}"))?;
    fill(&workspace, 5)?;
    for _ in 0..2 {
        workspace.rivet(&["run"])?.expect(0)?;
        fs::remove_file(workspace.path().join("state.db"))?;
    }
    Ok(())
}

/// A clock that was set back makes names that sort before older ones; nothing depends on their order.
#[test]
fn the_newest_run_is_the_last_one_whatever_the_clock_says() -> Result<()> {
    let workspace = workspace(INCREMENTAL)?;
    let sql = "update runs set started_at_ms = started_at_ms + 864000000000";
    let file = workspace.path().join("state.db").display().to_string();
    oracle::run("import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.argv[2])", &[&file, sql])?;
    fill(&workspace, 9)?;
    let died = workspace.rivet(&["run", "--fault", "success_written"])?;
    ensure!(died.code.is_none());
    fill(&workspace, 12)?;
    workspace.rivet(&["run"])?.expect(0)?;
    let mut found = rows(&workspace)?;
    found.sort_unstable();
    assert_eq!(found, [3, 4, 5], "each row once");
    Ok(())
}
