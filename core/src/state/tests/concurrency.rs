//! Several threads and several connections at once, and a writer that stops in the middle.
//! They must not start processes.

use std::sync::Barrier;

use rusqlite::{Connection, TransactionBehavior};
use serde_json::json;

use super::{Fixture, new_run, part};
use crate::state::State;

const N_SPLITS: u32 = 25;

/// What a worker of a run does: failed attempts, second attempts, events.
pub fn work(state: &State, run_id: &str) {
    state.begin_run(&new_run(run_id, run_id)).expect("a run begins");
    for split in 0..N_SPLITS {
        state.record_parts(run_id, split, 0, 0, &[part(split, 0, 0)], false).expect("recorded");
        assert_eq!(state.forget_attempt(run_id, split, 0).expect("forgotten").len(), 1);
        state.record_parts(run_id, split, 1, 0, &[part(split, 1, 0), part(split, 1, 1)], true).expect("recorded");
        state.journal(run_id, 0, "split.done", &json!(split)).expect("appended");
    }
}

/// What must be there after [`work`].
pub fn worked(state: &State, run_id: &str) {
    let run = state.unfinished_run(run_id).expect("readable").expect("there is one");
    assert_eq!(run.splits.len(), N_SPLITS as usize, "{run_id}");
    assert!(run.parts.iter().all(|p| p.attempt == 1), "{run_id}");
    assert_eq!(run.parts.len(), 2 * N_SPLITS as usize, "{run_id}");
    let events: Vec<_> = state.events(run_id).expect("readable").into_iter().map(|e| e.details).collect();
    assert_eq!(events, (0..N_SPLITS).map(|n| json!(n)).collect::<Vec<_>>(), "{run_id}");
}

#[test]
fn four_threads_write_through_two_connections() {
    let f = Fixture::new();
    let second = State::open(&f.path()).expect("it opens twice");
    let writers = [(&f.state, "a"), (&f.state, "b"), (&second, "c"), (&second, "d")];
    std::thread::scope(|scope| {
        for (state, run_id) in writers {
            scope.spawn(move || work(state, run_id));
        }
    });
    for (_, run_id) in writers {
        worked(&second, run_id);
        worked(&f.state, run_id);
    }
}

#[test]
fn a_new_file_is_opened_by_many_at_once() {
    for round in 0..25 {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    let state = State::open(path).unwrap_or_else(|e| panic!("round {round}, opener {n}: {e}"));
                    state.journal("r1", n, "opened", &json!({})).expect("appended");
                });
            }
        });
        assert_eq!(State::open(&path).and_then(|s| s.events("r1")).expect("readable").len(), 8);
    }
}

#[test]
fn a_reader_sees_nothing_of_a_writer_that_stops_in_the_middle() {
    let f = Fixture::with_run();
    f.state.record_parts("r1", 0, 0, 0, &[part(0, 0, 0)], true).expect("recorded");
    let before = f.dump();
    let mut other = Connection::open(f.path()).expect("it opens twice");
    let transaction = other.transaction_with_behavior(TransactionBehavior::Immediate).expect("begun");
    transaction.execute_batch("DELETE FROM parts; UPDATE runs SET phase = 'finished'").expect("written");
    // Readers do not wait.
    assert_eq!(f.state.parts_of("r1").expect("readable").len(), 1);
    drop(transaction);
    assert_eq!(f.dump(), before);
}

#[test]
fn a_panic_inside_a_transaction_leaves_the_store_as_it_was() {
    let f = Fixture::with_run();
    let before = f.dump();
    let result = std::thread::scope(|scope| {
        let writer = || {
            f.state.write("die", |db| -> Result<(), crate::state::Failure> {
                db.execute_batch("DELETE FROM runs")?;
                panic!("on purpose");
            })
        };
        scope.spawn(writer).join().map(drop)
    });
    assert!(result.is_err());
    assert_eq!(f.dump(), before);
    f.state.judge_run("r1", &json!({})).expect("the store goes on");
}
