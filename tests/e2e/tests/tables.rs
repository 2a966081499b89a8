//! Exports with `tables` over SQLite: each table that is meant is an export of its own, in every mode and command.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {destination: {type: local, path: 'out/{table}'}}
exports:
- {name: shop, tables: ['order*', customers], exclude_tables: [order_log]}
- {name: other, table: elsewhere}
";

const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
for name, rows in [('orders', 30), ('order items', 20), ('order_log', 5), ('customers', 3), ('elsewhere', 1)]:
    con.execute(f'create table \"{name}\" (id integer primary key, v text not null)')
    con.executemany(f'insert into \"{name}\" values (?, ?)', [(i, str(i)) for i in range(rows)])
con.execute('create view order_totals as select count(*) n from orders')
con.execute('create virtual table order_words using fts5(word)')
con.commit()
";

fn workspace(config: &str) -> Result<Workspace> {
    let workspace = Workspace::new(config)?;
    oracle::run(SCRIPT, &[&data(&workspace)])?;
    Ok(workspace)
}

fn data(workspace: &Workspace) -> String {
    workspace.path().join("data.db").display().to_string()
}

/// What the exports of a document are called.
fn names(document: &Value) -> Result<Vec<String>> {
    let exports = document["exports"].as_array().context("exports")?;
    exports.iter().map(|e| Ok(e["export"].as_str().context("a name")?.to_owned())).collect()
}

#[test]
fn each_table_is_an_export_of_its_own() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let document = workspace.rivet(&["run", "--parallel-exports", "--output", "json"])?.expect(0)?.json()?;
    let all = names(&document)?;
    let [customers, items, orders, other] = all.as_slice() else { anyhow::bail!("{all:?}") };
    assert_eq!((customers.as_str(), orders.as_str()), ("shop.main.customers", "shop.main.orders"));
    ensure!(items.starts_with("shop.main.order_items-") && other == "other", "{all:?}");
    for (table, export, n_rows) in [("customers", customers, 3), ("order items", items, 20), ("orders", orders, 30)] {
        let read = Exported::read(&workspace.path().join("out").join(table))?;
        assert_eq!((read.n_rows(), &read.manifest["export"]), (n_rows, &json!(export)), "{table}");
        assert_eq!(read.rows("count(*) n", "")?, [json!({ "n": n_rows })]);
    }
    let again = workspace.run()?.expect(0)?;
    assert_eq!(names(&again.json()?)?, all, "the names are the same in every run");
    ensure!(again.stderr.contains("read when named whole: main.order_words"), "{}", again.stderr);
    Ok(())
}

#[test]
fn a_group_and_each_of_its_exports_can_be_named_everywhere() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let run = |words: &[&str]| workspace.rivet(&[words, &["--output", "json"]].concat());
    for command in [&["run", "--dry-run"][..], &["check"], &["run"]] {
        let group = names(&run(&[command, &["-e", "shop"]].concat())?.expect(0)?.json()?)?;
        ensure!(group.len() == 3 && group.iter().all(|name| name.starts_with("shop.main.")), "{command:?}: {group:?}");
        let one = names(&run(&[command, &["-e", "shop.main.orders"]].concat())?.expect(0)?.json()?)?;
        assert_eq!(one, ["shop.main.orders"], "{command:?}");
        let missing = run(&[command, &["-e", "shop.main.order"]].concat())?.expect(1)?;
        ensure!(missing.text()?.contains("did you mean 'shop.main.orders'?"), "{command:?}: {}", missing.text()?);
    }
    for words in [&["state", "show"][..], &["state", "show", "-e", "shop"]] {
        let shown = names(&run(words)?.expect(0)?.json()?)?;
        ensure!(shown.iter().filter(|name| name.starts_with("shop.main.")).count() == 3, "{words:?}: {shown:?}");
    }
    let runs = run(&["metrics", "-e", "shop"])?.expect(0)?.json()?;
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(4), "{runs}");
    let journal = run(&["journal", "--last", "-e", "shop"])?.expect(0)?.json()?;
    assert_eq!(journal["run"]["export"], "shop.main.orders");
    let files = run(&["state", "files", "-e", "shop.main.orders"])?.expect(0)?.json()?;
    assert_eq!(files["files"].as_array().map(Vec::len), Some(2), "of both runs: {files}");
    let files = run(&["state", "files", "-e", "shop"])?.expect(0)?.json()?;
    let exports = files["files"].as_array().context("files")?.iter().map(|file| &file["export"]);
    assert_eq!(
        exports.filter(|name| *name == "shop.main.orders").count(),
        2,
        "of all that the group stands for: {files}"
    );
    assert_eq!(files["files"].as_array().map(Vec::len), Some(4), "{files}");
    run(&["doctor"])?.expect(0)?;
    Ok(())
}

