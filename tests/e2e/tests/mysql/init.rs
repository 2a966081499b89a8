//! `init` and `check`: what is proposed runs as it stands, and what the planner says is judged.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Exported;
use rivet_test_servers::mariadb;

use crate::workspace;

#[test]
fn what_init_proposes_runs_as_it_stands() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("init")?;
    server.sql(
        &database,
        "create table orders (id int auto_increment primary key, changed timestamp not null default current_timestamp \
           on update current_timestamp, total decimal(9,2), index (changed)); insert into orders (total) values (1), (2); \
         create view seen as select id from orders",
    )?;
    let place = workspace(&server.url(&database), "table: orders")?;
    let ran = place.rivet(&["init", "--force", "--url-env", "TEST_URL", "--schema", &database])?;
    ensure!(ran.code == Some(0), "{} {}", ran.stderr, String::from_utf8_lossy(&ran.stdout));
    let written = std::fs::read_to_string(place.path().join("rivet.yaml")).context("read what init wrote")?;
    ensure!(written.contains("cursor_column: changed"), "{written}");
    place.run()?.expect(0)?;
    Ok(())
}

#[test]
fn check_says_whether_an_index_finds_the_rows() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("plan")?;
    server.sql(
        &database,
        "create table t (id int primary key, at datetime, seen datetime, index (at)); \
         insert into t select seq, '2024-01-01' + interval seq minute, '2024-01-01' + interval seq minute from seq_1_to_50000; analyze table t",
    )?;
    for (column, needs_index) in [("at", false), ("seen", true)] {
        let keys = format!("mode: incremental\ntable: t\ncursor_column: {column}");
        let place = workspace(&server.url(&database), &keys)?;
        place.run()?.expect(0)?;
        let ran = place.rivet(&["check"])?;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr;
        assert_eq!(text.contains(&format!("ADD INDEX (`{column}`)")), needs_index, "{column}: {text}");
        Exported::read(&place.path().join("out"))?;
    }
    Ok(())
}
