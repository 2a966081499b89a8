//! A cursor is of one relation: another one of the same name is never read from where the first one ended.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::postgres;

use crate::{exported, run, sorted, state, workspace};

const TABLE: &str = "create table t (id int, note text); insert into t select i, 'n' from generate_series(1, 100) i;";

/// A run that ends with this exit code and says all of these words.
fn refused(place: &Workspace, code: i32, words: &[&str]) -> Result<()> {
    // There is no index: without a probe the largest key is not asked for.
    for command in [&["run"][..], &["check", "--probe"]] {
        let ran = place.rivet(command)?.expect(code)?;
        for word in words {
            ensure!(ran.stderr.contains(word), "{command:?} does not say {word}: {}", ran.stderr);
        }
    }
    Ok(())
}

/// The warnings of a run that goes well.
fn warnings(place: &Workspace) -> Result<String> {
    let document = place.rivet(&["run", "--output", "json"])?.expect(0)?.json()?;
    Ok(document["exports"][0]["warnings"].to_string())
}

#[test]
fn a_table_that_was_made_anew_is_another_one() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("anew")?;
    server.psql(&database, TABLE)?;
    let place = workspace(&server.url(&database), "table: t, cursor_column: id")?;
    assert_eq!(run(&place, &[])?, (100, 0));
    // The same rows, and one more: by keys alone nothing could be told.
    server.psql(&database, &format!("drop table t; {TABLE} insert into t values (101, 'n')"))?;
    refused(&place, 1, &["another t: it was system ", ", relation ", "--full-refresh", "rivet state reset -e t"])?;
    assert_eq!(run(&place, &["--full-refresh"])?, (101, 0));
    assert_eq!(run(&place, &[])?, (0, 1));
    // What changes a table and leaves it the same table.
    server.psql(&database, "alter table t add more int; vacuum full t")?;
    server.psql(&database, "insert into t values (102, 'n', 1)")?;
    assert_eq!(run(&place, &[])?.0, 2, "a row with a new column is a new row, and one more");
    // Whoever knows better says so.
    server.psql(&database, &format!("drop table t; {TABLE} insert into t values (105, 'n')"))?;
    refused(&place, 1, &["rivet state set -e t --cursor '102'"])?;
    place.rivet(&["state", "set", "-e", "t", "--cursor", "102"])?.expect(0)?;
    let said = warnings(&place)?;
    ensure!(said.contains("the stored cursor does not say which t it is of"), "{said}");
    assert_eq!(warnings(&place)?, "[]");
    assert_eq!(exported(&place, "id")?.len(), 100 + 101 + 2 + 1);
    Ok(())
}

#[test]
fn a_database_that_was_made_anew_is_another_one() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("made_anew")?;
    server.psql(&database, TABLE)?;
    let url = server.url(&database);
    let places = [
        workspace(&url, "table: t, cursor_column: id")?,
        workspace(&url, "query: select * from t, cursor_column: id")?,
    ];
    for place in &places {
        assert_eq!(run(place, &[])?, (100, 0));
    }
    server.psql("postgres", &format!("drop database {database}"))?;
    server.psql("postgres", &format!("create database {database}"))?;
    server.psql(&database, TABLE)?;
    for place in &places {
        refused(place, 1, &["it was system ", "and is system ", "--full-refresh"])?;
    }
    Ok(())
}

#[test]
fn a_cursor_above_all_keys_stops_the_run() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("above")?;
    let table = "create table t (id serial, note text); insert into t (note) select 'n' from generate_series(1, 100);";
    server.psql(&database, table)?;
    let url = server.url(&database);
    let places = [
        workspace(&url, "table: t, cursor_column: id")?,
        workspace(&url, "table: t, cursor_column: id, lookback: 50")?,
        workspace(&url, "query: select * from t, cursor_column: id")?,
    ];
    for place in &places {
        assert_eq!(run(place, &[])?, (100, 0));
    }
    server
        .psql(&database, "truncate t restart identity; insert into t (note) select 'n' from generate_series(1, 60)")?;
    for place in &places {
        refused(
            place,
            3,
            &[" is 60, which is below the stored cursor of 't', 100", "--full-refresh", "--cursor '60'"],
        )?;
    }
    // Only the newest were deleted: the cursor goes back to what is there.
    places[0].rivet(&["state", "set", "-e", "t", "--cursor", "60"])?.expect(0)?;
    server.psql(&database, "insert into t (note) values ('new')")?;
    assert_eq!(run(&places[0], &[])?.0, 2, "the row at the cursor, and the new one");
    Ok(())
}

#[test]
fn rows_that_leave_the_condition_stop_no_run() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("condition")?;
    server.psql(
        &database,
        "create table t (id int primary key, open bool not null); insert into t select i, true from generate_series(1, 100) i",
    )?;
    let place = workspace(&server.url(&database), "table: t, cursor_column: id, where: open")?;
    assert_eq!(run(&place, &[])?, (100, 0));
    server.psql(&database, "update t set open = false where id > 50")?;
    for _ in 0..2 {
        assert_eq!(run(&place, &[])?.0, 0);
        assert_eq!(warnings(&place)?, "[]");
    }
    server.psql(&database, "insert into t values (101, true)")?;
    assert_eq!(run(&place, &[])?.0, 1);
    // The end of the whole relation is gone: that is another matter.
    server.psql(&database, "delete from t where id > 60")?;
    refused(&place, 3, &[" is 50, which is below the stored cursor of 't', 101"])
}

#[test]
fn a_table_that_was_emptied_keeps_its_cursor() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("emptied")?;
    server.psql(&database, TABLE)?;
    let place = workspace(&server.url(&database), "table: t, cursor_column: id")?;
    assert_eq!(run(&place, &[])?, (100, 0));
    server.psql(&database, "delete from t")?;
    for _ in 0..2 {
        let said = warnings(&place)?;
        ensure!(said.contains("t holds no row with a key: the cursor stays at 100"), "{said}");
    }
    server.psql(&database, "insert into t values (101, 'n')")?;
    assert_eq!(run(&place, &[])?, (1, 0));
    assert_eq!(exported(&place, "id")?, sorted(1..=101));
    Ok(())
}

#[test]
fn a_cursor_of_an_older_version_is_taken_once() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("older")?;
    server.psql(&database, TABLE)?;
    let place = workspace(&server.url(&database), "table: t, cursor_column: id")?;
    assert_eq!(run(&place, &[])?, (100, 0));
    state(&place, "update cursors set value_json = json_remove(value_json, '$.owner')")?;
    server.psql(&database, "insert into t values (101, 'n')")?;
    let said = warnings(&place)?;
    ensure!(said.contains("does not say which t it is of: it is taken for one of system "), "{said}");
    assert_eq!(warnings(&place)?, "[]");
    assert_eq!(exported(&place, "id")?, sorted(1..=101));
    // Without its parts a cursor of something else is refused as ever.
    state(&place, "update cursors set value_json = json_remove(value_json, '$.owner')")?;
    place.configure(&crate::config("table: t, cursor_column: id, where: id > 0"))?;
    refused(&place, 1, &["belongs to another database, relation, condition"])
}
