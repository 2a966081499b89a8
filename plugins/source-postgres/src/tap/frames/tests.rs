//! What passes, what is kept and what is refused, however the bytes are cut.

use super::super::facts::{Rows, Shared, bodies};
use super::*;

fn settings(max_value_bytes: u64) -> Settings {
    let url = Some(rivet_plugin_api::Secret::new("postgres://u:p@localhost/d"));
    let keys = rivet_plugin_api::Connection { url, ..Default::default() };
    Settings { max_value_bytes, ..Settings::from_connection(&keys, "rivet").expect("a url") }
}

/// A frame's tag and body.
type Sent<'a> = (u8, &'a [u8]);

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("it is short");
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

fn frames(of: &[Sent<'_>]) -> Vec<u8> {
    of.iter().flat_map(|(tag, body)| frame(*tag, body)).collect()
}

/// A row of fields.
fn row(fields: &[&[u8]]) -> Vec<u8> {
    let mut row = u16::try_from(fields.len()).expect("few").to_be_bytes().to_vec();
    for field in fields {
        row.extend_from_slice(&u32::try_from(field.len()).expect("it is short").to_be_bytes());
        row.extend_from_slice(field);
    }
    row
}

const LOGIN: &[Sent<'static>] = &[(b'R', &[0, 0, 0, 0]), (b'S', b"server_version\x0017.4\0"), (b'Z', b"I")];

/// Bytes that passed, or the code of the error, when so many bytes come at a time; and what was noted.
fn feed(bytes: &[u8], at_a_time: usize, mode: Rows) -> (Result<Vec<u8>, String>, Shared) {
    let shared = Facts::shared();
    let mut reader = Frames::new(&settings(100));
    let (mut from, mut to, mut passed) = (0, 0, Vec::new());
    // Bytes that a frame which is put around others still has to hold.
    let mut owed = 0;
    Facts::lock(&shared).begin(mode);
    loop {
        let verdict = reader.next(&bytes[from..to], &mut Facts::lock(&shared));
        match verdict {
            Ok(Verdict::Wrap { n, body_bytes }) => {
                assert_eq!(owed, 0, "a frame was not filled");
                owed = body_bytes - n;
                passed.extend_from_slice(&bytes[from..from + n]);
                from += n;
            }
            Ok(Verdict::Pass(n)) => {
                assert!(owed == 0 || n <= owed, "a frame was filled beyond its end");
                owed = owed.saturating_sub(n);
                passed.extend_from_slice(&bytes[from..from + n]);
                from += n;
            }
            Ok(Verdict::Drop(n)) => from += n,
            Ok(Verdict::More) if to == bytes.len() => {
                assert_eq!(from, to, "a whole frame was not looked at");
                return (Ok(passed), shared);
            }
            Ok(Verdict::More) => to = (to + at_a_time).min(bytes.len()),
            Err(e) => return (Err(e.code().to_owned()), shared),
        }
    }
}

/// As [`feed`], after a login, the same however the bytes are cut.
fn after_login(of: &[Sent<'_>], mode: Rows) -> (Result<Vec<u8>, String>, Shared) {
    let login = frames(LOGIN);
    let bytes = [login, frames(of)].concat();
    let at_once = feed(&bytes, bytes.len(), mode);
    for at_a_time in [1, 3, 64] {
        let piecewise = feed(&bytes, at_a_time, mode).0;
        assert_eq!(piecewise, at_once.0, "{at_a_time} bytes at a time");
    }
    at_once
}

#[test]
fn a_copy_passes_and_its_count_is_kept() {
    let row = row(&[b"a"]);
    let copy: &[Sent<'_>] =
        &[(b'2', b""), (b'H', &[1, 0, 0]), (b'd', &row), (b'd', &[0xff, 0xff]), (b'c', b""), (b'C', b"COPY 1\0")];
    let (passed, shared) = after_login(&[copy, &[(b'Z', b"T")]].concat(), Rows::Discard);
    let without_status = frames(&[LOGIN[0], LOGIN[2]]);
    assert_eq!(passed, Ok([without_status, frames(copy), frame(b'Z', b"T")].concat()));
    let (copied, version) = {
        let facts = Facts::lock(&shared);
        (facts.copied, facts.version)
    };
    assert_eq!((copied, version), (Some(1), 170_004));
    let (_, shared) = after_login(copy, Rows::Discard);
    assert_eq!(Facts::lock(&shared).copied, None, "before the server is ready nothing is proved");
}

#[test]
fn rows_of_an_answer_are_kept_and_compared_with_its_count() {
    let (one, two) = (row(&[b"one"]), row(&[b"two"]));
    let rows: &[Sent<'_>] = &[(b'T', &[0, 0]), (b'D', &one), (b'D', &two)];
    for mode in [Rows::Keep { max_bytes: 210 }, Rows::Stream] {
        let (passed, shared) = after_login(&[rows, &[(b'C', b"SELECT 2\0"), (b'Z', b"I")]].concat(), mode);
        assert_eq!(passed.expect("it is whole").len(), 9 + 6 + 14 + 6);
        let mut taken = Vec::new();
        Facts::lock(&shared).take_rows(&mut taken);
        assert_eq!(bodies(&taken).collect::<Vec<_>>(), [&one[..], &two]);
    }
    for wrong in [&b"SELECT 1\0"[..], b"SELECT 3\0", b"FETCH 1\0", b"FETCH\0", b"SELECT x\0"] {
        let found = after_login(&[rows, &[(b'C', wrong), (b'Z', b"I")]].concat(), Rows::Stream).0;
        assert_eq!(found, Err("postgres.incomplete".to_owned()));
    }
    let too_many = after_login(rows, Rows::Keep { max_bytes: 209 }).0;
    assert_eq!(too_many, Err("postgres.protocol".to_owned()));
}

#[test]
fn what_does_not_follow_is_refused() {
    let row = row(&[b"a"]);
    let (copy, data): (Sent<'_>, Sent<'_>) = ((b'H', &[1, 0, 0]), (b'd', &row));
    let (done, count, ready): (Sent<'_>, Sent<'_>, Sent<'_>) = ((b'c', b""), (b'C', b"COPY 1\0"), (b'Z', b"I"));
    for (of, code) in [
        (&[data][..], "postgres.protocol"),
        (&[copy, done, data], "postgres.protocol"),
        (&[copy, data, count], "postgres.incomplete"),
        (&[copy, data, ready], "postgres.incomplete"),
        (&[copy, data, done, ready], "postgres.incomplete"),
        (&[copy, data, done, (b'C', b"COPY\0")], "postgres.incomplete"),
        (&[copy, data, done, (b'C', b"SELECT 1\0")], "postgres.incomplete"),
        (&[copy, copy], "postgres.protocol"),
        (&[done], "postgres.protocol"),
        (&[(b'D', &row)], "postgres.protocol"),
        (&[(b'T', &[0, 0]), (b'D', &row), ready], "postgres.incomplete"),
        (&[copy, data, done, (b'E', b"SERROR\0C22012\0Mno\0\0")], "postgres.22012"),
        (&[(b'?', b"")], "postgres.protocol"),
        (&[ready], "postgres.incomplete"),
        (&[(b'I', b""), ready], "postgres.incomplete"),
        (&[(b'C', b"FETCH 0\0"), ready], "postgres.incomplete"),
    ] {
        assert_eq!(after_login(of, Rows::Stream).0, Err(code.to_owned()), "{of:?}");
    }
}

#[test]
fn lengths_are_bounded_before_anything_is_kept() {
    let claim = |tag: u8, length: u32| [&[tag], &length.to_be_bytes()[..]].concat();
    for length in [0, 3, 0x7fff_ffff, 0xffff_ffff, 70_000] {
        for tag in [b'R', b'N', b'S', b'Z', b'D', b'd', b'x'] {
            let found = feed(&claim(tag, length), 5, Rows::Discard).0;
            assert_eq!(found, Err("postgres.protocol".to_owned()), "{tag} {length} at login");
            if !matches!(tag, b'D' | b'd') {
                let found = feed(&[frames(LOGIN), claim(tag, length)].concat(), 64, Rows::Discard).0;
                assert_eq!(found, Err("postgres.protocol".to_owned()), "{tag} {length}");
            }
        }
    }
    let long = [b"SFATAL\0C57P01\0M".to_vec(), vec![b'x'; 80_000]].concat();
    let found = feed(&frame(b'E', &long), 9000, Rows::Discard).0;
    assert_eq!(found, Err("postgres.57p01".to_owned()), "the cause is said, however long it is told");
}

#[test]
fn a_row_beyond_the_limit_names_its_column() {
    let large = row(&[b"a", &[7; 200], b"b"]);
    for (before, tag) in [((b'H', &[1u8, 0, 0][..]), b'd'), ((b'T', &[0, 0][..]), b'D')] {
        assert_eq!(after_login(&[before, (tag, &large)], Rows::Stream).0, Err("postgres.value_too_large".to_owned()));
    }
}
