//! The table of changes: what happens to a stream where, and whether a run may survive it.
//! Must not know how a change is made.

use rivet_test_servers::wire::postgres::{complete, copy_done, copy_trailer, frame, parameter, ready, report};

use super::site::Read;
use super::stream::{At, Do};
use crate::judge::{Expect, fails};

/// How a run ends that meets a change.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// With the table's rows.
    Succeeds,
    /// As this says.
    Fails(Expect),
    /// With the table's rows, or in an error.
    Either,
}

/// A change, with the name of its case.
#[derive(Debug, Clone)]
pub struct Change {
    pub name: String,
    pub at: At,
    pub what: Do,
    pub fate: Fate,
}

/// The stream is broken: a server that may answer better next time.
const BROKEN: Fate = Fate::Fails(fails(&[2], &["postgres."]));
/// Likewise, or what arrived is no row.
pub const DAMAGED: Fate = Fate::Fails(fails(&[2, 3], &["postgres."]));
/// What the server says is believed.
const SAID: Fate = Fate::Fails(fails(&[1, 2, 3], &["postgres."]));

/// Every change for this way to read.
pub fn changes(read: Read) -> Vec<Change> {
    let is_copy = read != Read::Fetch;
    let mut all = rows(is_copy);
    all.extend(ends(is_copy));
    if is_copy {
        all.extend(ends_of_copies());
    }
    all
}

fn change(name: &str, at: At, what: Do, fate: Fate) -> Change {
    Change { name: name.to_owned(), at, what, fate }
}

fn rows(is_copy: bool) -> Vec<Change> {
    let word = if is_copy { "COPY" } else { "FETCH" };
    let count = |n: u64| complete(&format!("{word} {n}"));
    let row = |name: &str, what: Do, fate: Fate| change(name, At::Row, what, fate);
    let notice = report(b'N', &[(b'S', "NOTICE"), (b'C', "00000"), (b'M', "words")]);
    let said = parameter("application_name", "another");
    let other = if is_copy { b'D' } else { b'd' };
    let mut all = vec![
        row("nothing", Do::Pass, Fate::Succeeds),
        row("bytes that travel alone", Do::Segments, Fate::Succeeds),
        row("a notice", Do::Append(notice.clone()), Fate::Succeeds),
        row("a parameter", Do::Append(said.clone()), Fate::Succeeds),
        row("notices everywhere", Do::Between(notice), Fate::Succeeds),
        row("parameters everywhere", Do::Between(said), Fate::Succeeds),
        row("a row lost", Do::Drop, BROKEN),
        row("a row twice", Do::Double, BROKEN),
        row("two rows swapped", Do::Swap, Fate::Either),
        row("half of a row", Do::Cut, DAMAGED),
        row("bytes of a row lost", Do::CutBytes, DAMAGED),
        row("a row with the tag of another protocol", Do::Retag(b'~'), BROKEN),
        row("a row with the tag of another row", Do::Retag(other), BROKEN),
        row("a row as the end", Do::Retag(b'C'), BROKEN),
        row("a row as a notice", Do::Retag(b'N'), BROKEN),
        row("a row as an error", Do::Retag(b'E'), SAID),
        row("an error", Do::Append(report(b'E', &[(b'S', "ERROR"), (b'C', "XX000"), (b'M', "words")])), SAID),
        row("ready early", Do::Append(ready(b'T')), BROKEN),
        row("ready early, and no more", Do::End(ready(b'T')), BROKEN),
        row("complete early", Do::Append(count(1)), BROKEN),
        row("complete and ready early", Do::End([count(299), ready(b'T')].concat()), BROKEN),
        row("the rest of the rows lost", Do::DropRest, BROKEN),
        row("the way is silent", Do::Stall, BROKEN),
        row("the way is closed", Do::Close, BROKEN),
        row("the way is closed within a row", Do::CloseInside, BROKEN),
    ];
    if is_copy {
        all.extend([
            row("the trailer early", Do::Append(copy_trailer()), BROKEN),
            row("the data's end early", Do::Append(copy_done()), BROKEN),
            row("trailer and end early", Do::Append([copy_trailer(), copy_done()].concat()), BROKEN),
            row("an end without its word", Do::End([copy_trailer(), copy_done(), ready(b'T')].concat()), BROKEN),
            row("an end without its number", Do::End(finish("COPY")), BROKEN),
            row("an end with a number that is none", Do::End(finish("COPY many")), BROKEN),
            row("an end of another statement", Do::End(finish("SELECT 300")), BROKEN),
            row("data without a row", Do::Append(frame(b'd', b"")), Fate::Either),
        ]);
    }
    all
}

/// A whole end of a COPY.
fn finish(word: &str) -> Vec<u8> {
    [copy_trailer(), copy_done(), complete(word), ready(b'T')].concat()
}

fn ends(is_copy: bool) -> Vec<Change> {
    let word = if is_copy { "COPY" } else { "FETCH" };
    let at = |name: &str, what: Do, fate: Fate| change(name, At::Complete, what, fate);
    vec![
        at("no word of the end", Do::Drop, BROKEN),
        at("one row more is said", Do::Recount(1), BROKEN),
        at("one row less is said", Do::Recount(-1), BROKEN),
        at("no row is said", Do::Replace(complete(&format!("{word} 0"))), BROKEN),
        at("no number is said", Do::Replace(complete(word)), BROKEN),
        at("another statement's end", Do::Replace(complete("INSERT 0 300")), BROKEN),
        at("an end without a word", Do::Replace(frame(b'C', b"")), BROKEN),
        at("an empty statement", Do::Replace(frame(b'I', b"")), BROKEN),
        at("the end twice", Do::Double, Fate::Either),
        at("closed after the end", Do::Close, Fate::Either),
        at("silent after the end", Do::Stall, BROKEN),
        change("never ready", At::Ready, Do::Drop, Fate::Either),
        change("ready twice", At::Ready, Do::Double, Fate::Either),
    ]
}

fn ends_of_copies() -> Vec<Change> {
    let row = frame(b'd', b"\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\x05~row~");
    vec![
        change("no trailer", At::Trailer, Do::Drop, BROKEN),
        change("the trailer twice", At::Trailer, Do::Double, BROKEN),
        change("a row after the trailer", At::Trailer, Do::Append(row.clone()), BROKEN),
        change("half a trailer", At::Trailer, Do::Cut, DAMAGED),
        change("the trailer after the data's end", At::Trailer, Do::Swap, BROKEN),
        change("closed after the trailer", At::Trailer, Do::Close, BROKEN),
        change("silent after the trailer", At::Trailer, Do::Stall, BROKEN),
        change("no end of the data", At::Done, Do::Drop, BROKEN),
        change("the data's end twice", At::Done, Do::Double, BROKEN),
        change("a row after the data's end", At::Done, Do::Append(row), BROKEN),
        change("the data's end after the statement's", At::Done, Do::Swap, BROKEN),
        change("closed after the data's end", At::Done, Do::Close, BROKEN),
        change("silent after the data's end", At::Done, Do::Stall, BROKEN),
    ]
}
