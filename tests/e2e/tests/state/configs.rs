//! Whose state it is: configs that share a folder, take each other's place, or cannot be read whole.

use std::fs;

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use serde_json::{Value, json};

use crate::{json_of, sqlite, workspace};

/// An incremental export, of the table `orders` of a database.
pub fn orders(data: &str, to: &str) -> String {
    format!(
        "source: {{type: sqlite, path: {data}}}\nexports:\n- {{name: orders, table: orders, mode: incremental, \
         cursor_column: id, destination: {{type: local, path: {to}}}}}\n"
    )
}

/// `a.yaml` and `b.yaml` in one folder, each with an export `orders` of a database of its own, of 3 and 5 rows.
pub fn two_configs() -> Result<Workspace> {
    let workspace = Workspace::new("")?;
    for (name, columns, rows) in
        [("a", "id integer primary key, v text", 3), ("b", "id integer primary key, w real", 5)]
    {
        let fill =
            format!("insert into orders (id) select value from json_each('{:?}')", (1..=rows).collect::<Vec<_>>());
        sqlite(&workspace, &format!("{name}.db"), &format!("create table orders ({columns}); {fill}"))?;
        fs::write(
            workspace.path().join(format!("{name}.yaml")),
            orders(&format!("{name}.db"), &format!("out_{name}")),
        )?;
    }
    Ok(workspace)
}

fn cursor_of(workspace: &Workspace, config: &str) -> Result<Value> {
    Ok(json_of(workspace, &["state", "show", "-c", config])?["exports"][0]["cursor"]["value"].clone())
}

#[test]
fn two_configs_in_one_folder_may_call_their_exports_alike() -> Result<()> {
    let workspace = two_configs()?;
    let run = |config: &str| workspace.rivet(&["run", "-c", config, "--output", "json"]);
    for (round, a, b) in [(1, 3, 5), (2, 0, 0)] {
        for (config, rows) in [("a.yaml", a), ("b.yaml", b)] {
            let ran = run(config)?.expect(0)?;
            let export = ran.json()?["exports"][0].clone();
            assert_eq!(export["rows"], rows, "{config}, round {round}: {export}");
            assert_eq!(export["warnings"], json!([]), "no drift between the two: {export}");
        }
    }
    assert_eq!((cursor_of(&workspace, "a.yaml")?, cursor_of(&workspace, "b.yaml")?), (json!("3"), json!("5")));
    // Moving one cursor moves the other one not.
    workspace.rivet(&["state", "set", "-c", "a.yaml", "-e", "orders", "--cursor", "1"])?.expect(0)?;
    assert_eq!((cursor_of(&workspace, "a.yaml")?, cursor_of(&workspace, "b.yaml")?), (json!("1"), json!("5")));
    let metrics = json_of(&workspace, &["metrics", "-c", "a.yaml"])?;
    assert_eq!(metrics["runs"].as_array().map(Vec::len), Some(2), "those of the config alone");
    let direct = ["--state", ".rivet_state.db"];
    let all = json_of(&workspace, &[&["state", "show"], &direct[..]].concat())?;
    let shown: Vec<_> = all["exports"].as_array().into_iter().flatten().map(|e| (&e["export"], &e["config"])).collect();
    assert_eq!(shown, [(&json!("orders"), &json!("a.yaml")), (&json!("orders"), &json!("b.yaml"))]);
    let text = workspace.rivet(&[&["state", "show"], &direct[..]].concat())?.expect(0)?;
    ensure!(text.text()?.contains("\norders of b.yaml\n  cursor    5"), "{}", text.text()?);
    let which = workspace.rivet(&[&["state", "reset", "-e", "orders"], &direct[..]].concat())?.expect(1)?;
    ensure!(which.stderr.contains("several configs have an export 'orders'"), "{}", which.stderr);
    Ok(())
}

#[test]
fn a_config_of_another_name_takes_over_what_its_predecessor_left() -> Result<()> {
    let workspace = two_configs()?;
    workspace.rivet(&["run", "-c", "a.yaml"])?.expect(0)?;
    fs::copy(workspace.path().join("a.yaml"), workspace.path().join("copy.yaml"))?;
    let copy = workspace.rivet(&["run", "-c", "copy.yaml"])?.expect(1)?;
    for said in [
        "_SUCCESS.orders",
        "of another config, a.yaml, which has an export of this name too",
        "another name or destination",
    ] {
        ensure!(copy.stderr.contains(said), "'{said}' in {}", copy.stderr);
    }
    fs::rename(workspace.path().join("a.yaml"), workspace.path().join("c.yaml"))?;
    assert_eq!(cursor_of(&workspace, "c.yaml")?, "3", "it is known before the first run");
    let ran = workspace.rivet(&["run", "-c", "c.yaml", "--output", "json"])?.expect(0)?;
    let export = ran.json()?["exports"][0].clone();
    assert_eq!((&export["rows"], &export["files"]), (&json!(0), &json!(0)), "{export}");
    ensure!(ran.stderr.contains("the config a.yaml is not there any more"), "{}", ran.stderr);
    let ran = workspace.rivet(&["run", "-c", "c.yaml"])?.expect(0)?;
    ensure!(!ran.stderr.contains("a.yaml"), "it is said once: {}", ran.stderr);
    Ok(())
}

