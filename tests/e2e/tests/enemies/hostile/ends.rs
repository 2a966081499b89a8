//! Servers that say nothing, never stop, or hang up: one deadline holds for a login and for a statement as a whole.
//! Must not know how a deadline is kept.

use std::time::Duration;

use anyhow::Result;
use rivet_test_servers::hostile::Step;
use rivet_test_servers::wire::postgres::{
    authentication, data_row, frame, is_password, key, parameter, ready, report, row_description, sasl,
};

use super::{Case, Verdict, admitted, all, started, then};
use crate::judge::{Expect, fails};

/// The server may answer later.
const LATE: Expect = fails(&[2], &["postgres."]);

fn notice() -> Vec<u8> {
    report(b'N', &[(b'S', "NOTICE"), (b'C', "00000"), (b'M', "still here")])
}

/// Enough of them that a pause between two is no limit to what is sent.
fn many(frame: &[u8]) -> Vec<u8> {
    frame.repeat(1000)
}

#[test]
fn a_login_ends_in_its_time() -> Result<()> {
    let often = Duration::from_millis(100);
    let begun = [sasl(&["SCRAM-SHA-256"])].concat();
    let whole = [authentication(0, &[]), parameter("server_version", &"17".repeat(500)), key(), ready(b'I')].concat();
    all(vec![
        Case::login("silence", 0, vec![Step::silence()], LATE),
        Case::login("silence after the start", 0, then([Step::silence()]), LATE),
        Case::login("silence after SCRAM was offered", 1, then([Step::Send(begun), Step::silence()]), LATE),
        Case::login(
            "silence after it admitted us",
            0,
            then([Step::Send(authentication(0, &[])), Step::silence()]),
            LATE,
        )
        .trusting(),
        Case::login("a byte now and then", 0, then([Step::Drip(whole, often)]), LATE).trusting(),
        Case::login("a notice now and then", 0, then([Step::Drip(many(&notice()), often)]), LATE),
        Case::login("notices without end", 0, then([Step::endless(many(&notice()))]), fails(&[1, 2], &["postgres."])),
        Case::login(
            "parameters without end",
            0,
            then([Step::endless(many(&parameter("a", "b")))]),
            fails(&[1, 2], &["postgres."]),
        ),
        Case::login(
            "ever new parameters",
            0,
            then((0..2000).map(|i| Step::Send(parameter(&format!("p{i}"), &"v".repeat(60_000))))),
            fails(&[1, 2], &["postgres."]),
        )
        .trusting(),
        Case::login(
            "parameters without end after it admitted us",
            0,
            then([Step::Send(authentication(0, &[])), Step::endless(many(&parameter("a", "b")))]),
            fails(&[1, 2], &["postgres."]),
        )
        .trusting(),
        Case::login(
            "requests without end",
            0,
            then([Step::endless(authentication(0, &[]))]),
            fails(&[1, 2], &["postgres."]),
        )
        .trusting(),
    ])
}

#[test]
fn a_statement_ends_in_its_time() -> Result<()> {
    let often = Duration::from_millis(100);
    let flood = fails(&[2], &["postgres."]);
    all(vec![
        Case::statement("silence", vec![Step::silence()], LATE),
        Case::statement("a notice now and then", vec![Step::Drip(many(&notice()), often)], LATE),
        Case::statement("notices without end", vec![Step::endless(many(&notice()))], flood),
        Case::statement("parameters without end", vec![Step::endless(many(&parameter("a", "b")))], flood),
        Case::statement(
            "rows without end",
            vec![Step::Send(row_description(&["a"])), Step::endless(many(&data_row(&[b"value"])))],
            flood,
        ),
    ])
}

#[test]
fn a_server_that_hangs_up_is_said() -> Result<()> {
    let gone = fails(&[2], &["postgres."]);
    let half = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() / 2);
        Step::Send(bytes)
    };
    let offer = || Step::Send(sasl(&["SCRAM-SHA-256"]));
    all(vec![
        Case::login("at the start", 0, started(), gone),
        Case::login("in a request", 0, then([half(sasl(&["SCRAM-SHA-256"]))]), gone),
        Case::login("after SCRAM was offered", 1, then([offer(), Step::Until(is_password)]), gone),
        Case::login("after it admitted us", 0, then([Step::Send(authentication(0, &[]))]), gone).trusting(),
        Case::login("in the tag of a frame", 0, then([Step::Send(b"R".to_vec())]), gone),
        Case::statement("before the answer", vec![], gone),
        Case::statement("in the answer", vec![half(row_description(&["a"]))], gone),
        Case::statement("before it is ready", vec![Step::Send(frame(b'C', b"BEGIN\0"))], gone),
        Case {
            script: admitted(),
            verdict: Verdict::Any,
            ..Case::statement("before the first statement", vec![], gone)
        },
    ])
}
