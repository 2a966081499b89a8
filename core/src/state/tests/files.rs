//! Opening: what is made, with which rights, and what is refused without being touched.
//! They must not know what is stored.

use std::fs;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use super::processes::{child_arguments, this_executable};
use super::{Fixture, kind};
use crate::state::{State, StateError};

#[test]
fn only_the_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::with_run();
    let _lock = fixture.state.lock_export("orders", &super::locks::holder("r1")).expect("free");
    let dir = fixture.dir.path();
    for name in ["state.db", "state.db-wal", "state.db-shm", "state.db.locks/orders.lock"] {
        let mode = fs::metadata(dir.join(name)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn it_is_durable_and_write_ahead() {
    let fixture = Fixture::new();
    let db = fixture.state.db();
    let text = |name| db.pragma_query_value(None, name, |row| row.get::<_, String>(0)).expect("a pragma");
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).expect("a pragma");
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!((number("synchronous"), number("foreign_keys"), number("busy_timeout")), (2, 1, 10_000));
}

#[test]
fn what_is_something_else_is_not_touched() {
    let dir = tempfile::tempdir().expect("a folder");
    let database = |name: &str, sql: &str| {
        let path = dir.path().join(name);
        Connection::open(&path).and_then(|db| db.execute_batch(sql)).expect("the database is made");
        path
    };
    let text = dir.path().join("notes.txt");
    fs::write(&text, "dear diary, this is no database. ".repeat(100)).expect("writable");
    let cases = [
        (text, "no SQLite database"),
        (database("shop.db", "CREATE TABLE orders (id)"), "another program's SQLite database"),
        (database("app.db", "CREATE TABLE runs (id); PRAGMA user_version = 1"), "another program's SQLite database"),
        (database("gpkg.db", "PRAGMA application_id = 1196444487"), "another program's SQLite database"),
        (database("odd.db", "PRAGMA user_version = -1"), "another program's SQLite database"),
    ];
    for (path, what) in cases {
        let before = fs::read(&path).expect("readable");
        let error = State::open(&path).expect_err("it is something else");
        assert_eq!(error.to_string(), format!("the file '{}' is not a state file but {what}", path.display()));
        assert_eq!(error.code(), "state.foreign");
        assert_eq!(fs::read(&path).expect("readable"), before, "{}", path.display());
    }
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 5, "no file beside them");
}

#[test]
fn an_empty_file_and_a_missing_folder_are_a_beginning() {
    let dir = tempfile::tempdir().expect("a folder");
    let empty = dir.path().join("empty.db");
    fs::write(&empty, "").expect("writable");
    State::open(&empty).expect("it opens");
    State::open(&dir.path().join("new/folder/state.db")).expect("it opens");
}

#[test]
fn a_path_that_cannot_be_a_file_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("file"), "").expect("writable");
    for path in [dir.path().to_owned(), dir.path().join("file/state.db")] {
        let error = State::open(&path).expect_err("it cannot be made");
        assert!(matches!(error, StateError::Create { .. }), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_damaged_file_is_said_to_be_damaged() {
    let fixture = Fixture::with_run();
    let path = fixture.path();
    drop(fixture.state);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[100..].fill(0x5a);
    fs::write(&path, bytes).expect("writable");
    let error = State::open(&path).and_then(|s| s.unfinished_run("orders")).expect_err("it is damaged");
    assert!(error.hint().is_some_and(|hint| hint.contains("damaged")), "{error}");
}

#[test]
fn a_stored_text_that_is_no_json_is_an_error_not_a_null() {
    let fixture = Fixture::with_run();
    let db = Connection::open(fixture.path()).expect("the file opens");
    db.execute_batch("UPDATE runs SET plan_json = '{'").expect("writable");
    assert_eq!(kind(fixture.state.unfinished_run("orders").map(|_| ())), "state.unreadable");
    db.execute_batch("UPDATE runs SET plan_json = '{}', phase = 'dancing'").expect("writable");
    assert_eq!(kind(fixture.state.recent_runs(1)), "state.unreadable");
}

/// Root writes everywhere, so where the tests run as root a child without its powers looks.
#[test]
fn a_folder_without_write_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    let locked = dir.path().join("locked");
    fs::create_dir(&locked).expect("writable");
    drop(State::open(&locked.join("old.db")).expect("it opens"));
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).expect("ours");
    if fs::write(locked.join("probe"), "").is_err() {
        return read_only(&locked);
    }
    fs::remove_file(locked.join("probe")).expect("ours");
    let what = serde_json::json!({ "read_only": locked });
    let executable = dir.path().join("child");
    fs::copy(this_executable(), &executable).expect("there is room");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000"]).arg(executable);
    let unshared = command.args(child_arguments(dir.path(), &what)).output();
    let output = unshared.expect("unshare is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("looked at it"), "the child did its work");
}

/// What is to be seen by a process that may not write into `folder`.
pub fn read_only(folder: &Path) {
    let new = folder.join("new.db");
    let error = State::open(&new).expect_err("it cannot be made");
    assert!(matches!(error, StateError::Create { .. }), "{error:?}");
    assert!(error.to_string().contains(&new.display().to_string()), "{error}");
    // SQLite can make no files beside this one.
    let old = folder.join("old.db");
    let error = State::open(&old).expect_err("it cannot be opened for writing");
    assert!(error.to_string().contains(&old.display().to_string()), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("permissions")), "{error} {:?}", error.hint());
}
