//! Questions about the past, cursors moved by hand, and looks at locks.
//! They must not need a run.

use std::fs;

use serde_json::json;

use super::locks::holder;
use super::{Fixture, NOW_MS, new_run};
use crate::state::{BY_HAND, CursorUpdate, Holder, NewRun, Phase, State};

fn finish(fixture: &Fixture, run_id: &str, cursor: Option<&CursorUpdate>) {
    fixture.state.judge_run(run_id, &json!({})).expect("judged");
    let summary = json!({ "rows": 3 });
    fixture.state.finish_run_with_cursor(run_id, "success", &json!([]), &summary, cursor).expect("finished");
}

fn begin_at(fixture: &Fixture, run_id: &str, export: &str, after_ms: i64) {
    let run = NewRun { started_at_ms: NOW_MS + after_ms, ..new_run(run_id, export) };
    fixture.state.begin_run(&run).expect("begun");
}

#[test]
fn runs_are_found_by_export_by_id_and_by_their_end() {
    let fixture = Fixture::new();
    for (i, (run_id, export)) in [("r1", "a"), ("r2", "b"), ("r3", "a"), ("r4", "a")].into_iter().enumerate() {
        begin_at(&fixture, run_id, export, i64::try_from(i).expect("small"));
    }
    finish(&fixture, "r1", None);
    finish(&fixture, "r3", None);
    fixture.state.end_run("r4", Phase::Failed, &json!({})).expect("ended");
    let ids = |runs: Vec<crate::state::RunEntry>| runs.into_iter().map(|r| r.run_id).collect::<Vec<_>>();
    let of = |names: &[&str], limit| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        ids(fixture.state.runs_of(&names, limit).expect("read"))
    };
    assert_eq!(of(&[], 9), ["r4", "r3", "r2", "r1"]);
    assert_eq!(of(&["a"], 2), ["r4", "r3"]);
    assert_eq!(of(&["b", "a"], 9), ["r4", "r3", "r2", "r1"]);
    assert_eq!(of(&["c", "\"a"], 9), [""; 0]);
    assert_eq!(ids(fixture.state.good_runs("a", 9).expect("read")), ["r3", "r1"]);
    assert_eq!(ids(fixture.state.good_runs("a", 1).expect("read")), ["r3"]);
    assert_eq!(fixture.state.run("r2").expect("read").expect("there").phase, Phase::Extracting);
    assert_eq!(fixture.state.run("r9").expect("read"), None);
    assert_eq!(fixture.state.plan_of("r2").expect("read"), Some(json!({ "splits": [0, 1] })));
    assert_eq!(fixture.state.known_exports().expect("read"), ["a", "b"]);
}

#[test]
fn a_run_that_failed_before_its_plan_is_history_and_one_that_was_begun_is_left_alone() {
    let fixture = Fixture::with_run();
    let before = fixture.dump();
    fixture.state.record_failed_start(&new_run("r1", "orders"), &json!({})).expect("nothing to do");
    assert_eq!(fixture.dump(), before);
    fixture.clock.advance_ms(500);
    let run = NewRun { plan_json: json!(null), ..new_run("r2", "other") };
    fixture.state.record_failed_start(&run, &json!({ "rows": 0 })).expect("recorded");
    let entry = fixture.state.run("r2").expect("read").expect("there");
    assert_eq!((entry.phase, entry.status.as_deref()), (Phase::Failed, Some("failed")));
    assert_eq!((entry.ended_at_ms, entry.summary), (Some(NOW_MS + 500), json!({ "rows": 0 })));
    assert!(fixture.state.unfinished_run("other").expect("read").is_none(), "there is nothing to settle");
}

#[test]
fn a_cursor_is_moved_and_removed_by_hand() {
    let fixture = Fixture::with_run();
    let cursor = CursorUpdate { fingerprint: "f1".to_owned(), value: json!({ "native_type": "int8", "text": "41" }) };
    finish(&fixture, "r1", Some(&cursor));
    let old = fixture.state.cursor("orders").expect("read").expect("stored");
    fixture.clock.advance_ms(1_000);
    let value = json!({ "native_type": "int8", "text": "7" });
    fixture
        .state
        .set_cursor("orders", &CursorUpdate { fingerprint: old.fingerprint.clone(), value: value.clone() })
        .expect("moved");
    let new = fixture.state.cursor("orders").expect("read").expect("stored");
    assert_eq!((new.fingerprint.as_str(), new.run_id.as_str()), ("f1", BY_HAND));
    assert_eq!((new.value, new.updated_at_ms), (value, NOW_MS + 1_000));
    assert!(fixture.state.reset_cursor("orders").expect("removed"));
    assert_eq!(fixture.state.cursor("orders").expect("read"), None);
    assert!(!fixture.state.reset_cursor("orders").expect("nothing to do"));
    assert!(fixture.state.last_schema("orders").expect("read").is_some(), "the cursor alone goes");
}

#[test]
fn a_look_at_a_lock_sees_who_holds_it_and_is_in_nobodys_way() {
    let fixture = Fixture::new();
    let look = || fixture.state.lock_holder("orders").expect("readable");
    assert_eq!(look(), None);
    assert!(!fixture.dir.path().join("state.db.locks").exists(), "nothing is made");
    let lock = fixture.state.lock_export("orders", &holder("r1")).expect("free");
    let held = look().expect("held");
    assert_eq!((held.holder, held.since_unix_ms), (Some(holder("r1")), Some(NOW_MS)));
    drop(lock);
    assert_eq!(look(), None);
    let note = fixture.dir.path().join("state.db.locks/orders.lock");
    fs::write(&note, serde_json::to_vec(&holder("dead")).expect("JSON")).expect("writable");
    assert_eq!(look(), None, "the note of a holder that was killed");
    let others: Vec<Holder> = (0..20).map(|i| holder(&format!("r{i}"))).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..2_000).for_each(|_| drop(look())));
        for other in &others {
            fs::write(&note, "left behind").expect("writable");
            drop(fixture.state.lock_export("orders", other).expect("a look is no holder"));
        }
    });
}

#[test]
fn looking_for_a_state_makes_none() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().join("none.db");
    for open in [State::open_existing, State::look] {
        assert!(open(&path).expect("no failure").is_none());
        assert!(!path.exists());
    }
    drop(State::open(&path).expect("made"));
    for open in [State::open_existing, State::look] {
        let opened = open(&path).expect("opens").expect("there");
        assert_eq!(opened.path(), path.canonicalize().expect("real"));
    }
}

#[test]
fn the_journal_alone_does_not_wait_for_the_disk() {
    let fixture = Fixture::with_run();
    let synchronous =
        || -> i64 { fixture.state.db().pragma_query_value(None, "synchronous", |row| row.get(0)).expect("a number") };
    const FULL: i64 = 2;
    assert_eq!(synchronous(), FULL);
    fixture.state.journal("r1", 1, "planned", &json!({})).expect("appended");
    assert_eq!(synchronous(), FULL, "after an event");
    let other = State::open(&fixture.path()).expect("opens");
    assert_eq!(other.events("r1").expect("read").len(), 1, "other processes see it");
    fixture.state.db().execute_batch("DROP TABLE events").expect("dropped");
    fixture.state.journal("r1", 2, "planned", &json!({})).expect_err("there is no journal");
    assert_eq!(synchronous(), FULL, "after a failure");
}
