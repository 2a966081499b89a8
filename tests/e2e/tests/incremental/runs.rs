//! Run after run: ties, late commits, NULLs, refusals, backfills.

use anyhow::{Result, ensure};
use rivet_test_servers::postgres;

use crate::{exported, run, sorted, state, workspace};

const TABLE: &str = "create table t (id int, at timestamptz, note text);\n\
                     insert into t select i, '2024-01-01'::timestamptz + i * interval '1 minute', 'n' \
                     from generate_series(1, 1000) i;";

#[test]
fn ties_are_neither_lost_nor_doubled() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("ties")?;
    server.psql(&database, TABLE)?;
    let place = workspace(&server.url(&database), "table: t, cursor_column: at")?;
    assert_eq!(run(&place, &[])?, (1000, 0));
    let cursor = "select value_json from cursors";
    let before = state(&place, cursor)?;
    assert_eq!(run(&place, &[])?, (0, 1), "an unchanged table has nothing new");
    assert_eq!(state(&place, cursor)?, before, "the cursor has not moved");
    // At the very value of the cursor: a new row, and one more that equals an old one in every column.
    server.psql(&database, "insert into t select 1001, at, note from t where id = 1000")?;
    server.psql(&database, "insert into t select * from t where id = 1000")?;
    assert_eq!(run(&place, &[])?, (2, 1));
    assert_eq!(run(&place, &[])?, (0, 3));
    server.psql(&database, "insert into t values (1002, now(), null)")?;
    assert_eq!(run(&place, &[])?, (1, 3));
    let expected = sorted((1..=1002).chain([1000]));
    assert_eq!(exported(&place, "id")?, expected);
    Ok(())
}

#[test]
fn what_commits_late_is_found_within_the_lookback() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("late")?;
    server.psql(&database, TABLE)?;
    let place = workspace(&server.url(&database), "table: t, cursor_column: at, lookback: 10m")?;
    assert_eq!(run(&place, &[])?, (1000, 0));
    assert_eq!(run(&place, &[])?, (0, 11), "the window is read again and known");
    // Two late rows: one within the window, one below it.
    server.psql(
        &database,
        "insert into t select 2001, at + interval '1 second', 'late' from t where id = 995;\n\
         insert into t select 2002, at + interval '1 second', 'too late' from t where id = 900;",
    )?;
    assert_eq!(run(&place, &[])?, (1, 11));
    // A row of the window that is changed is a new row.
    server.psql(&database, "update t set note = 'changed' where id = 998")?;
    assert_eq!(run(&place, &[])?, (1, 11));
    assert_eq!(exported(&place, "id")?, sorted((1..=1000).chain([2001, 998])));
    // A whole number is a distance between numbers.
    let numbers = workspace(&server.url(&database), "table: t, cursor_column: id, lookback: 5")?;
    assert_eq!(run(&numbers, &[])?, (1002, 0));
    server.psql(&database, "insert into t values (1999, now(), 'late'), (1996, now(), 'too late')")?;
    assert_eq!(run(&numbers, &[])?, (1, 2));
    Ok(())
}

#[test]
fn rows_without_a_cursor_are_never_lost_in_silence() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("nulls")?;
    server.psql(&database, TABLE)?;
    server.psql(
        &database,
        "alter table t add made timestamptz; update t set made = at; update t set at = null where id = 7",
    )?;
    let url = server.url(&database);
    let place = workspace(&url, "table: t, cursor_column: at")?;
    let ran = place.rivet(&["run"])?.expect(3)?;
    ensure!(ran.stderr.contains("1 row of t has NULL in the cursor column 'at'"), "{}", ran.stderr);
    ensure!(ran.stderr.contains("cursor_fallback_column") && exported(&place, "id")?.is_empty(), "{}", ran.stderr);
    let including = workspace(&url, "table: t, cursor_column: at, null_cursor: include")?;
    assert_eq!(run(&including, &[])?, (1000, 0));
    assert_eq!(run(&including, &[])?, (0, 2), "the NULL and the tie are known");
    let falling_back = workspace(&url, "table: t, cursor_column: at, cursor_fallback_column: made")?;
    assert_eq!(run(&falling_back, &[])?, (1000, 0));
    server.psql(&database, "insert into t values (1001, null, 'x', '2030-01-01')")?;
    assert_eq!(run(&falling_back, &[])?, (1, 1));
    assert_eq!(exported(&falling_back, "id")?, sorted(1..=1001));
    Ok(())
}

#[test]
fn a_cursor_belongs_to_its_database() -> Result<()> {
    let server = postgres::shared();
    let (one, other) = (server.fresh_database("here")?, server.fresh_database("there")?);
    for database in [&one, &other] {
        server.psql(database, TABLE)?;
    }
    let place = workspace(&server.url(&one), "table: t, cursor_column: at")?;
    run(&place, &[])?;
    let place = place.with_variable("TEST_URL", &server.url(&other));
    let ran = place.rivet(&["run"])?.expect(1)?;
    ensure!(
        ran.stderr.contains("belongs to something else: the database was ") && ran.stderr.contains("--full-refresh"),
        "{}",
        ran.stderr
    );
    assert_eq!(run(&place, &["--full-refresh"])?, (1000, 0));
    assert_eq!(run(&place, &[])?, (0, 1));
    place.configure(&crate::config("table: t, cursor_column: id, where: id > 0"))?;
    let ran = place.rivet(&["run"])?.expect(1)?;
    for words in ["the cursor column was at and is id", "`where` was none and is `id > 0`"] {
        ensure!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_backfill_leaves_the_cursor_alone() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("backfill")?;
    server.psql(&database, TABLE)?;
    let place = workspace(&server.url(&database), "table: t, cursor_column: at")?;
    run(&place, &[])?;
    let before = state(&place, "select value_json from cursors")?;
    assert_eq!(run(&place, &["--from", "2024-01-01 00:01:00+00", "--to", "2024-01-01 00:05:00+00"])?, (5, 0));
    assert_eq!(run(&place, &["--to", "2024-01-01 00:02:00Z"])?, (2, 0));
    assert_eq!(state(&place, "select value_json from cursors")?, before);
    assert_eq!(run(&place, &[])?, (0, 1));
    let ran = place.rivet(&["run", "--from", "yesterday or so"])?;
    ensure!(ran.code == Some(1) && ran.stderr.contains("yesterday or so"), "{:?} {}", ran.code, ran.stderr);
    Ok(())
}

#[test]
fn a_filter_goes_where_the_query_says() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("filter")?;
    server.psql(&database, TABLE)?;
    let query = "query: 'select id, at, count(*) over () n from t where ${rivet.filter}', cursor_column: id";
    let place = workspace(&server.url(&database), query)?;
    assert_eq!(run(&place, &[])?, (1000, 0));
    server.psql(&database, "insert into t select 1000 + i, now(), 'n' from generate_series(1, 10) i")?;
    // Inside the query the filter comes before the window: it counts what is read, the tie included.
    run(&place, &[])?;
    let counted = exported(&place, "n")?;
    ensure!(counted.iter().filter(|n| *n == "11").count() >= 10, "{:?}", &counted[counted.len() - 12..]);
    let condition = workspace(&server.url(&database), "table: t, where: \"id % 2 = 0 -- even\", cursor_column: id")?;
    assert_eq!(run(&condition, &[])?, (505, 0));
    assert_eq!(run(&condition, &[])?, (0, 1));
    Ok(())
}
