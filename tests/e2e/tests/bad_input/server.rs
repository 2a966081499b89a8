//! What a server refuses, or cannot give.
//! Must not know how a connection is made.

use std::fs;

use anyhow::{Context, Result, ensure};
use rivet_test_servers::postgres::{self, Postgres};

use crate::{CANARY, refused};

/// A database in which a role with the canary password may read table `open`, and column `id` of table `half`.
/// Returns the database and the role's URL.
fn database(server: &Postgres, name: &str) -> Result<(String, String)> {
    let database = server.fresh_database(name)?;
    server.psql(
        &database,
        &format!(
            "create role {database} login password '{CANARY}';\n\
             grant usage on schema public to {database};\n\
             create table open as select i id from generate_series(1, 100) i;\n\
             create table half (id int, salary int); create table closed (id int);\n\
             grant select on open to {database}; grant select (id) on half to {database};"
        ),
    )?;
    let url = format!("postgres://{database}:{CANARY}@{}:{}/{database}", server.host(), server.port());
    Ok((database, url))
}

#[test]
fn the_canary_is_the_password() -> Result<()> {
    let server = postgres::shared();
    let (_, url) = database(server, "canary_works")?;
    let place = crate::postgres(&url, "table: open")?;
    let ran = place.rivet(&["run", "-vvv"])?.expect(0)?;
    crate::no_canary(&place, &ran)?;
    ensure!(!ran.command_line.is_empty(), "somebody looked at the process");
    Ok(())
}

#[test]
fn a_wrong_password_is_tried_once() -> Result<()> {
    let server = postgres::shared();
    let (database, url) = database(server, "wrong_password")?;
    server.psql(&database, &format!("alter role {database} password 'another'"))?;
    let place = crate::postgres(&url, "table: open")?;
    let ran = refused(&place, 1, &["export 't'", "password authentication failed", &database])?;
    ensure!(ran.took.as_secs() < 5, "{:?}", ran.took);
    let log = fs::read_to_string(server.log_file())?;
    let attempts = log.matches(&format!("password authentication failed for user \"{database}\"")).count();
    assert_eq!(attempts, 2, "one for each of the two runs");
    Ok(())
}

#[test]
fn what_cannot_be_reached_is_named() -> Result<()> {
    for (address, code, says) in
        [("127.0.0.1:1", 2, "127.0.0.1:1"), ("localhost:1", 2, "localhost"), ("[::1]:1", 2, "::1")]
    {
        let place = crate::postgres(&format!("postgres://u:{CANARY}@{address}/d"), "table: t")?;
        refused(&place, code, &["export 't'", says])?;
    }
    // A remote host without a word about TLS is refused before it is looked up.
    let place = crate::postgres(&format!("postgres://u:{CANARY}@db.invalid/d"), "table: t")?;
    refused(&place, 1, &["db.invalid", "tls"])?;
    let server = postgres::shared();
    let (database, url) = database(server, "no_database")?;
    let place = crate::postgres(&url.replace(&format!("/{database}"), "/no_such_database"), "table: t")?;
    refused(&place, 1, &["no_such_database"])?;
    Ok(())
}

#[test]
fn what_cannot_be_read_is_named() -> Result<()> {
    let server = postgres::shared();
    let (_, url) = database(server, "not_read")?;
    let cases: [(&str, &[&str]); 7] = [
        ("table: missing", &["missing", "does not exist"]),
        ("table: nowhere.open", &["nowhere.open", "does not exist"]),
        ("table: closed", &["permission denied", "closed"]),
        ("table: half", &["permission denied", "half", "salary"]),
        ("query: select salary from half", &["permission denied", "half"]),
        ("query: select id frm open", &["syntax error", "open"]),
        ("query: delete from open", &["query"]),
    ];
    for (relation, says) in cases {
        let place = crate::postgres(&url, relation)?;
        refused(&place, 1, says).with_context(|| relation.to_owned())?;
    }
    Ok(())
}

#[test]
fn a_cell_of_200_mb_is_refused_without_being_held() -> Result<()> {
    let server = postgres::shared();
    let (database, url) = database(server, "huge_cell")?;
    server.psql(
        &database,
        &format!(
            "create table huge (id int, payload bytea);\n\
             insert into huge values (1, 'x'), (2, decode(repeat('00', 200000000), 'hex'));\n\
             grant select on huge to {database};"
        ),
    )?;
    let place = crate::postgres(&url, "table: huge")?;
    let ran = refused(&place, 3, &["export 't'", "huge", "payload", "row 2", "max_value_mb"])?;
    ensure!(ran.peak_rss_bytes > 1 << 20, "somebody looked at the process");
    ensure!(ran.peak_rss_bytes < 120 << 20, "{} bytes", ran.peak_rss_bytes);
    let document = place.run()?.expect(3)?.json()?;
    let peak = document["exports"][0]["peak_rss_bytes"].as_u64().context("a peak")?;
    ensure!((1 << 20..120 << 20).contains(&peak), "{peak} bytes");
    Ok(())
}
