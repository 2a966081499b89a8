//! The state files of rivet-cli, as its versions made them.
//! They must not need that program.

use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::state::{ForeignCursor, foreign_cursors};

/// What the first version made; later ones added tables and columns.
const V1: &str = "
    CREATE TABLE schema_version (version INTEGER NOT NULL);
    CREATE TABLE export_state (export_name TEXT PRIMARY KEY, last_cursor_value TEXT, last_run_at TEXT);
    CREATE TABLE export_schema (export_name TEXT PRIMARY KEY, columns_json TEXT NOT NULL, updated_at TEXT NOT NULL);
    INSERT INTO export_state VALUES ('orders', '2026-05-14T10:00:00.123456', '2026-05-14T10:05:00+00:00'), ('all', NULL, NULL);
";

fn file(sql: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("old.db");
    Connection::open(&path).and_then(|db| db.execute_batch(sql)).expect("the fixture loads");
    (dir, path)
}

fn cursor(export: &str, value: Option<&str>, at: Option<&str>, column: Option<&str>) -> ForeignCursor {
    let text = |text: Option<&str>| text.map(str::to_owned);
    ForeignCursor { export: export.to_owned(), value: text(value), last_run_at: text(at), column: text(column) }
}

#[test]
fn each_version_has_its_cursors_in_one_table() {
    let (at, value) = (Some("2026-05-14T10:05:00+00:00"), Some("2026-05-14T10:00:00.123456"));
    let v4 = "CREATE TABLE chunk_run (run_id TEXT PRIMARY KEY); CREATE TABLE export_progression (export_name TEXT PRIMARY KEY, \
              last_committed_cursor TEXT); UPDATE schema_version SET version = 4;";
    let later = "ALTER TABLE export_state ADD COLUMN resume_run_id TEXT; ALTER TABLE export_state ADD COLUMN cursor_column TEXT; \
                 UPDATE export_state SET cursor_column = 'at' WHERE export_name = 'orders';";
    for (more, column) in [(String::new(), None), (v4.to_owned(), None), (format!("{v4}{later}"), Some("at"))] {
        let (_dir, path) = file(&format!("{V1}{more}"));
        let before = std::fs::read(&path).expect("readable");
        let found = foreign_cursors(&path).expect("it is one");
        assert_eq!(found, [cursor("all", None, None, None), cursor("orders", value, at, column)]);
        assert_eq!(std::fs::read(&path).expect("readable"), before, "nothing is changed");
    }
}

#[test]
fn what_is_no_such_file_is_said() {
    let (dir, path) = file("CREATE TABLE runs (run_id TEXT)");
    std::fs::write(dir.path().join("text"), "no database, but long enough to look for one in it".repeat(20))
        .expect("writable");
    for (path, said) in [
        (path, "it has no table `export_state`"),
        (dir.path().join("text"), "it is no SQLite database"),
        (dir.path().join("nowhere"), "there is no such file"),
        (dir.path().to_owned(), "there is no such file"),
    ] {
        let error = foreign_cursors(&path).expect_err("it is none");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.code(), "state.no_cursors");
    }
}
