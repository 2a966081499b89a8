//! Servers that admit us without proving that they know the password, or want it in a form that gives it away.
//! Must not know how SCRAM is computed: nothing here is ever right.

use anyhow::Result;
use rivet_test_servers::hostile::Step;
use rivet_test_servers::wire::postgres::{
    authentication, client_nonce, is_password, key, parameter, ready, sasl, scram,
};

use super::{Case, all, then};
use crate::judge::{Expect, fails};

/// The login is wrong, and stays so.
const REFUSED: Expect = fails(&[1], &["postgres."]);
/// No answer to anything: of another server, or broken.
const WRONG: Expect = fails(&[1, 2], &["postgres."]);
/// Base64 of a salt of 16 bytes.
const SALT: &str = "c2FsdHNhbHRzYWx0c2FsdA==";
const SHA_256: &str = "SCRAM-SHA-256";
/// Base64 of 32 bytes that nothing was signed with.
const SIGNATURE: &str = "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// What follows a login that succeeded; then whatever comes is heard.
fn admit() -> Vec<u8> {
    [authentication(0, &[]), parameter("server_version", "17.10"), key(), ready(b'I')].concat()
}

/// Offers SCRAM and answers the client's first message with what `first` makes of the client's nonce.
fn begun(first: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Vec<Step> {
    then([
        Step::Send(sasl(&[SHA_256])),
        Step::Until(is_password),
        Step::answer(move |initial| first(&client_nonce(initial))),
    ])
}

/// As a server that does know the password would begin.
fn well_begun() -> Vec<Step> {
    begun(|nonce| scram(&format!("{nonce}abcdefgh"), SALT, "4096"))
}

fn with(mut script: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    script.extend(more);
    script.push(Step::silence());
    script
}

#[test]
fn who_skips_the_proof_is_not_believed() -> Result<()> {
    let proof = || Step::Until(is_password);
    let send = Step::Send;
    all(vec![
        Case::login("admitted at once", 0, with(then([send(admit())]), []), REFUSED),
        Case::login("ready without a word about authentication", 0, with(then([send(ready(b'I'))]), []), WRONG),
        Case::login(
            "parameters, key and ready without a word about authentication",
            0,
            with(then([send([parameter("server_version", "17.10"), key(), ready(b'I')].concat())]), []),
            WRONG,
        ),
        Case::login(
            "admitted when SCRAM was offered",
            1,
            with(then([send(sasl(&[SHA_256])), send(admit())]), []),
            REFUSED,
        ),
        Case::login(
            "admitted after the first message",
            1,
            with(then([send(sasl(&[SHA_256])), proof(), send(admit())]), []),
            REFUSED,
        ),
        Case::login("admitted before the proof", 2, with(well_begun(), [send(admit())]), REFUSED),
        Case::login(
            "admitted after the proof without its own",
            2,
            with(well_begun(), [proof(), send(admit())]),
            REFUSED,
        ),
        Case::login(
            "ready after the proof without its own",
            2,
            with(well_begun(), [proof(), send(ready(b'I'))]),
            REFUSED,
        ),
        Case::login(
            "a proof that is wrong",
            2,
            with(well_begun(), [proof(), send(authentication(12, SIGNATURE.as_bytes())), send(admit())]),
            REFUSED,
        ),
        Case::login(
            "a proof that is empty",
            2,
            with(well_begun(), [proof(), send(authentication(12, b"v=")), send(admit())]),
            REFUSED,
        ),
        Case::login(
            "a proof that is none",
            2,
            with(well_begun(), [proof(), send(authentication(12, b"\xff\xfe\0")), send(admit())]),
            REFUSED,
        ),
        Case::login(
            "an error of SCRAM in place of a proof",
            2,
            with(well_begun(), [proof(), send(authentication(12, b"e=other-error")), send(admit())]),
            REFUSED,
        ),
        Case::login(
            "a proof nobody asked for",
            0,
            with(then([send(authentication(12, SIGNATURE.as_bytes()))]), []),
            WRONG,
        ),
        Case::login("a second step without a first", 0, with(then([send(scram("abc", SALT, "4096"))]), []), WRONG),
    ])
}

#[test]
fn who_begins_scram_wrong_gets_no_proof() -> Result<()> {
    let first = |name: &str, first: fn(&str) -> Vec<u8>| {
        Case::login(name, 1, with(begun(first), [Step::Until(is_password), Step::Send(admit())]), REFUSED)
    };
    all(vec![
        first("a nonce that adds nothing", |nonce| scram(nonce, SALT, "4096")),
        first("a nonce of another", |_| scram("bm9ib2R5IGFza2VkIGZvciB0aGlz", SALT, "4096")),
        first("no nonce", |_| scram("", SALT, "4096")),
        first("no iterations", |nonce| scram(&format!("{nonce}x"), SALT, "0")),
        first("one iteration", |nonce| scram(&format!("{nonce}x"), SALT, "1")),
        first("iterations for an hour", |nonce| scram(&format!("{nonce}x"), SALT, "2147483647")),
        first("iterations beyond a word", |nonce| scram(&format!("{nonce}x"), SALT, "4294967296")),
        first("iterations below nothing", |nonce| scram(&format!("{nonce}x"), SALT, "-1")),
        first("iterations in words", |nonce| scram(&format!("{nonce}x"), SALT, "many")),
        first("no salt", |nonce| scram(&format!("{nonce}x"), "", "4096")),
        first("salt that is no Base64", |nonce| scram(&format!("{nonce}x"), "~~~~", "4096")),
        first("an extension that must be understood", |nonce| {
            authentication(11, format!("m=x,r={nonce}x,s={SALT},i=4096").as_bytes())
        }),
        first("no text", |_| authentication(11, b"\xff\xfe\0\x01")),
        first("nothing", |_| authentication(11, b"")),
    ])
}

#[test]
fn who_wants_less_than_it_offered_gets_nothing() -> Result<()> {
    let send = Step::Send;
    let heard = || Step::Until(is_password);
    let (clear, md5) = (authentication(3, &[]), authentication(5, b"salt"));
    let offer = || send(sasl(&[SHA_256]));
    all(vec![
        Case::login(
            "clear text after SCRAM was offered",
            1,
            with(then([offer(), heard(), send(clear.clone())]), []),
            REFUSED,
        ),
        Case::login("MD5 after SCRAM was offered", 1, with(then([offer(), heard(), send(md5.clone())]), []), REFUSED),
        Case::login("clear text before the proof", 2, with(well_begun(), [heard(), send(clear.clone())]), REFUSED),
        Case::login("MD5 before the proof", 2, with(well_begun(), [heard(), send(md5.clone())]), REFUSED),
        Case::login("SCRAM a second time", 2, with(well_begun(), [heard(), offer()]), REFUSED),
        Case::login("clear text", 0, with(then([send(clear.clone())]), []), REFUSED),
        Case::login("clear text after MD5", 1, with(then([send(md5), heard(), send(clear)]), []), REFUSED),
        Case::login("SCRAM of an unknown kind", 0, with(then([send(sasl(&["SCRAM-SHA-1", "PLAIN"]))]), []), REFUSED),
        Case::login("SCRAM of no kind", 0, with(then([send(sasl(&[]))]), []), REFUSED),
        Case::login(
            "channel binding without a channel",
            1,
            with(then([send(sasl(&["SCRAM-SHA-256-PLUS"]))]), []),
            WRONG,
        ),
        Case::login("Kerberos", 0, with(then([send(authentication(2, &[]))]), []), REFUSED),
        Case::login("GSSAPI", 0, with(then([send(authentication(7, &[]))]), []), REFUSED),
        Case::login("a method that does not exist", 0, with(then([send(authentication(99, &[]))]), []), WRONG),
        Case::login("a salt cut short", 0, with(then([send(authentication(5, b"s"))]), []), WRONG),
    ])
}
