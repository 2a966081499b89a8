//! Locks inside one process; `processes` has what takes two.
//! They must not know runs.

use std::collections::HashSet;
use std::fs;

use super::{Fixture, NOW_MS};
use crate::state::{Holder, State, StateError};

pub fn holder(run_id: &str) -> Holder {
    Holder {
        pid: 4711,
        host: "db-host".to_owned(),
        run_id: run_id.to_owned(),
        command: "rivet run".to_owned(),
        shares: false,
    }
}

#[test]
fn a_second_lock_is_refused_and_names_the_holder() {
    let fixture = Fixture::new();
    let held = fixture.state.lock_export("orders", &holder("r1")).expect("free");
    fixture.clock.advance_ms(5_000);
    let error = fixture.state.lock_export("orders", &holder("r2")).expect_err("held");
    assert_eq!(
        error.to_string(),
        "export 'orders' is running already: process 4711 on db-host since 2026-11-21T04:55:12.345Z (rivet run, run r1)"
    );
    assert_eq!(error.code(), "export.locked");
    let StateError::Locked { export, holder: Some(by), since_unix_ms } = error else { panic!("{error:?}") };
    assert_eq!((export.as_str(), by, since_unix_ms), ("orders", holder("r1"), Some(NOW_MS)));

    let other = fixture.state.lock_export("customers", &holder("r3")).expect("another export is free");
    drop(held);
    let note = fs::read(fixture.dir.path().join("state.db.locks/orders.lock")).expect("it stays");
    assert!(note.is_empty(), "the next holder is not mistaken for the last one");
    let again = fixture.state.lock_export("orders", &holder("r4")).expect("free again");
    drop((other, again));
    let left: HashSet<_> = fs::read_dir(fixture.dir.path().join("state.db.locks")).expect("readable").collect_names();
    assert_eq!(left, HashSet::from(["orders.lock".to_owned(), "customers.lock".to_owned()]));
}

#[test]
fn a_long_note_leaves_no_tail() {
    let fixture = Fixture::new();
    // As a killed holder leaves it: not locked, not emptied.
    let dir = fixture.dir.path().join("state.db.locks");
    fs::create_dir(&dir).expect("writable");
    fs::write(dir.join("orders.lock"), "x".repeat(1000)).expect("writable");
    let _held = fixture.state.lock_export("orders", &holder("r1")).expect("free");
    let error = fixture.state.lock_export("orders", &holder("r2")).expect_err("held");
    assert!(error.to_string().contains("run r1"), "{error}");
}

#[test]
fn an_unreadable_note_is_still_a_lock() {
    let fixture = Fixture::new();
    let _held = fixture.state.lock_export("orders", &holder("r1")).expect("free");
    fs::write(fixture.dir.path().join("state.db.locks/orders.lock"), "{").expect("writable");
    let error = fixture.state.lock_export("orders", &holder("r2")).expect_err("held");
    assert_eq!(error.to_string(), "export 'orders' is running already");
}

#[test]
fn each_name_has_a_file_of_its_own_in_the_folder() {
    let fixture = Fixture::new();
    let long = "x".repeat(500);
    let (long_a, long_b) = (format!("{long}a"), format!("{long}b"));
    let short = ["a", "A", "a b", "a/b", "a%2Fb", "a%b", "a~b", ".", "..", "../up", "ünï", "a.b", ".a", "x:y", "\0"];
    let names: Vec<&str> = short.into_iter().chain([long_a.as_str(), long_b.as_str()]).collect();
    let locks: Vec<_> =
        names.iter().map(|name| fixture.state.lock_export(name, &holder("r1")).expect("free")).collect();
    let files = fs::read_dir(fixture.dir.path().join("state.db.locks")).expect("readable").collect_names();
    assert_eq!(files.len(), names.len(), "{files:?}");
    assert!(files.contains("a%2Fb.lock") && files.contains("a.b.lock"), "{files:?}");
    assert!(files.iter().all(|f| f.is_ascii() && f.len() < 255 && !f.starts_with('.')), "{files:?}");
    assert_eq!(fs::read_dir(fixture.dir.path()).expect("readable").collect_names().len(), 4, "nothing outside");
    drop(locks);
}

#[test]
fn a_link_to_the_state_leads_to_its_locks() {
    let fixture = Fixture::new();
    let link = fixture.dir.path().join("link.db");
    std::os::unix::fs::symlink(fixture.path(), &link).expect("a link is made");
    let _held = fixture.state.lock_export("orders", &holder("r1")).expect("free");
    let other = State::open(&link).expect("it opens");
    assert!(matches!(other.lock_export("orders", &holder("r2")), Err(StateError::Locked { .. })));
}

