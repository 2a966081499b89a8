//! Servers whose texts hold escape sequences, ends of lines and marks that turn the direction, in every field that has a text.
//! Must not know how a text is escaped.

use anyhow::Result;
use rivet_test_servers::hostile::Step;
use rivet_test_servers::wire::postgres::{
    authentication, frame, is_statement, key, parameter, ready, report, row_description, sasl,
};

use super::{Case, Verdict, admitted, all, then};
use crate::judge::{Expect, FORGED, fails};

/// Whatever the server says is wrong.
const SAID: Expect = fails(&[1, 2, 3, 4], &["postgres."]);
/// The letters of an error's fields (PostgreSQL documentation, "Error and Notice Message Fields"), and one that is none.
const FIELDS: &[u8] = b"SVCMDHPpqWsctdnFLRx";

/// A title, a cleared screen, a copied clipboard, a forged line, text from right to left, C1 codes, separators.
pub fn evil() -> String {
    format!(
        "\x1b]0;title\x07\x1b[2J\x1b]52;c;cHduZWQ=\x07\r\n{FORGED}: success\n  {FORGED}: hint\x0b\x0c\x08\x7f\u{9b}31m\
         \u{202e}txet\u{202c}\u{2066}\u{2069}\u{200f}\u{2028}{FORGED}\u{2029}{FORGED}\u{85}{FORGED}"
    )
}

#[test]
fn no_text_of_a_server_reaches_the_terminal_raw() -> Result<()> {
    let evil = evil();
    let plain = |letter: u8| match letter {
        b'S' | b'V' => "ERROR",
        b'C' => "XX000",
        _ => "words",
    };
    let all_fields = |evil: &dyn Fn(u8) -> bool, tag: u8| {
        let text = crate::hostile::text::evil();
        let fields: Vec<(u8, &str)> = FIELDS.iter().map(|l| (*l, if evil(*l) { &*text } else { plain(*l) })).collect();
        report(tag, &fields)
    };
    let send = |bytes: Vec<u8>| vec![Step::Send(bytes), Step::silence()];
    let mut cases = Vec::new();
    for letter in FIELDS {
        let error = all_fields(&|l| l == *letter, b'E');
        let name = format!("field {} of an error", char::from(*letter));
        cases.push(Case::login(name, 0, then(send(error)), SAID));
    }
    let notice = all_fields(&|_| true, b'N');
    let error = all_fields(&|_| true, b'E');
    cases.push(Case::login("a notice before the login", 0, then(send([notice.clone(), error.clone()].concat())), SAID));
    cases.push(Case::statement("an error", send([error.clone(), ready(b'E')].concat()), SAID));
    cases.push(Case::statement("a notice", send([notice, error.clone(), ready(b'E')].concat()), SAID));
    cases.push(Case::login("mechanisms", 0, then(send(sasl(&[&evil]))), SAID));
    let columns = [row_description(&[&evil]), error.clone(), ready(b'E')].concat();
    cases.push(Case::statement("columns", send(columns), SAID));
    let tag = [frame(b'C', format!("{evil}\0").as_bytes()), error.clone(), ready(b'E')].concat();
    cases.push(Case::statement("the end of a statement", send(tag), SAID));
    for name in ["server_version", "application_name", "TimeZone", &evil] {
        let told = [authentication(0, &[]), parameter(name, &evil), key(), ready(b'I')].concat();
        let script =
            then([Step::Send(told), Step::Until(is_statement), Step::Send([error.clone(), ready(b'I')].concat())]);
        cases.push(Case { script, ..Case::statement(format!("parameter {name:?}"), vec![], SAID) });
    }
    all(cases.into_iter().map(Case::seen).collect())
}

#[test]
fn an_error_that_says_nothing_is_an_error() -> Result<()> {
    let send = |bytes: Vec<u8>| vec![Step::Send(bytes), Step::silence()];
    let state = |state: &str| report(b'E', &[(b'S', "ERROR"), (b'C', state), (b'M', "words")]);
    let mut cases = Vec::new();
    for (name, error) in [
        ("without fields", report(b'E', &[])),
        ("without a body", frame(b'E', &[])),
        ("without a state", report(b'E', &[(b'M', "words")])),
        ("without a message", report(b'E', &[(b'C', "42501")])),
        ("of a state that does not exist", state("ZZ999")),
        ("of a state that is no state", state("4")),
        ("of an endless state", state(&"4".repeat(100_000))),
        ("of success", state("00000")),
        ("that is not closed", frame(b'E', b"SERROR\0C42501\0Mwords")),
        ("that is no UTF-8", frame(b'E', b"SERROR\0C42501\0M\xff\xfe\x1b[2J\0\0")),
    ] {
        cases.push(Case::login(format!("{name}, before the login"), 0, then(send(error.clone())), SAID));
        cases.push(Case::statement(name, send([error.clone(), ready(b'E')].concat()), SAID));
        let mut first = admitted();
        // Nobody asked.
        first.extend(send(error));
        cases.push(Case {
            script: first,
            verdict: Verdict::Any,
            ..Case::statement(format!("{name}, unasked"), vec![], SAID)
        });
    }
    all(cases.into_iter().map(Case::seen).collect())
}
