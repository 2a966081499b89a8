//! Runs through their phases, and what is remembered after them.
//! They must not know parts.

use serde_json::{Value, json};

use super::{Fixture, NOW_MS, kind, new_run};
use crate::state::{CursorUpdate, Phase};

const SCHEMA: &str = r#"{"columns":["id"]}"#;

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("valid JSON")
}

#[test]
fn a_run_is_unfinished_until_it_ends() {
    let f = Fixture::with_run();
    let found = |f: &Fixture| f.state.unfinished_run("orders").expect("readable");
    let run = found(&f).expect("there is one");
    assert_eq!((run.run_id.as_str(), run.phase, &run.verdict), ("r1", Phase::Extracting, &Value::Null));
    assert_eq!(run.plan, new_run("r1", "orders").plan_json);
    assert!(f.state.unfinished_run("customers").expect("readable").is_none());

    f.state.judge_run("r1", &json!({ "rows": 7 })).expect("judged");
    let run = found(&f).expect("there is one");
    assert_eq!((run.phase, run.verdict), (Phase::Judged, json!({ "rows": 7 })));

    f.clock.advance_ms(1_500);
    f.state.finish_run("r1", "success", &schema(), &json!({ "rows": 7 })).expect("finished");
    assert!(found(&f).is_none());
    let entry = f.state.last_good_run("orders").expect("readable").expect("there is one");
    assert_eq!((entry.phase, entry.status.as_deref()), (Phase::Finished, Some("success")));
    assert_eq!((entry.started_at_ms, entry.ended_at_ms), (NOW_MS, Some(NOW_MS + 1_500)));
    assert_eq!((entry.source.as_str(), entry.destination.as_str()), ("sqlite://shop", "file://out"));
    assert_eq!(entry.summary, json!({ "rows": 7 }));
    assert_eq!(f.state.last_schema("orders").expect("readable"), Some(schema()));
}

#[test]
fn the_oldest_unfinished_run_comes_first() {
    let f = Fixture::new();
    for (run_id, after_ms) in [("b", 5), ("c", 9), ("a", 9)] {
        let run = crate::state::NewRun { started_at_ms: NOW_MS + after_ms, ..new_run(run_id, "orders") };
        f.state.begin_run(&run).expect("a run begins");
    }
    let mut order = Vec::new();
    while let Some(run) = f.state.unfinished_run("orders").expect("readable") {
        f.state.end_run(&run.run_id, Phase::Abandoned, &json!({})).expect("ended");
        order.push(run.run_id);
    }
    assert_eq!(order, ["b", "a", "c"]);
}

