//! One place, several runs: configs that write an export of one name to one destination, and whoever publishes there with
//! another state.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below, finish};

use crate::sqlite;

/// An export `orders` of 40 rows, which takes two seconds, or no time.
fn config(slow: bool, keys: &str) -> String {
    let tuning = if slow { "{profile: fast, batch_size: 1, throttle_ms: 50}" } else { "{profile: fast}" };
    format!(
        "source: {{type: sqlite, path: data.db, tuning: {tuning}}}\nexports:\n- {{name: orders, table: t, {keys}, destination: \
         {{type: local, path: out}}}}\n"
    )
}

fn workspace() -> Result<Workspace> {
    let workspace = Workspace::new("")?;
    let rows = "create table t (id integer primary key); insert into t select value from json_each('[1";
    let rest: String = (2..=40).map(|i| format!(",{i}")).collect();
    sqlite(&workspace, "data.db", &format!("{rows}{rest}]')"))?;
    Ok(workspace)
}

fn wait_until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !so()? {
        ensure!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[test]
fn two_configs_that_write_to_one_place_take_turns() -> Result<()> {
    for keys in ["mode: full, keep_runs: 1", "mode: incremental, cursor_column: id"] {
        let workspace = workspace()?;
        fs::write(workspace.path().join("a.yaml"), config(true, keys))?;
        fs::write(workspace.path().join("b.yaml"), config(false, keys))?;
        let slow = workspace.spawn(&["run", "-c", "a.yaml"])?;
        let locks = workspace.path().join(".rivet_state.db.locks");
        wait_until("a.yaml runs", || {
            let of_place = |file: &std::path::PathBuf| file.extension().is_some_and(|e| e == "place");
            let held = files_below(&locks).unwrap_or_default().into_iter().find(of_place);
            Ok(held.is_some_and(|file| fs::read(file).is_ok_and(|note| !note.is_empty())))
        })?;
        let refused = workspace.rivet(&["run", "-c", "b.yaml"])?.expect(6)?;
        for said in [
            "an export 'orders' of another config is writing to the same destination: process ",
            "(rivet run of a.yaml, run ",
            "wait for it to end, or give one of the two exports another name or destination",
        ] {
            ensure!(refused.stderr.contains(said), "{said:?} in {}", refused.stderr);
        }
        finish(slow)?.expect(0)?;
        assert_eq!(Exported::read(&workspace.path().join("out"))?.n_rows(), 40, "{keys}");
        // A full run is whole; an incremental one of the other config would repeat its rows.
        workspace.rivet(&["run", "-c", "b.yaml"])?.expect(if keys.contains("full") { 0 } else { 1 })?;
    }
    Ok(())
}

/// With a state of its own nobody is known by the lock beside the state: the folder itself is locked while a run publishes.
#[test]
fn whoever_publishes_with_another_state_is_waited_for_and_then_seen() -> Result<()> {
    let workspace = workspace()?;
    let out = workspace.path().join("out");
    fs::create_dir(&out)?;
    fs::write(workspace.path().join("a.yaml"), format!("state: {{url: a.db}}\n{}", config(false, "mode: full")))?;
    fs::write(workspace.path().join("b.yaml"), format!("state: {{url: b.db}}\n{}", config(false, "mode: full")))?;
    let folder = File::open(&out)?;
    folder.lock()?;
    let waiting = workspace.spawn(&["run", "-c", "a.yaml"])?;
    wait_until("the run is judged", || {
        let phase = workspace.path().join("a.db").exists();
        Ok(phase && sqlite(&workspace, "a.db", "select phase from runs").is_ok_and(|phase| phase.contains("judged")))
    })?;
    std::thread::sleep(Duration::from_millis(300));
    let seen = files_below(&out)?;
    ensure!(
        seen.iter().all(|file| file.to_string_lossy().ends_with(".rivet.staged")),
        "nothing is published yet: {seen:?}"
    );
    folder.unlock()?;
    finish(waiting)?.expect(0)?;
    let stopped = workspace.rivet(&["run", "-c", "b.yaml"])?.expect(1)?;
    ensure!(stopped.stderr.contains("does not know"), "{}", stopped.stderr);
    Ok(())
}
