//! Frames that claim a length no frame has, or have one that nobody should hold, and bytes that are no frames.
//! Must not know where a limit lies: 100 MiB is what a process may grow to.

use anyhow::Result;
use rivet_test_servers::hostile::Step;
use rivet_test_servers::wire::postgres::{authentication, claims, data_row, frame, ready, report, row_description};

use super::{Case, all, then};
use crate::judge::{Expect, fails};

/// Lengths that no frame has.
pub const IMPOSSIBLE: [u32; 4] = [0, 3, 0x7fff_ffff, 0xffff_ffff];

/// What is no protocol of ours may be another server's, or broken: either is said.
const WRONG: Expect = fails(&[1, 2], &["postgres."]);
/// Broken in the midst.
const BROKEN: Expect = fails(&[2], &["postgres."]);

/// Likewise, or a value beyond the limit of values.
const LARGE: Expect = fails(&[2, 3], &["postgres."]);

/// Bytes of no protocol, the same each time.
pub fn garbage(n_bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(n_bytes).collect()
}

#[test]
fn a_length_before_the_login_costs_nothing() -> Result<()> {
    let mut cases = Vec::new();
    for tag in *b"RENS~" {
        for length in IMPOSSIBLE {
            let name = format!("{} of {length:#x} bytes", char::from(tag));
            // What is claimed is sent as well, as far as it is read.
            let flood = Step::Repeat(vec![b'x'; 1 << 20], 256);
            let script = then([Step::Send(claims(tag, length)), flood, Step::silence()]);
            cases.push(Case::login(name, 0, script, WRONG));
        }
    }
    all(cases)
}

#[test]
fn bytes_of_another_protocol_are_said() -> Result<()> {
    let version =
        |minor: u32, n: u32, names: &[u8]| frame(b'v', &[&minor.to_be_bytes()[..], &n.to_be_bytes(), names].concat());
    let web = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>".to_vec();
    let send = |name: &str, bytes: Vec<u8>| Case::login(name, 0, then([Step::Send(bytes), Step::silence()]), WRONG);
    all(vec![
        send("garbage", garbage(4096)),
        send("a page", web),
        send("another version", version(0, 0, b"")),
        send("another version with options without end", version(0, u32::MAX, b"")),
        send("another version with an option that is not closed", version(2, 1, b"_pq_.x")),
        send("rows before the login", [row_description(&["a"]), data_row(&[b"1"])].concat()),
        send("a COPY before the login", frame(b'H', &[1, 0, 0])),
        send("a request cut short", frame(b'R', &[0, 0])),
        send("a key cut short", [authentication(0, &[]), frame(b'K', &[1, 2]), ready(b'I')].concat()),
        send("garbage in a request", frame(b'R', &garbage(64))),
        send("garbage in an error", frame(b'E', &garbage(64))),
    ])
}

#[test]
fn a_long_text_is_not_held() -> Result<()> {
    let long = |tag: u8, n_bytes: usize| report(tag, &[(b'S', "FATAL"), (b'C', "28000"), (b'M', &"x".repeat(n_bytes))]);
    let login = |name: &str, bytes| Case::login(name, 0, then([Step::Send(bytes), Step::silence()]), WRONG);
    let row = data_row(&[&vec![b'x'; 1 << 20][..]]);
    let rows =
        |row: Vec<u8>, n: usize| vec![Step::Send(row_description(&["a"])), Step::Repeat(row, n), Step::silence()];
    all(vec![
        login("an error of 50 MB before the login", long(b'E', 50_000_000)),
        login("a notice of 50 MB before the login", long(b'N', 50_000_000)),
        Case::statement("an error of 50 MB", vec![Step::Send(long(b'E', 50_000_000)), Step::silence()], WRONG),
        Case::statement("an answer of 200 MB", rows(row, 200), BROKEN),
        Case::statement("an answer of 200 MB in small rows", rows(data_row(&[b"x"]).repeat(10_000), 2000), BROKEN),
        Case::statement("a value of 200 MB", rows(data_row(&[&vec![b'x'; 200_000_000][..]]), 1), LARGE),
    ])
}

#[test]
fn a_length_in_an_answer_costs_nothing() -> Result<()> {
    let mut cases = Vec::new();
    for tag in *b"TDEC" {
        for length in IMPOSSIBLE {
            let answer = vec![
                Step::Send(row_description(&["a"])),
                Step::Send(claims(tag, length)),
                Step::Repeat(vec![b'x'; 1 << 20], 256),
                Step::silence(),
            ];
            let expect = if tag == b'D' { LARGE } else { BROKEN };
            cases.push(Case::statement(format!("{} of {length:#x} bytes", char::from(tag)), answer, expect));
        }
    }
    let field = |length: u32| frame(b'D', &[&[0, 1], &length.to_be_bytes()[..], b"abc"].concat());
    for length in [4, 0x7fff_ffff, 0x8000_0000] {
        let answer = vec![Step::Send([row_description(&["a"]), field(length)].concat()), Step::silence()];
        cases.push(Case::statement(format!("a field of {length:#x} bytes"), answer, BROKEN));
    }
    for n in [0xffff_u16, 0x7fff] {
        for tag in *b"TD" {
            let answer = vec![Step::Send(frame(tag, &n.to_be_bytes())), Step::silence()];
            cases.push(Case::statement(format!("{} of {n} columns", char::from(tag)), answer, BROKEN));
        }
    }
    cases.push(Case::statement("garbage", vec![Step::Send(garbage(4096)), Step::silence()], BROKEN));
    all(cases)
}
