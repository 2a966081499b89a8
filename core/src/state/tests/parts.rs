//! Parts and checkpoints: together or not at all, once or twice the same.
//! They must not know phases beyond what parts need.

use serde_json::json;

use super::{Fixture, kind, part};
use crate::state::{DoneSplit, Phase, PreparedPart};

fn done(f: &Fixture) -> Vec<DoneSplit> {
    f.state.unfinished_run("orders").expect("readable").expect("there is one").splits
}

fn names(f: &Fixture) -> Vec<String> {
    f.state.parts_of("r1").expect("readable").into_iter().map(|p| p.part.name).collect()
}

#[test]
fn parts_come_back_by_split_and_index() {
    let f = Fixture::with_run();
    let odd = PreparedPart { rows: 0, bytes: u64::MAX, facts_json: r#"{"row_groups":3}"#.to_owned(), ..part(10, 0, 0) };
    f.state.record_parts("r1", 10, 0, 2, std::slice::from_ref(&odd), true).expect("recorded");
    f.state.record_parts("r1", 9, 1, 1, &[part(9, 1, 10), part(9, 1, 9)], false).expect("recorded");
    assert_eq!(names(&f), ["s9-a1-9.parquet", "s9-a1-10.parquet", "s10-a0-0.parquet"]);
    let all = f.state.parts_of("r1").expect("readable");
    assert_eq!((all[0].split_id, all[0].attempt, all[0].epoch, all[0].published), (9, 1, 1, false));
    assert_eq!(all[2].part, odd);
    assert_eq!(done(&f), [DoneSplit { split_id: 10, attempt: 0, epoch: 2 }]);
    assert!(f.state.parts_of("r2").expect("readable").is_empty());
}

#[test]
fn recording_twice_is_recording_once() {
    let f = Fixture::with_run();
    let parts = [part(0, 0, 0), part(0, 0, 1)];
    f.state.record_parts("r1", 0, 0, 0, &parts, true).expect("recorded");
    let once = f.dump();
    f.clock.advance_ms(1_000);
    f.state.record_parts("r1", 0, 0, 0, &parts, true).expect("recorded");
    f.state.record_parts("r1", 0, 0, 0, &parts[1..], false).expect("recorded");
    f.state.record_parts("r1", 0, 0, 0, &[], true).expect("recorded");
    assert_eq!(f.dump(), once);
}

#[test]
fn a_refused_part_takes_its_whole_call_with_it() {
    let f = Fixture::with_run();
    f.state.record_parts("r1", 0, 0, 0, &[part(0, 0, 1)], false).expect("recorded");
    let before = f.dump();
    let cases = [
        ("another token", PreparedPart { token: "other".to_owned(), ..part(0, 0, 1) }),
        ("another digest", PreparedPart { digest: "other".to_owned(), ..part(0, 0, 1) }),
        ("the same name at another place", PreparedPart { index: 2, ..part(0, 0, 1) }),
        ("the same place by another name", PreparedPart { name: "other".to_owned(), ..part(0, 0, 1) }),
    ];
    for (case, wrong) in cases {
        let result = f.state.record_parts("r1", 0, 0, 0, &[part(0, 0, 0), wrong], true);
        assert_eq!(kind(result), "state.differs", "{case}");
        assert_eq!(f.dump(), before, "{case}");
    }
    assert_eq!(kind(f.state.record_parts("r1", 0, 0, 1, &[part(0, 0, 1)], true)), "state.differs", "another epoch");
    assert_eq!(kind(f.state.record_parts("r9", 0, 0, 0, &[part(0, 0, 0)], true)), "state.unknown_run");
    assert_eq!(f.dump(), before);
}

#[test]
fn a_forgotten_attempt_gives_back_its_tokens_once() {
    let f = Fixture::with_run();
    f.state.record_parts("r1", 0, 0, 0, &[part(0, 0, 0), part(0, 0, 1)], true).expect("recorded");
    f.state.record_parts("r1", 1, 0, 0, &[part(1, 0, 0)], true).expect("recorded");
    assert_eq!(f.state.forget_attempt("r1", 0, 0).expect("forgotten"), [part(0, 0, 0), part(0, 0, 1)]);
    assert_eq!(f.state.forget_attempt("r1", 0, 0).expect("forgotten"), []);
    assert_eq!(f.state.forget_attempt("r1", 7, 0).expect("forgotten"), []);
    assert_eq!(kind(f.state.forget_attempt("r9", 0, 0)), "state.unknown_run");
    assert_eq!(names(&f), ["s1-a0-0.parquet"]);
    assert_eq!(done(&f), [DoneSplit { split_id: 1, attempt: 0, epoch: 0 }]);
    // The same place takes other content now.
    let other = PreparedPart { token: "other".to_owned(), ..part(0, 0, 0) };
    f.state.record_parts("r1", 0, 0, 1, &[other], true).expect("recorded");
    assert_eq!(done(&f)[0], DoneSplit { split_id: 0, attempt: 0, epoch: 1 });
}

#[test]
fn a_split_is_complete_with_one_attempt_alone() {
    let f = Fixture::with_run();
    f.state.record_parts("r1", 0, 0, 0, &[part(0, 0, 0)], false).expect("recorded");
    f.state.record_parts("r1", 0, 1, 0, &[part(0, 1, 0)], false).expect("both are known, to be discarded");
    let before = f.dump();
    let error = f.state.record_parts("r1", 0, 1, 0, &[part(0, 1, 1)], true).expect_err("two attempts");
    assert_eq!(error.to_string(), "split 0 of run 'r1' still has parts of attempt 0, attempt 1 cannot complete it");
    assert_eq!(f.dump(), before);
    f.state.forget_attempt("r1", 0, 0).expect("forgotten");
    f.state.record_parts("r1", 0, 1, 0, &[part(0, 1, 1)], true).expect("recorded");
    // An attempt without parts would complete it with those of another, too.
    assert_eq!(kind(f.state.record_parts("r1", 0, 2, 0, &[], true)), "state.two_attempts");
    assert_eq!(done(&f), [DoneSplit { split_id: 0, attempt: 1, epoch: 0 }]);
}

#[test]
fn a_split_without_rows_can_be_completed_anew() {
    let f = Fixture::with_run();
    f.state.record_parts("r1", 0, 0, 0, &[], true).expect("it was empty");
    f.state.record_parts("r1", 0, 1, 1, &[part(0, 1, 0)], true).expect("it is not empty in the next snapshot");
    assert_eq!(done(&f), [DoneSplit { split_id: 0, attempt: 1, epoch: 1 }]);
    assert_eq!(names(&f), ["s0-a1-0.parquet"]);
}

#[test]
fn nothing_changes_after_the_verdict() {
    for over in [None, Some(Phase::Failed)] {
        let f = Fixture::with_run();
        f.state.record_parts("r1", 0, 0, 0, &[part(0, 0, 0)], true).expect("recorded");
        match over {
            None => f.state.judge_run("r1", &json!({})).expect("judged"),
            Some(phase) => f.state.end_run("r1", phase, &json!({})).expect("ended"),
        }
        let before = f.dump();
        let result = f.state.record_parts("r1", 1, 0, 0, &[part(1, 0, 0)], true);
        assert_eq!(kind(result), "state.wrong_phase");
        assert_eq!(kind(f.state.forget_attempt("r1", 0, 0)), "state.wrong_phase");
        assert_eq!(f.dump(), before);
    }
}

#[test]
fn a_part_is_published_once_however_often_it_is_said() {
    let f = Fixture::with_run();
    f.begin("r2", "customers");
    f.state.record_parts("r1", 0, 0, 0, &[part(0, 0, 0), part(0, 0, 1)], true).expect("recorded");
    f.state.record_parts("r2", 0, 0, 0, &[part(0, 0, 0)], true).expect("another run may use the same name");
    f.state.judge_run("r1", &json!({})).expect("judged");
    let name = part(0, 0, 1).name;
    f.state.mark_published("r1", &name).expect("marked");
    let once = f.dump();
    f.state.mark_published("r1", &name).expect("marked");
    assert_eq!(f.dump(), once);
    let published: Vec<bool> = f.state.parts_of("r1").expect("readable").iter().map(|p| p.published).collect();
    assert_eq!(published, [false, true]);
    assert!(!f.state.parts_of("r2").expect("readable")[0].published);
    assert_eq!(kind(f.state.mark_published("r1", "nowhere")), "state.unknown_part");
}
