//! `keep_runs`: what stays of older runs in a destination, and what is never touched.
//! Must not know any crate of the product.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::oracle;
use serde_json::Value;

fn config(name: &str, keys: &str) -> String {
    format!(
        "source: {{type: sqlite, path: data.db}}\nstate: {{url: {name}.db}}\nexports:\n- name: {name}\n  table: t\n  {keys}\n  \
         destination: {{type: local, path: out}}\n"
    )
}

fn workspace(keys: &str) -> Result<Workspace> {
    let workspace = Workspace::new(&config("t", keys))?;
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('create table t (id integer primary key)'); \
                  c.execute('insert into t values (1)'); c.commit()";
    oracle::run(script, &[&workspace.path().join("data.db").display().to_string()])?;
    Ok(workspace)
}

/// Runs; the run, and the names of all that it left visible beside the pointers.
fn run(workspace: &Workspace) -> Result<(String, BTreeSet<String>)> {
    let ran = workspace.rivet(&["run", "--output", "json"])?.expect(0)?;
    ensure!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let run = ran.json()?["exports"][0]["run_id"].as_str().context("a run")?.to_owned();
    let names = names(workspace)?.into_iter().filter(|name| name.contains(&run)).collect();
    Ok((run, names))
}

fn names(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let name = |file: PathBuf| file.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(files_below(&out(workspace))?.into_iter().filter_map(name).collect())
}

fn out(workspace: &Workspace) -> PathBuf {
    workspace.path().join("out")
}

#[test]
fn the_newest_runs_stay_and_all_that_no_manifest_of_the_export_names() -> Result<()> {
    let workspace = workspace("keep_runs: 2")?;
    let (first, of_first) = run(&workspace)?;
    ensure!(of_first.len() == 2, "a part and a manifest: {of_first:?}");
    // What somebody else, another export and a run that the state does not know have put there.
    let manifest = fs::read_to_string(out(&workspace).join(format!("_manifest-t-{first}.json")))?;
    let unknown = "_manifest-t-20200101T000000Z-0000.json";
    fs::write(out(&workspace).join(unknown), manifest.replace(&first, "20200101T000000Z-0000"))?;
    let stray = format!("t-{first}-stray.parquet");
    fs::write(out(&workspace).join(&stray), "x")?;
    workspace.configure(&config("t-more", "format: csv"))?;
    let (_, of_other) = run(&workspace)?;
    workspace.configure(&config("t", "keep_runs: 2"))?;
    let (_, of_second) = run(&workspace)?;
    ensure!(names(&workspace)?.is_superset(&of_first), "two are kept");
    let (_, of_third) = run(&workspace)?;
    let there = names(&workspace)?;
    ensure!(of_first.iter().all(|name| !there.contains(name)), "the oldest is gone: {there:?}");
    for kept in [&of_second, &of_third, &of_other] {
        ensure!(there.is_superset(kept), "{kept:?} in {there:?}");
    }
    ensure!(there.contains(unknown) && there.contains(&stray), "{there:?}");
    Ok(())
}

#[test]
fn the_run_that_the_pointer_names_stays() -> Result<()> {
    let workspace = workspace("keep_runs: 1")?;
    let (_, of_first) = run(&workspace)?;
    let (second, of_second) = run(&workspace)?;
    let there = names(&workspace)?;
    ensure!(there.is_superset(&of_second) && there.is_disjoint(&of_first), "{there:?}");
    let pointer: Value = serde_json::from_slice(&fs::read(out(&workspace).join("_SUCCESS.t"))?)?;
    ensure!(pointer["run_id"] == second.as_str(), "{pointer}");
    Ok(())
}

#[test]
fn what_cannot_be_removed_is_a_warning() -> Result<()> {
    let workspace = workspace("keep_runs: 1")?;
    let (_, of_first) = run(&workspace)?;
    let part = of_first.iter().find(|name| name.ends_with(".parquet")).context("a part")?;
    fs::remove_file(out(&workspace).join(part))?;
    fs::create_dir_all(out(&workspace).join(part).join("in the way"))?;
    let ran = workspace.rivet(&["run"])?.expect(0)?;
    ensure!(ran.stderr.contains("failed to remove older runs, as `keep_runs` says"), "{}", ran.stderr);
    fs::remove_dir_all(out(&workspace).join(part))?;
    run(&workspace)?;
    ensure!(names(&workspace)?.is_disjoint(&of_first), "the next run removes what was left");
    Ok(())
}

#[test]
fn runs_of_another_mode_are_none_to_remove() -> Result<()> {
    let workspace = workspace("mode: incremental\n  cursor_column: id")?;
    let (_, of_first) = run(&workspace)?;
    workspace.configure(&config("t", "keep_runs: 1"))?;
    for _ in 0..2 {
        workspace.rivet(&["run"])?.expect(0)?;
    }
    ensure!(names(&workspace)?.is_superset(&of_first), "its rows may be in no other run");
    Ok(())
}

#[test]
fn an_incremental_export_has_no_older_runs_to_remove() -> Result<()> {
    let workspace = workspace("keep_runs: 1\n  mode: incremental\n  cursor_column: id")?;
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    ensure!(ran.stderr.contains("exports.t.keep_runs (line 6) means nothing in mode 'incremental'"), "{}", ran.stderr);
    let defaults = "defaults: {keep_runs: 1}\n";
    workspace.configure(&format!("{defaults}{}", config("t", "mode: incremental\n  cursor_column: id")))?;
    let (_, of_first) = run(&workspace)?;
    let script =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('insert into t values (2)'); c.commit()";
    oracle::run(script, &[&workspace.path().join("data.db").display().to_string()])?;
    run(&workspace)?;
    ensure!(names(&workspace)?.is_superset(&of_first), "its rows are in no other run");
    Ok(())
}

#[test]
fn folders_of_partitions_that_are_empty_then_go_too() -> Result<()> {
    let workspace = workspace("partition_by: n\n  keep_runs: 1")?;
    let is_there = |n: u32| out(&workspace).join(format!("n={n}")).is_dir();
    let sql = |sql: &str| {
        let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
        oracle::run(script, &[&workspace.path().join("data.db").display().to_string(), sql])
    };
    sql("alter table t add column n integer not null default 1")?;
    run(&workspace)?;
    fs::create_dir(out(&workspace).join("n=3"))?;
    ensure!(is_there(1));
    sql("update t set n = 2")?;
    run(&workspace)?;
    ensure!(!is_there(1) && is_there(2));
    ensure!(is_there(3), "it was not rivet that emptied it");
    Ok(())
}
