//! Bytes that no server sends, in the midst of what a real one does: garbage, lengths, floods, texts.
//! Must not know how a stream is changed.

use rivet_test_servers::wire::postgres::{claims, data_row, frame, parameter, report, row_description};

use super::stream::{At, Do};
use super::table::{Change, DAMAGED, Fate};
use crate::hostile::lengths::{IMPOSSIBLE, garbage};
use crate::hostile::text::evil;
use crate::judge::fails;

/// Whatever is wrong is said.
const SAID: Fate = Fate::Fails(fails(&[1, 2, 3], &["postgres."]));
/// The stream is broken.
const BROKEN: Fate = Fate::Fails(fails(&[2, 3], &["postgres."]));

/// Each where the catalogue answers, and where rows of the table come.
pub fn changes() -> Vec<Change> {
    let mut all = Vec::new();
    for at in [At::Catalogue, At::Row] {
        let mut add = |name: String, what: Do, fate: Fate| {
            all.push(Change { name: format!("{name} after {at:?}"), at, what, fate });
        };
        for tag in *b"dDEN" {
            for length in IMPOSSIBLE {
                let bytes = [claims(tag, length), vec![b'x'; 1 << 20]].concat();
                add(format!("{} of {length:#x} bytes", char::from(tag)), Do::Append(bytes), BROKEN);
            }
        }
        add("garbage".to_owned(), Do::Append(garbage(4096)), BROKEN);
        let error =
            |text: &str| report(b'E', &[(b'S', text), (b'C', "XX000"), (b'M', text), (b'D', text), (b'H', text)]);
        add("an evil error".to_owned(), Do::Append(error(&evil())), SAID);
        add("an error of 50 MB".to_owned(), Do::Append(error(&"x".repeat(12_500_000))), SAID);
        add("an error without fields".to_owned(), Do::Append(frame(b'E', b"\0")), SAID);
        let evil_notice = report(b'N', &[(b'S', &evil()), (b'C', "01000"), (b'M', &evil()), (b'H', &evil())]);
        add("evil notices".to_owned(), Do::Append(evil_notice), Fate::Either);
        add("evil parameters".to_owned(), Do::Append(parameter("application_name", &evil())), Fate::Either);
        let flood = |frame: Vec<u8>, n: usize| Do::Flood(frame.repeat(n), 1_000);
        add("a flood of long rows".to_owned(), flood(data_row(&[&[b'x'; 200_000][..]]), 1), DAMAGED);
        add("a flood of short rows".to_owned(), flood(data_row(&[b"0123456789"]), 1_000), DAMAGED);
        add("a flood of notices".to_owned(), flood(report(b'N', &[(b'M', "words")]), 100), Fate::Either);
        add("a flood of parameters".to_owned(), flood(parameter("TimeZone", "UTC"), 100), Fate::Either);
    }
    let columns = |name: &str, what, fate| Change { name: name.to_owned(), at: At::Columns, what, fate };
    all.push(columns("an evil column", Do::Replace(row_description(&[&evil()])), Fate::Either));
    all.push(columns("columns without end", Do::Replace(frame(b'T', &[0xff; 20])), Fate::Either));
    all
}