#[test]
fn looking_at_the_state_needs_no_secret_and_no_parameter() -> Result<()> {
    let workspace = workspace()?;
    workspace.run()?.expect(1)?;
    workspace.configure(
        "source: {type: postgres, url_env: NOT_SET, password: '${NEITHER}'}\n\
         defaults: {destination: {type: local, path: '${NOR_THIS}'}}\n\
         exports:\n- {name: a, query: 'select ${day}'}\n- {name: gone, query_file: nowhere.sql}\n",
    )?;
    for words in [&["metrics"][..], &["journal", "--last"], &["state", "show"], &["state", "files", "-e", "a"]] {
        workspace.rivet(words)?.expect(0)?;
        workspace.rivet(&[words, &["-p", "day=1"]].concat())?.expect(0)?;
    }
    let runs = json_of(&workspace, &["metrics"])?["runs"].clone();
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    workspace.configure("exports: []\n")?;
    let ran = workspace.rivet(&["metrics"])?.expect(1)?;
    ensure!(ran.stderr.contains("no exports"), "{}", ran.stderr);
    Ok(())
}

/// The configs that the cursors of the state belong to, sorted.
fn cursors(workspace: &Workspace) -> Result<String> {
    sqlite(workspace, ".rivet_state.db", "select config, value_json from cursors order by 1")
}

/// Two containers that share a state see each other's configs as gone.
#[test]
fn what_is_of_another_source_or_destination_is_never_taken_over() -> Result<()> {
    let workspace = two_configs()?;
    workspace.rivet(&["run", "-c", "a.yaml"])?.expect(0)?;
    let of_a = cursors(&workspace)?;
    fs::rename(workspace.path().join("a.yaml"), workspace.path().join("a.gone"))?;
    // Another destination and source; the same destination alone; the same source alone.
    fs::write(workspace.path().join("same_to.yaml"), orders("b.db", "out_a"))?;
    fs::write(workspace.path().join("same_from.yaml"), orders("a.db", "elsewhere"))?;
    let checked = workspace.rivet(&["check", "-c", "b.yaml"])?.expect(0)?;
    let said = "the config a.yaml, which is not there any more, had an export 'orders' of another destination: this one \
                begins anew, and what is remembered of that one stays";
    ensure!(checked.text()?.contains(said), "{}", checked.text()?);
    let stopped = workspace.rivet(&["run", "-c", "same_to.yaml"])?.expect(1)?;
    for said in ["had an export 'orders' of another source", "of another config, a.yaml"] {
        ensure!(stopped.stderr.contains(said), "{said:?} in {}", stopped.stderr);
    }
    for (config, rows) in [("same_from.yaml", 3), ("b.yaml", 5)] {
        let ran = workspace.rivet(&["run", "-c", config, "--output", "json"])?.expect(0)?;
        ensure!(ran.stderr.contains("of another destination: this one begins anew"), "{config}: {}", ran.stderr);
        assert_eq!(ran.json()?["exports"][0]["rows"], rows, "{config}");
    }
    ensure!(cursors(&workspace)?.contains(of_a.trim()), "what a.yaml had stays its own");
    fs::rename(workspace.path().join("a.gone"), workspace.path().join("a.yaml"))?;
    let ran = workspace.rivet(&["run", "-c", "a.yaml", "--output", "json"])?.expect(0)?;
    assert_eq!(ran.json()?["exports"][0]["rows"], 0, "it goes on where it was");
    Ok(())
}

#[test]
fn what_an_older_version_kept_is_taken_over_aloud_and_what_it_kept_of_others_is_not() -> Result<()> {
    let workspace = two_configs()?;
    workspace.rivet(&["run", "-c", "a.yaml"])?.expect(0)?;
    let forget = "update runs set config = ''; update cursors set config = ''; update schemas set config = ''";
    sqlite(&workspace, ".rivet_state.db", forget)?;
    let ran = workspace.rivet(&["run", "-c", "b.yaml", "--output", "json"])?.expect(0)?;
    ensure!(
        ran.stderr.contains("an older version of rivet had an export 'orders' of another destination"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.json()?["exports"][0]["rows"], 5);
    let ran = workspace.rivet(&["run", "-c", "a.yaml", "--output", "json"])?.expect(0)?;
    let said = "what an older version of rivet remembered of export 'orders' is taken over";
    ensure!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(ran.json()?["exports"][0]["rows"], 0);
    Ok(())
}

#[test]
fn a_cursor_that_another_config_left_is_moved_where_it_is() -> Result<()> {
    let workspace = two_configs()?;
    workspace.rivet(&["run", "-c", "a.yaml"])?.expect(0)?;
    fs::rename(workspace.path().join("a.yaml"), workspace.path().join("c.yaml"))?;
    let moved = workspace.rivet(&["state", "set", "-c", "c.yaml", "-e", "orders", "--cursor", "2"])?.expect(0)?;
    ensure!(moved.stderr.contains("was left by a.yaml: the next run takes it over"), "{}", moved.stderr);
    ensure!(cursors(&workspace)?.contains("a.yaml"), "it is not known yet whether it is of the same source");
    let ran = workspace.rivet(&["run", "-c", "c.yaml", "--output", "json"])?.expect(0)?;
    assert_eq!(ran.json()?["exports"][0]["rows"], 2);
    ensure!(!cursors(&workspace)?.contains("a.yaml"), "{}", cursors(&workspace)?);
    Ok(())
}