#[test]
fn locks_that_cannot_be_made_say_where() {
    let fixture = Fixture::new();
    fs::write(fixture.dir.path().join("state.db.locks"), "").expect("writable");
    let error = fixture.state.lock_export("orders", &holder("r1")).expect_err("a file is in the way");
    assert!(matches!(error, StateError::Lock { .. }), "{error:?}");
    assert!(error.to_string().contains("orders.lock"), "{error}");
}

#[test]
fn what_is_no_file_in_the_place_of_a_lock_is_refused_untouched() {
    let fixture = Fixture::new();
    let dir = fixture.dir.path().join("state.db.locks");
    fs::create_dir(&dir).expect("writable");
    let precious = fixture.dir.path().join("precious");
    fs::write(&precious, "kept").expect("writable");
    std::os::unix::fs::symlink(&precious, dir.join("orders.lock")).expect("a link is made");
    for _ in 0..2 {
        let error = fixture.state.lock_export("orders", &holder("r1")).expect_err("a link");
        assert_eq!(error.code(), "state.no_file");
        assert!(error.to_string().contains("orders.lock' is a symbolic link"), "{error}");
        assert!(matches!(fixture.state.lock_holder("orders"), Err(StateError::NoFile { .. })));
        assert_eq!(fs::read_to_string(&precious).expect("it is there"), "kept");
    }
    fs::remove_file(dir.join("orders.lock")).expect("ours");
    let held = fixture.state.lock_export("orders", &holder("r1")).expect("free");
    // Taken away, the lock is another file's: its holder does not clear that one's note.
    fs::remove_dir_all(&dir).expect("ours");
    let second = fixture.state.lock_export("orders", &holder("r2")).expect("nobody is locked out");
    drop(held);
    let error = fixture.state.lock_export("orders", &holder("r3")).expect_err("held");
    assert!(error.to_string().contains("run r2"), "{error}");
    drop(second);
}

#[test]
fn this_process_is_this_process() {
    let me = Holder::this_process("r1", "rivet run");
    assert_eq!((me.pid, me.run_id.as_str(), me.command.as_str()), (std::process::id(), "r1", "rivet run"));
}

trait CollectNames {
    fn collect_names(self) -> HashSet<String>;
}

impl CollectNames for fs::ReadDir {
    fn collect_names(self) -> HashSet<String> {
        self.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }
}

/// Whatever each of them takes the whole for: one process runs four exports of a budget at once, another one alone.
#[test]
fn what_all_have_together_is_never_more_than_the_total() {
    let f = Fixture::new();
    let other = State::open(&f.path()).expect("it opens");
    let (whole, quarter) = (100, 25);
    let all = other.try_weight("memory", whole, whole).expect("counted").expect("all is free");
    assert!(f.state.try_weight("memory", whole, quarter).expect("counted").is_none());
    drop(all);
    let mut held: Vec<_> =
        (0..4).map(|_| f.state.try_weight("memory", whole, quarter).expect("counted").expect("free")).collect();
    assert!(f.state.try_weight("memory", whole, 1).expect("counted").is_none());
    held.truncate(1);
    assert!(other.try_weight("memory", whole, whole).expect("counted").is_none());
    let rest = other.try_weight("memory", whole, 75).expect("counted").expect("as much as is left");
    held.clear();
    assert!(other.try_weight("memory", whole, 26).expect("counted").is_none());
    drop(rest);
    let more = other.try_weight("memory", whole, 1_000).expect("counted").expect("alone");
    assert!(other.try_weight("memory", 10_000, 9_001).expect("counted").is_none());
    drop(more);
    let in_memory = State::in_memory().expect("memory");
    assert!(in_memory.try_weight("memory", 1, 2).expect("counted").is_some(), "nobody else is there");
}

#[test]
fn a_lock_that_is_shared_keeps_out_whoever_wants_it_alone() {
    let fixture = Fixture::new();
    let (state, shard) = (&fixture.state, |run_id: &str| holder(run_id).shares(true));
    let mut first = state.lock_export("orders", &shard("s1")).expect("free");
    assert!(!first.has_sharers());
    let error = state.lock_export("orders", &shard("s2")).expect_err("the first one has it alone yet");
    assert!(matches!(error, StateError::Locked { holder: Some(Holder { shares: true, .. }), .. }), "{error:?}");
    state.share_lock(&mut first, "orders", &shard("s1")).expect("shared");
    let mut second = state.lock_export("orders", &shard("s2")).expect("for a moment");
    assert!(second.has_sharers());
    state.share_lock(&mut second, "orders", &shard("s2")).expect("shared");
    for left in [Some(first), None] {
        let error = state.lock_export("orders", &holder("r")).expect_err("shared by others");
        assert!(matches!(error, StateError::Locked { holder: Some(Holder { run_id, .. }), .. } if run_id == "s2"));
        assert!(state.lock_holder("orders").expect("readable").is_some());
        drop(left);
    }
    drop(second);
    assert_eq!(state.lock_holder("orders").expect("readable"), None);
    drop(state.lock_export("orders", &holder("r")).expect("free"));
}
