//! Cursors that are given, brought over or refused, and what is said where one belongs to something else.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use serde_json::{Value, json};

use crate::configs::{orders, two_configs};
use crate::{json_of, sqlite};

#[test]
fn a_cursor_is_a_value_of_its_column() -> Result<()> {
    let workspace = Workspace::new(&orders("a.db", "out"))?;
    let sql = "create table orders (id integer primary key, at timestamp); with recursive n(i) as (select 1 union all \
               select i + 1 from n where i < 9) insert into orders select i, '2026-01-0' || i from n";
    sqlite(&workspace, "a.db", sql)?;
    let set = |value: &str| workspace.rivet(&["state", "set", "-e", "orders", "--cursor", value]);
    // Before the first run nobody knows the column: that run checks it.
    let first = set("banana")?.expect(0)?;
    ensure!(first.text()?.contains("old cursor  none") && first.text()?.contains("new cursor  banana"), "{:?}", first);
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    for said in ["the cursor banana of 'orders'", "no value of the column 'id'", "state set -e orders --cursor VALUE"] {
        ensure!(ran.stderr.contains(said), "'{said}' in {}", ran.stderr);
    }
    set("7")?.expect(0)?;
    let export = workspace.run()?.expect(0)?.json()?["exports"][0].clone();
    assert_eq!(export["rows"], 3, "the rows from 7 on: {export}");
    // From now on the type is known.
    let refused = set("banana")?.expect(1)?;
    for said in ["banana is no value of the cursor column 'id' of export 'orders'", "it is no whole number", "hint:"] {
        ensure!(refused.stderr.contains(said), "'{said}' in {}", refused.stderr);
    }
    workspace.rivet(&["state", "reset", "-e", "orders"])?.expect(0)?;
    let refused = set("banana")?.expect(1)?;
    ensure!(refused.stderr.contains("it is no whole number"), "also where it was forgotten: {}", refused.stderr);
    set("9")?.expect(0)?;
    assert_eq!(workspace.run()?.expect(0)?.json()?["exports"][0]["rows"], 1);
    Ok(())
}

/// The state file of rivet-cli at its fourth version, as far as it concerns cursors.
const RIVET_CLI: &str = "create table schema_version (version integer not null); insert into schema_version values (4); \
    create table export_state (export_name text primary key, last_cursor_value text, last_run_at text); \
    create table export_progression (export_name text primary key, last_committed_cursor text); \
    insert into export_state values ('orders', '7', '2026-06-01T00:00:00+00:00'), ('gone', '5', null), \
    ('full', '1', null), ('never', null, null), ('odd', 'banana', null)";

#[test]
fn cursors_of_rivet_cli_are_brought_over() -> Result<()> {
    let one = |name: &str, keys: &str| {
        format!("- {{name: {name}, table: orders, destination: {{type: local, path: out}}, {keys}}}\n")
    };
    let cursor = "mode: incremental, cursor_column: id";
    let workspace = Workspace::new(&format!(
        "source: {{type: sqlite, path: a.db}}\nexports:\n{}{}{}{}",
        one("orders", cursor),
        one("full", "mode: full"),
        one("never", cursor),
        one("odd", cursor)
    ))?;
    sqlite(&workspace, "a.db", "create table orders (id integer primary key)")?;
    sqlite(&workspace, "a.db", "insert into orders select value from json_each('[1,2,3,4,5,6,7,8,9]')")?;
    workspace.rivet(&["run", "-e", "odd", "--from", "1", "--to", "2"])?.expect(0)?;
    // Its file may lie where ours is looked for.
    sqlite(&workspace, "old.db", RIVET_CLI)?;
    let elsewhere = workspace.rivet(&["state", "show", "--state", "old.db"])?.expect(1)?;
    ensure!(elsewhere.stderr.contains("rivet state import FILE"), "{}", elsewhere.stderr);
    let import =
        |words: &[&str]| workspace.rivet(&[&["state", "import", "old.db", "--output", "json"], words].concat());
    let statuses = |document: &Value| -> Vec<(String, String)> {
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let rows = document["cursors"].as_array().into_iter().flatten();
        rows.map(|row| (text(row, "export"), text(row, "status"))).collect()
    };
    let expected = [("full", "left"), ("gone", "left"), ("never", "left"), ("odd", "refused"), ("orders", "imported")];
    let expected = expected.map(|(export, status)| (export.to_owned(), status.to_owned()));
    let dry = import(&["--dry-run"])?.expect(1)?.json()?;
    assert_eq!((statuses(&dry), &dry["dry_run"]), (expected.to_vec(), &json!(true)), "{dry}");
    ensure!(dry["cursors"][3]["why"].as_str().is_some_and(|why| why.contains("it is no whole number")), "{dry}");
    assert_eq!(json_of(&workspace, &["state", "show", "-e", "orders"])?["exports"][0]["cursor"], Value::Null);
    assert_eq!(statuses(&import(&[])?.expect(1)?.json()?), expected);
    let again = workspace.rivet(&["state", "import", "old.db", "-e", "orders"])?.expect(0)?;
    ensure!(again.text()?.contains("left out: it has a cursor here"), "{}", again.text()?);
    let run = workspace.rivet(&["run", "-e", "orders", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(run["exports"][0]["rows"], 3, "the rows from 7 on: {run}");
    for (file, said) in
        [("a.db", "has no table `export_state`"), ("rivet.yaml", "no SQLite database"), ("x", "no such file")]
    {
        let ran = workspace.rivet(&["state", "import", file])?.expect(1)?;
        ensure!(ran.stderr.contains(said) && ran.stderr.contains("hint:"), "{}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_where_that_changed_under_a_cursor_is_shown() -> Result<()> {
    let workspace = two_configs()?;
    let with =
        |condition: &str| orders("a.db", "out").replace("table: orders", &format!("table: orders, where: {condition}"));
    workspace.configure(&with("'id > 0'"))?;
    workspace.run()?.expect(0)?;
    workspace.configure(&with("'id > 1'"))?;
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    ensure!(ran.stderr.contains("`where` was `id > 0` and is `id > 1`"), "{}", ran.stderr);
    workspace.configure(&orders("a.db", "out"))?;
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    ensure!(ran.stderr.contains("`where` was `id > 0` and is none"), "{}", ran.stderr);
    Ok(())
}
