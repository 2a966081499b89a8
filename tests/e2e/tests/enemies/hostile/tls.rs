//! Servers under TLS that nobody vouches for, and answers to the request for TLS that are none.
//! Must not know certificates.

use anyhow::Result;
use rivet_test_servers::hostile::Step;
use rivet_test_servers::wire::postgres::{
    authentication, client_nonce, is_password, is_startup, is_tls_request, ready, report, sasl, scram,
};

use super::{Case, all};
use crate::judge::{FORGED, fails};

/// What encrypts and verifies nobody.
const REQUIRE: &str = "sslmode=require";

/// After the request for TLS.
fn asked(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    [Step::Until(is_tls_request)].into_iter().chain(steps).chain([Step::silence()]).collect()
}

/// After the handshake and the start of a session.
fn protected(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    asked([Step::Send(b"S".to_vec()), Step::Tls, Step::Until(is_startup)].into_iter().chain(steps))
}

#[test]
fn who_is_not_verified_gets_no_password() -> Result<()> {
    let refused = fails(&[1], &["postgres."]);
    let plus = || Step::Send(sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]));
    let heard = || Step::Until(is_password);
    let send = Step::Send;
    let clear = authentication(3, &[]);
    all(vec![
        Case::login("clear text", 0, protected([send(clear.clone())]), refused).under_tls(REQUIRE),
        Case::login("admitted at once", 0, protected([send([authentication(0, &[]), ready(b'I')].concat())]), refused)
            .under_tls(REQUIRE),
        Case::login("clear text after SCRAM-PLUS", 1, protected([plus(), heard(), send(clear)]), refused)
            .under_tls(REQUIRE),
        Case::login(
            "SCRAM-PLUS offered, then not",
            1,
            protected([plus(), heard(), send(sasl(&["SCRAM-SHA-256"])), heard()]),
            refused,
        )
        .under_tls(REQUIRE),
        Case::login(
            "SCRAM-PLUS begun, and no proof",
            2,
            protected([
                plus(),
                heard(),
                Step::answer(|initial| scram(&format!("{}xyz", client_nonce(initial)), "c2FsdHNhbHQ=", "4096")),
                heard(),
                send([authentication(0, &[]), ready(b'I')].concat()),
            ]),
            refused,
        )
        .under_tls(REQUIRE),
        Case::login("a certificate of nobody", 0, protected([]), refused).under_tls("sslmode=verify-full"),
    ])
}

#[test]
fn what_is_no_answer_to_the_request_for_tls_is_no_consent() -> Result<()> {
    let any = fails(&[1, 2], &["postgres."]);
    let error = report(b'E', &[(b'S', "FATAL"), (b'C', "0A000"), (b'M', &format!("\x1b[2J\n{FORGED}: no tls"))]);
    let admitted = [authentication(0, &[]), ready(b'I')].concat();
    let stuffed = [b"S".to_vec(), admitted.clone()].concat();
    let case = |name: &str, answer: Vec<u8>| Case::login(name, 0, asked([Step::Send(answer)]), any).under_tls(REQUIRE);
    let clear = |answer: Vec<u8>| [Step::Send(answer), Step::Until(is_startup), Step::Send(authentication(3, &[]))];
    all(vec![
        case("an error", error),
        case("a letter that means nothing", b"X".to_vec()),
        case("consent with a login stuffed behind it", stuffed),
        case("consent, and no TLS", [b"S", &[0x15; 64][..]].concat()),
        case("admitted in the clear", admitted),
        Case::login("refused, and clear text wanted", 0, asked(clear(b"N".to_vec())), any).under_tls(REQUIRE),
        Case::login("silence", 0, asked([]), fails(&[2], &["postgres."])).under_tls(REQUIRE),
        Case::login("silence in the handshake", 0, asked([Step::Send(b"S".to_vec())]), fails(&[2], &["postgres."]))
            .under_tls(REQUIRE),
        Case::login("hang-up", 0, vec![Step::Until(is_tls_request)], fails(&[2], &["postgres."])).under_tls(REQUIRE),
    ])
}
