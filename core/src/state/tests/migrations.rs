//! The schema: old files are brought forward, newer and foreign ones are left alone.
//! They must not know what the tables are for.

use std::path::Path;

use rusqlite::Connection;

use super::Fixture;
use crate::state::migrate::{APPLICATION_ID, STEPS, migrate};
use crate::state::{Phase, State, StateError};

const V1: &str = include_str!("v1.sql");

fn version(db: &Connection) -> i64 {
    db.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version")
}

/// Names and definitions of everything in the schema.
fn schema(db: &Connection) -> Vec<String> {
    let sql = "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name";
    let mut query = db.prepare(sql).expect("a statement");
    let rows = query.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("texts")
}

#[test]
fn a_file_of_version_1_keeps_its_content() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state.db");
    Connection::open(&path).and_then(|db| db.execute_batch(V1)).expect("the fixture loads");

    let state = State::open(&path).expect("it opens");
    let unfinished = state.unfinished_run("orders").expect("readable").expect("there is one");
    assert_eq!((unfinished.run_id.as_str(), unfinished.phase), ("r2", Phase::Judged));
    assert_eq!(unfinished.verdict, serde_json::json!({ "rows": 5 }));
    assert_eq!(unfinished.splits.len(), 1);
    let tokens: Vec<_> = unfinished.parts.iter().map(|p| (p.part.token.as_str(), p.published)).collect();
    assert_eq!(tokens, [("token-2", true), ("token-3", false)]);
    let good = state.last_good_run("orders").expect("readable").expect("there is one");
    assert_eq!((good.run_id.as_str(), good.ended_at_ms, good.config_digest), ("r1", None, None));
    assert_eq!(state.last_schema("orders").expect("readable"), Some(serde_json::json!({ "columns": [] })));
    let cursor = state.cursor("orders").expect("readable").expect("there is one");
    assert_eq!((cursor.value, cursor.updated_at_ms), (serde_json::json!("2026-11-21"), 0));

    let fresh = Fixture::new();
    let migrated = Connection::open(&path).expect("the file opens");
    assert_eq!(schema(&migrated), schema(&Connection::open(fresh.path()).expect("the file opens")));
    assert_eq!(version(&migrated), STEPS.len() as i64);
    let application: i64 = migrated.pragma_query_value(None, "application_id", |row| row.get(0)).expect("an id");
    assert_eq!(application, APPLICATION_ID);
}

#[test]
fn whoever_looks_at_a_file_of_an_older_version_leaves_it_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("it's \"old\".db");
    Connection::open(&path).and_then(|db| db.execute_batch(V1)).expect("the fixture loads");
    let before = std::fs::read(&path).expect("readable");
    let names = || {
        let entries = std::fs::read_dir(dir.path()).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>()
    };
    let files = names();

    let state = State::look(&path).expect("it opens").expect("it is there");
    let good = state.last_good_run("orders").expect("readable").expect("there is one");
    assert_eq!(good.run_id, "r1");
    let unfinished = state.unfinished_run("orders").expect("readable").expect("there is one");
    assert_eq!((unfinished.run_id.as_str(), unfinished.splits.len(), unfinished.parts.len()), ("r2", 1, 2));
    assert!(state.progress_of("r2").is_ok(), "tables of later versions are there too");
    assert_eq!(state.path(), path.canonicalize().expect("real"), "its locks are those of the file");
    drop(state);
    assert_eq!((std::fs::read(&path).expect("readable"), names()), (before, files));
}

#[test]
fn the_first_step_is_what_it_was() {
    let (then, now) = (Connection::open_in_memory().expect("memory"), Connection::open_in_memory().expect("memory"));
    then.execute_batch(V1).expect("the fixture loads");
    now.execute_batch(STEPS[0]).expect("the step runs");
    assert_eq!(schema(&now), schema(&then));
}

#[test]
fn a_step_happens_whole_or_not_at_all() {
    let path = Path::new("state.db");
    let mut db = Connection::open_in_memory().expect("memory");
    let first = "CREATE TABLE a (x); INSERT INTO a VALUES (1)";
    let broken = "CREATE TABLE b (x); UPDATE a SET x = 2; INSERT INTO nowhere VALUES (1)";
    assert!(matches!(migrate(&mut db, path, &[first, broken]), Err(StateError::Open { .. })));
    let x = |db: &Connection| db.query_row("SELECT x FROM a", [], |row| row.get::<_, i64>(0)).expect("one row");
    assert_eq!((version(&db), x(&db), schema(&db).len()), (1, 1, 1));

    let mended = "CREATE TABLE b (x); UPDATE a SET x = x + 1";
    migrate(&mut db, path, &[first, mended, mended.replace("b (", "c (").as_str()]).expect("the steps run");
    assert_eq!((version(&db), x(&db), schema(&db).len()), (3, 3, 3));
    migrate(&mut db, path, &[first, mended, "nonsense, but it ran already"]).expect("nothing is left to do");
    assert_eq!((version(&db), x(&db)), (3, 3));
    assert!(matches!(migrate(&mut db, path, &[first]), Err(StateError::Newer { found: 3, known: 1, .. })));
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let fixture = Fixture::with_run();
    let path = fixture.path();
    drop(fixture.state);
    Connection::open(&path).and_then(|db| db.pragma_update(None, "user_version", 99)).expect("the version is set");
    let before = std::fs::read(&path).expect("readable");

    let error = State::open(&path).expect_err("it is newer");
    let known = STEPS.len();
    assert_eq!(
        error.to_string(),
        format!("the state file '{}' has schema version 99, this rivet knows up to {known}", path.display())
    );
    assert_eq!(error.code(), "state.newer");
    assert!(error.hint().is_some_and(|hint| hint.contains("newer rivet")));
    assert_eq!(std::fs::read(&path).expect("readable"), before);
}
