//! Exports with `tables`: what a database lists, what a role may read of it, and what a server that is away means.
//! Must not know how the catalogue is asked.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{CANARY, Exported, Workspace};
use rivet_test_servers::postgres::{self, ROLE_PASSWORD};

const SCHEMA: &str = r#"
create schema sales; create schema "My Schema"; 
create table sales.orders (id int primary key, v text); insert into sales.orders select i, 'v' from generate_series(1, 40) i;
create table sales.parted (id int) partition by range (id);
create table sales.parted_low partition of sales.parted for values from (0) to (10);
create table sales.parted_high partition of sales.parted for values from (10) to (99);
insert into sales.parted select generate_series(1, 30);
create view sales.seen as select id from sales.orders;
create materialized view sales.kept as select id from sales.orders where id <= 7;
create table public.order_1 (id int); create table public.order_10 (id int);
create table "My Schema"."Tä.ble" (id int); insert into "My Schema"."Tä.ble" values (1);
"#;

fn config(keys: &str) -> String {
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\n\
         exports: [{{name: all, destination: {{type: local, path: 'out/{{export}}'}}, {keys}}}]\n"
    )
}

/// Names and rows of what a run exported, without the name of the group.
fn exported(workspace: &Workspace) -> Result<Vec<(String, u64)>> {
    let document = workspace.run()?.expect(0)?.json()?;
    let exports = document["exports"].as_array().context("exports")?;
    let one = |export: &serde_json::Value| {
        let name = export["export"].as_str().context("a name")?;
        let n_rows = Exported::read(&workspace.path().join("out").join(name))?.n_rows();
        Ok((name.strip_prefix("all.").context("it is of the group")?.to_owned(), n_rows))
    };
    exports.iter().map(one).collect()
}

#[test]
fn patterns_mean_tables_of_the_catalogue() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("tables")?;
    server.psql(&database, SCHEMA)?;
    for (keys, expected) in [
        ("tables: [sales.*]", vec![("sales.orders", 40), ("sales.parted", 30)]),
        ("tables: [sales.*, public.order_?]", vec![("public.order_1", 0), ("sales.orders", 40), ("sales.parted", 30)]),
        ("tables: ['*']", vec![("public.order_1", 0), ("public.order_10", 0)]),
        (
            "tables: [sales.seen, sales.kept, sales.parted_low]",
            vec![("sales.kept", 7), ("sales.parted_low", 9), ("sales.seen", 40)],
        ),
        ("tables: ['*.*'], exclude_tables: ['My Schema.*', order*]", vec![("sales.orders", 40), ("sales.parted", 30)]),
    ] {
        let workspace = Workspace::new(&config(keys))?.with_variable("TEST_URL", &server.url(&database));
        let found = exported(&workspace)?;
        let found: Vec<_> = found.iter().map(|(name, n_rows)| (name.as_str(), *n_rows)).collect();
        assert_eq!(found, expected, "{keys}");
    }
    let workspace =
        Workspace::new(&config("tables: ['My Schema.*']"))?.with_variable("TEST_URL", &server.url(&database));
    let found = exported(&workspace)?;
    ensure!(found.len() == 1 && found[0].0.starts_with("My_Schema.T_.ble-") && found[0].1 == 1, "{found:?}");
    Ok(())
}

#[test]
fn what_the_role_may_not_read_is_named_and_left_out() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("tables_role")?;
    server.psql(
        &database,
        &format!(
            "create role {database} login password '{ROLE_PASSWORD}'; create schema open; create schema closed;\n\
             grant usage on schema open to {database};\n\
             create table open.a (id int, secret text); create table open.b (id int); create table closed.c (id int);\n\
             insert into open.a values (1, 'x'); grant select (id) on open.a to {database};\n\
             grant select on closed.c to {database};",
        ),
    )?;
    let url = server.url_as(&database, &database);
    let workspace =
        Workspace::new(&config("tables: [open.*, closed.*], select: [id]"))?.with_variable("TEST_URL", &url);
    let ran = workspace.run()?.expect(0)?;
    ensure!(ran.stderr.contains("leaves out what the role may not read: closed.c, open.b"), "{}", ran.stderr);
    let document = ran.json()?;
    assert_eq!(document["exports"].as_array().map(Vec::len), Some(1), "{document}");
    assert_eq!(Exported::read(&workspace.path().join("out/all.open.a"))?.n_rows(), 1);
    workspace.configure(&config("tables: [open.b]"))?;
    let ran = workspace.rivet(&["run"])?.expect(1)?;
    ensure!(ran.stderr.contains("means open.b, which the role may not read"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn a_server_that_is_away_is_no_mistake_of_the_config() -> Result<()> {
    let url = format!("postgres://u:{}@127.0.0.1:1/d", CANARY);
    let workspace = Workspace::new(&config("tables: [sales.*]"))?.with_variable("TEST_URL", &url);
    for command in [&["run"][..], &["check"]] {
        let ran = workspace.rivet(command)?.expect(2)?;
        ensure!(ran.stderr.contains("127.0.0.1:1") && !ran.stderr.contains(CANARY), "{}", ran.stderr);
    }
    let doctor = workspace.rivet(&["doctor"])?.expect(2)?;
    ensure!(doctor.text()?.contains("TCP") && doctor.text()?.contains("[OK]   write and delete"), "{}", doctor.text()?);
    Ok(())
}