/// Every call in every phase: what it does, and that doing it again changes nothing.
#[test]
fn each_call_belongs_to_its_phases() {
    type Call = (&'static str, fn(&Fixture) -> Result<(), crate::state::StateError>);
    let calls: [Call; 6] = [
        ("begin", |f| f.state.begin_run(&new_run("r1", "orders"))),
        ("judge", |f| f.state.judge_run("r1", &json!({ "rows": 1 }))),
        ("finish", |f| f.state.finish_run("r1", "success", &schema(), &json!({ "rows": 1 }))),
        ("fail", |f| f.state.end_run("r1", Phase::Failed, &json!({ "error": "x" }))),
        ("abandon", |f| f.state.end_run("r1", Phase::Abandoned, &json!({}))),
        ("reject", |f| f.state.end_run("r1", Phase::Rejected, &json!({}))),
    ];
    let (ok, unknown, wrong, differs) = ("Ok(())", "state.unknown_run", "state.wrong_phase", "state.differs");
    let expected: [(&[&str], [&str; 6]); 7] = [
        (&[], [ok, unknown, unknown, unknown, unknown, unknown]),
        (&["begin"], [ok, ok, wrong, ok, ok, ok]),
        (&["begin", "judge"], [differs, ok, ok, ok, ok, ok]),
        (&["begin", "judge", "finish"], [differs, wrong, ok, wrong, wrong, wrong]),
        (&["begin", "fail"], [differs, wrong, wrong, ok, wrong, wrong]),
        (&["begin", "abandon"], [differs, wrong, wrong, wrong, ok, wrong]),
        (&["begin", "judge", "reject"], [differs, wrong, wrong, wrong, wrong, ok]),
    ];
    for (before, results) in expected {
        for ((name, call), result) in calls.iter().zip(results) {
            let f = Fixture::new();
            for step in before {
                let (_, step) = calls.iter().find(|(name, _)| name == step).expect("a call");
                step(&f).expect("in order");
            }
            let untouched = f.dump();
            assert_eq!(kind(call(&f)), result, "{name} after {before:?}");
            let once = f.dump();
            if result != ok || before.last() == Some(name) {
                assert_eq!(once, untouched, "{name} after {before:?}");
            }
            if result == ok {
                f.clock.advance_ms(1_000);
                assert_eq!(kind(call(&f)), ok, "{name} twice after {before:?}");
                assert_eq!(f.dump(), once, "{name} twice after {before:?}");
            }
        }
    }
}

#[test]
fn other_content_is_refused() {
    let f = Fixture::with_run();
    assert_eq!(kind(f.state.begin_run(&new_run("r1", "customers"))), "state.differs");
    assert_eq!(kind(f.state.begin_run_of(&new_run("r1", "orders"), Some("digest"))), "state.differs");
    assert_eq!(kind(f.state.end_run("r1", Phase::Finished, &json!({}))), "state.wrong_phase");
    assert_eq!(kind(f.state.end_run("r1", Phase::Judged, &json!({}))), "state.wrong_phase");
    f.state.judge_run("r1", &json!({ "rows": 1 })).expect("judged");
    assert_eq!(kind(f.state.judge_run("r1", &json!({ "rows": 2 }))), "state.differs");
    assert_eq!(f.state.unfinished_run("orders").expect("readable").map(|r| r.verdict), Some(json!({ "rows": 1 })));
}

#[test]
fn a_cursor_moves_with_its_run_or_not_at_all() {
    let f = Fixture::with_run();
    let cursor = |value: &str| CursorUpdate { fingerprint: "fp".to_owned(), value: json!(value) };
    let finish = |run: &str, value: &str| {
        f.state.finish_run_with_cursor(run, "success", &schema(), &json!({}), Some(&cursor(value)))
    };
    assert_eq!(kind(finish("r1", "2026-01-01")), "state.wrong_phase");
    assert_eq!(f.state.cursor("orders").expect("readable"), None);

    f.state.judge_run("r1", &json!({})).expect("judged");
    finish("r1", "2026-01-01").expect("finished");
    let stored = f.state.cursor("orders").expect("readable").expect("there is one");
    assert_eq!((stored.value, stored.fingerprint.as_str()), (json!("2026-01-01"), "fp"));
    assert_eq!((stored.run_id.as_str(), stored.updated_at_ms), ("r1", NOW_MS));

    f.begin("r2", "orders");
    f.state.judge_run("r2", &json!({})).expect("judged");
    finish("r2", "2026-02-02").expect("finished");
    // A late repetition of an earlier end takes nothing back.
    finish("r1", "2026-01-01").expect("a repetition");
    let stored = f.state.cursor("orders").expect("readable").expect("there is one");
    assert_eq!((stored.value, stored.run_id.as_str()), (json!("2026-02-02"), "r2"));

    // A run without a cursor leaves it alone.
    f.begin("r3", "orders");
    f.state.judge_run("r3", &json!({})).expect("judged");
    f.state.finish_run("r3", "success", &schema(), &json!({})).expect("finished");
    assert_eq!(f.state.cursor("orders").expect("readable").map(|c| c.run_id), Some("r2".to_owned()));
    assert_eq!(f.state.cursor("customers").expect("readable"), None);
}

#[test]
fn history_is_newest_first() {
    let f = Fixture::new();
    for (n, export) in ["orders", "customers", "orders", "orders"].into_iter().enumerate() {
        let run = crate::state::NewRun { started_at_ms: NOW_MS + n as i64, ..new_run(&format!("r{n}"), export) };
        f.state.begin_run_of(&run, Some("xxh3:c0ffee")).expect("a run begins");
    }
    f.state.judge_run("r0", &json!({})).expect("judged");
    f.state.finish_run("r0", "success", &schema(), &json!({})).expect("finished");
    f.state.judge_run("r2", &json!({})).expect("judged");
    f.state.finish_run("r2", "skipped", &schema(), &json!({})).expect("finished");
    f.state.end_run("r3", Phase::Failed, &json!({ "error": "x" })).expect("ended");
    let ids = |limit| -> Vec<String> {
        f.state.recent_runs(limit).expect("readable").into_iter().map(|r| r.run_id).collect()
    };
    assert_eq!(ids(3), ["r3", "r2", "r1"]);
    assert_eq!(ids(usize::MAX), ["r3", "r2", "r1", "r0"]);
    assert!(ids(0).is_empty());
    let last = f.state.last_good_run("orders").expect("readable").expect("there is one");
    assert_eq!((last.run_id.as_str(), last.config_digest.as_deref()), ("r2", Some("xxh3:c0ffee")));
    assert_eq!(f.state.last_good_run("customers").expect("readable"), None);
    let newest = f.state.recent_runs(2).expect("readable");
    assert_eq!((newest[0].phase, newest[0].status.as_deref()), (Phase::Failed, Some("failed")));
}

#[test]
fn schemas_replace_each_other() {
    let f = Fixture::new();
    assert_eq!(f.state.last_schema("orders").expect("readable"), None);
    for text in ["a", "b", "b"] {
        f.state.save_schema("orders", "r1", &json!({ "columns": [text] })).expect("stored");
    }
    assert_eq!(f.state.last_schema("orders").expect("readable"), Some(json!({ "columns": ["b"] })));
}

#[test]
fn events_come_back_in_order() {
    let f = Fixture::new();
    for (at_ms, kind) in [(5, "locked"), (4, "clock went back"), (9, "planned")] {
        f.state.journal("r1", at_ms, kind, &json!({ "at": at_ms })).expect("appended");
    }
    f.state.journal("r2", 1, "locked", &Value::Null).expect("appended");
    let events = f.state.events("r1").expect("readable");
    let kinds: Vec<_> = events.iter().map(|e| (e.at_ms, e.kind.as_str())).collect();
    assert_eq!(kinds, [(5, "locked"), (4, "clock went back"), (9, "planned")]);
    assert_eq!(events[2].details, json!({ "at": 9 }));
    assert!(f.state.events("r3").expect("readable").is_empty());
}
