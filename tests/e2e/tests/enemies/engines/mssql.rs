//! Changes of TDS packets, between the stand-in for SQL Server and a run.
//! Must not know how a stream is changed.

use anyhow::Result;
use rivet_test_servers::wire::tds::{HEAD, Packets, done, error, packet};
use rivet_test_tds::mssql::{self, PASSWORD};

use super::spoiled::{Change, MARK, Make, Place, Then};
use super::{Case, Fate, Site};
use crate::hostile::lengths::garbage;
use crate::hostile::text::evil;
use crate::tampered::site::N_ROWS;

fn site() -> Result<Site> {
    let server = mssql::shared();
    let database = server.fresh_database("tampered")?;
    server.create_table(&database, "t", &[("id", "bigint NOT NULL"), ("v", "nvarchar(60) NOT NULL")])?;
    let rows = format!("insert into dbo.t select i, '{MARK}' || md5(i::text) from generate_series(1, {N_ROWS}) i");
    server.psql(&database, &rows)?;
    Ok(Site {
        kind: "mssql",
        table: "dbo.t",
        port: server.port(),
        url: server.url(&database).replace(&format!(":{}/", server.port()), ":PORT/"),
        secret: PASSWORD,
        codes: &["mssql.", "snapshot."],
        framing: || Box::new(Packets),
    })
}

fn change(name: &'static str, make: Make, then: Then) -> Change {
    Change { name, make, then }
}

/// The same packet with another body.
fn with(frame: &[u8], body: &[u8]) -> Vec<u8> {
    let last = frame[1] & 1 == 1;
    packet(last, body)
}

/// The same packet that claims another length.
fn claims(frame: &[u8], length: u16) -> Vec<u8> {
    let n = length.to_be_bytes();
    [&frame[..2], &n, &frame[4..]].concat()
}

fn also(frame: &[u8], more: &[u8]) -> Vec<u8> {
    [frame, more].concat()
}

fn rows() -> Vec<(Change, Fate)> {
    use Fate::{Either, Fails, Succeeds};
    let end = |f: &[u8]| [&[f[0], 1], &f[2..]].concat();
    vec![
        (change("nothing", <[u8]>::to_vec, Then::Passes), Succeeds),
        (change("a packet lost", |_| Vec::new(), Then::Passes), Fails),
        (change("a packet twice", |f| also(f, f), Then::Passes), Fails),
        (change("half of a packet", |f| with(f, &f[HEAD..f.len() / 2]), Then::Passes), Fails),
        (change("bytes of a packet lost", |f| f[..f.len() - 7].to_vec(), Then::Passes), Fails),
        (change("bytes of a packet lost, silence", |f| f[..f.len() - 7].to_vec(), Then::Stalls), Fails),
        (change("an empty packet", |f| also(f, &with(f, &[])), Then::Passes), Either),
        (change("a packet of no length", |f| claims(f, 0), Then::Passes), Fails),
        (change("a packet shorter than its head", |f| claims(f, 7), Then::Passes), Fails),
        (change("a packet of 64 KiB", |f| claims(f, u16::MAX), Then::Passes), Fails),
        (change("the message ends early", end, Then::Passes), Either),
        (
            change("a count of rows within them", |f| packet(false, &[&f[HEAD..], &done(1)].concat()), Then::Passes),
            Fails,
        ),
        (change("an end within the rows", |f| packet(true, &done(300.min(f.len() as u64))), Then::Passes), Fails),
        (change("an error", |f| with(f, &error("words")), Then::Passes), Fails),
        (change("an evil error", |f| with(f, &error(&evil())), Then::Passes), Fails),
        (change("garbage", |f| also(f, &garbage(4096)), Then::Passes), Fails),
        (change("garbage in a packet", |f| also(f, &packet(false, &garbage(4096))), Then::Passes), Fails),
        (change("ones", |f| with(f, &[0xff; 4000]), Then::Passes), Fails),
        (change("columns without end", |f| with(f, &[0x81; 4000]), Then::Passes), Fails),
        (
            change(
                "rows without end",
                |f| packet(false, &[0xd1; 4000].map(|b| if f.is_empty() { 0 } else { b })),
                Then::Floods(3_000),
            ),
            Fails,
        ),
        (
            change(
                "messages of the server without end",
                |f| {
                    let text: Vec<u8> = [0xab, 20, 0, 0, 0, 0, 0, 1, 0].into_iter().chain([0; 14]).collect();
                    also(f, &packet(false, &text.repeat(100)))
                },
                Then::Floods(1_000),
            ),
            Either,
        ),
        (change("the way is silent", <[u8]>::to_vec, Then::Stalls), Fails),
        (change("the way is closed", <[u8]>::to_vec, Then::Closes), Fails),
        (change("closed within a packet", |f| f[..f.len() / 2].to_vec(), Then::Closes), Fails),
    ]
}

/// Changes of any packet: answers to the login, the catalogue, columns.
fn anywhere() -> Vec<Change> {
    vec![
        change("lost", |_| Vec::new(), Then::Passes),
        change("twice", |f| also(f, f), Then::Passes),
        change("as an end", |_| packet(true, &done(0)), Then::Passes),
        change("as an evil error", |_| packet(true, &error(&evil())), Then::Passes),
        change("as nothing", |_| packet(true, &[]), Then::Passes),
        change("cut", |f| with(f, &f[HEAD..f.len().max(HEAD + 3) - 3]), Then::Passes),
        change("as garbage", |_| garbage(4096), Then::Passes),
        change("as garbage in a packet", |_| packet(true, &garbage(4000)), Then::Passes),
        change("as zeros", |_| packet(true, &[0; 64]), Then::Passes),
        change("as ones", |_| packet(true, &[0xff; 64]), Then::Passes),
        change(
            "as columns without end",
            |_| packet(true, &[[0x81, 0xfe, 0xff].as_slice(), &[0; 64]].concat()),
            Then::Passes,
        ),
        change(
            "as a column of 2 GiB",
            |_| {
                let value = [0xd1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
                packet(true, &[&[0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0xa5, 0xff, 0xff, 1, b'v', 0][..], &value].concat())
            },
            Then::Passes,
        ),
        change("closed", <[u8]>::to_vec, Then::Closes),
    ]
}

#[test]
fn a_tampered_result_of_sql_server_is_the_table_or_an_error() -> Result<()> {
    let mut cases = Vec::new();
    for place in [Place::Row(0), Place::Row(1)] {
        // The second is the last: what follows it follows an end that counted the rows.
        let behind = ["a packet twice", "garbage", "garbage in a packet", "the way is silent", "the way is closed"];
        let fate = |change: &Change, fate| {
            if place == Place::Row(1) && behind.contains(&change.name) { Fate::Either } else { fate }
        };
        cases.extend(rows().into_iter().map(|(change, expected)| Case::new(change, place, fate(&change, expected))));
    }
    site()?.all(&cases)
}

#[test]
fn bytes_that_are_none_of_sql_servers_cost_nothing() -> Result<()> {
    let places = [0, 1, 2, 3, 5, 8];
    let cases: Vec<Case> =
        anywhere().iter().flat_map(|change| places.map(|n| Case::new(*change, Place::Nth(n), Fate::Either))).collect();
    site()?.all(&cases)
}
