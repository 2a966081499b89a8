//! Two configs share a file; one takes the other's place.
//! They must not need a config, but for its name.

use std::fs;

use serde_json::{Value, json};

use super::{Fixture, new_run};
use crate::state::{CursorUpdate, Holder, NewRun, State, StateError};

fn cursor(value: &str) -> CursorUpdate {
    CursorUpdate { fingerprint: "f".to_owned(), value: json!(value) }
}

fn value(state: &State) -> Option<Value> {
    state.cursor("orders").expect("readable").map(|stored| stored.value)
}

fn holder() -> Holder {
    Holder::this_process("r", "rivet run")
}

/// The state as a config of this name sees it, which is there.
fn of(fixture: &Fixture, name: &str) -> State {
    let file = fixture.dir.path().join(name);
    fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
    fs::write(&file, "").expect("writable");
    fixture.state.of_config_file(&file)
}

#[test]
fn a_config_is_called_by_its_place_beside_the_state() {
    let fixture = Fixture::new();
    for name in ["a.yaml", "conf/a.yaml"] {
        assert_eq!(of(&fixture, name).config(), Some(name));
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = elsewhere.path().canonicalize().expect("a path").join("a.yaml");
    assert_eq!(fixture.state.of_config_file(&file).config(), file.to_str());
    // What a link leads to may change.
    let link = fixture.dir.path().join("link.yaml");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert_eq!(fixture.state.of_config_file(&link).config(), Some("link.yaml"));
}

#[test]
fn exports_of_two_configs_have_nothing_in_common_but_the_name() {
    let fixture = Fixture::new();
    let (a, b) = (of(&fixture, "a.yaml"), of(&fixture, "b.yaml"));
    let _held = a.lock_export("orders", &holder()).expect("free");
    let _other = b.lock_export("orders", &holder()).expect("free as well");
    a.begin_run(&new_run("r1", "orders")).expect("it begins");
    assert!(a.unfinished_run("orders").expect("readable").is_some());
    assert!(b.unfinished_run("orders").expect("readable").is_none());
    for (state, text) in [(&a, "1"), (&b, "2")] {
        state.set_cursor("orders", &cursor(text)).expect("stored");
        state.save_schema("orders", "r1", &json!(text)).expect("stored");
    }
    assert_eq!((value(&a), value(&b)), (Some(json!("1")), Some(json!("2"))));
    assert_eq!(b.last_schema("orders").expect("readable"), Some(json!("2")));
    assert!(b.reset_cursor("orders").expect("removed"));
    assert_eq!((value(&a), value(&b)), (Some(json!("1")), None));
    assert_eq!(fixture.state.configs_of("orders").expect("readable"), ["a.yaml", "b.yaml"]);
    assert_eq!(a.runs_of(&["orders".to_owned()], 9).expect("readable").len(), 1);
    assert_eq!(b.recent_runs(9).expect("readable").len(), 0);
    assert_eq!(a.predecessor("orders").expect("readable"), None, "it has its own");
}

#[test]
fn what_a_config_left_that_is_no_more_is_taken_over_once() {
    let fixture = Fixture::new();
    let before = of(&fixture, "a.yaml");
    before.set_cursor("orders", &cursor("1")).expect("stored");
    let after = of(&fixture, "b.yaml");
    assert_eq!(after.predecessor("orders").expect("readable"), None, "it is there");
    fs::remove_file(fixture.dir.path().join("a.yaml")).expect("removable");
    assert_eq!(value(&after.as_kept("orders").expect("readable")), Some(json!("1")), "also without taking it");
    assert_eq!(after.predecessor("orders").expect("readable").as_deref(), Some("a.yaml"));
    after.take_over("orders", "a.yaml").expect("written");
    assert_eq!((value(&before), value(&after)), (None, Some(json!("1"))));
    assert_eq!(after.predecessor("orders").expect("readable"), None);
}

#[test]
fn what_was_kept_before_there_were_configs_goes_to_the_first() {
    let fixture = Fixture::new();
    fixture.state.set_cursor("orders", &cursor("1")).expect("stored");
    let direct = fixture.state.of_arguments("sqlite:data.db");
    assert_eq!(direct.predecessor("orders").expect("readable"), None, "arguments are nobody's successor");
    direct.set_cursor("orders", &cursor("2")).expect("stored");
    let config = of(&fixture, "a.yaml");
    assert_eq!(config.predecessor("orders").expect("readable").as_deref(), Some(""));
    config.take_over("orders", "").expect("written");
    assert_eq!((value(&config), value(&direct)), (Some(json!("1")), Some(json!("2"))), "arguments are no file to miss");
    let second = of(&fixture, "b.yaml");
    assert_eq!(second.predecessor("orders").expect("readable"), None);
}

#[test]
fn a_run_that_failed_before_its_plan_is_no_state_of_its_own() {
    let fixture = Fixture::new();
    let before = of(&fixture, "a.yaml");
    before.begin_run(&new_run("r1", "orders")).expect("it begins");
    fs::remove_file(fixture.dir.path().join("a.yaml")).expect("removable");
    let after = of(&fixture, "b.yaml");
    let failed = NewRun { plan_json: Value::Null, ..new_run("r2", "orders") };
    after.record_failed_start(&failed, &json!({})).expect("recorded");
    assert_eq!(after.predecessor("orders").expect("readable").as_deref(), Some("a.yaml"));
    assert_eq!(after.last_pair("orders").expect("readable"), None, "nothing was read or written");
    let pair = before.last_pair("orders").expect("readable").expect("a run");
    assert_eq!((pair.source, pair.destination), (failed.source, failed.destination));
    after.begin_run(&new_run("r3", "orders")).expect("it begins");
    assert_eq!(after.predecessor("orders").expect("readable"), None);
}

#[test]
fn two_configs_that_write_to_one_place_take_turns() {
    let fixture = Fixture::new();
    let (a, b) = (of(&fixture, "a.yaml"), of(&fixture, "b.yaml"));
    let held = a.lock_place("orders", "local(path=/out)", &holder()).expect("free");
    let error = b.lock_place("orders", "local(path=/out)", &holder()).expect_err("held");
    assert!(matches!(error, StateError::PlaceLocked { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with("an export 'orders' of another config is writing to the same destination: process ")
    );
    assert_eq!(error.code(), "export.locked");
    let _other_place = b.lock_place("orders", "local(path=/elsewhere)", &holder()).expect("free");
    let _other_export = b.lock_place("customers", "local(path=/out)", &holder()).expect("free");
    drop(held);
    b.lock_place("orders", "local(path=/out)", &holder()).expect("free again");
}