#[test]
fn a_group_that_never_ran_has_no_history() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    workspace.rivet(&["run", "-e", "other"])?.expect(0)?;
    let runs = workspace.rivet(&["metrics", "-e", "shop", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(runs["runs"], json!([]));
    workspace.rivet(&["journal", "--last", "-e", "shop"])?.expect(1)?;
    let shown = workspace.rivet(&["state", "show", "--output", "json"])?.expect(0)?.json()?;
    assert_eq!(names(&shown)?, ["shop", "other"]);
    Ok(())
}

#[test]
fn each_export_of_a_group_has_its_own_cursor() -> Result<()> {
    let keys = "mode: incremental, cursor_column: id, skip_empty: true";
    let workspace = workspace(&CONFIG.replace("name: shop,", &format!("name: shop, {keys},")))?;
    workspace.rivet(&["run"])?.expect(0)?;
    oracle::run(
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(\"insert into customers values (9, 'x')\"); c.commit()",
        &[&data(&workspace)],
    )?;
    let document = workspace.rivet(&["run", "-e", "shop", "--output", "json"])?.expect(0)?.json()?;
    let rows: Vec<_> = document["exports"].as_array().into_iter().flatten().map(|e| e["rows"].clone()).collect();
    assert_eq!(rows, [json!(1), json!(0), json!(0)], "{document}");
    let state = workspace.rivet(&["state", "show", "--output", "json"])?.expect(0)?.json()?;
    let cursors: Vec<_> = state["exports"].as_array().into_iter().flatten().map(|e| &e["cursor"]["value"]).collect();
    assert_eq!(cursors, [&json!("9"), &json!("19"), &json!("29"), &Value::Null], "{state}");
    workspace.rivet(&["state", "reset", "-e", "shop.main.customers"])?.expect(0)?;
    Ok(())
}

#[test]
fn what_cannot_be_expanded_is_refused() -> Result<()> {
    let workspace = workspace("")?;
    let export = |keys: &str| {
        format!(
            "source: {{type: sqlite, path: data.db}}\nexports: [{{name: x, destination: {{type: local, path: out}}, {keys}}}]\n"
        )
    };
    for (keys, said) in [
        ("tables: [mian.*]", "did you mean 'main'?"),
        ("tables: [custmers]", "did you mean 'customers'?"),
        ("tables: [zzz]", "there is main.customers, main.elsewhere"),
        ("tables: ['*words']", "name 'main.order_words' whole"),
        ("tables: ['order?t*']", "name 'main.order_totals' whole"),
        ("tables: [customers], exclude_tables: ['*']", "leaves no table"),
        ("tables: []", "exports.x.tables (line 2) is empty"),
        ("tables: customers", "must be a list"),
        ("tables: [a.b.c]", "exports.x.tables[0] (line 2) has more than two parts"),
        ("tables: [a], table: b", "has both table and tables"),
        ("table: b, exclude_tables: [a]", "means nothing without `tables`"),
        ("tables: [*]", "put it in quotes"),
    ] {
        workspace.configure(&export(keys))?;
        for command in [&["run"][..], &["run", "--dry-run"], &["check"]] {
            let ran = workspace.rivet(command)?.expect(1)?;
            ensure!(ran.stderr.contains(said), "{keys}: {}", ran.stderr);
        }
    }
    ensure!(!workspace.path().join("out").exists(), "nothing was written");
    // A view or a virtual table is meant by its whole name alone.
    for name in ["order_totals", "order_words"] {
        workspace.configure(&export(&format!("tables: [{name}]")))?;
        let document = workspace.run()?.expect(0)?.json()?;
        assert_eq!(names(&document)?, [format!("x.main.{name}")]);
    }
    Ok(())
}
