//! Changes of MySQL's packets, between a real MariaDB and a run.
//! Must not know how a stream is changed.

use anyhow::Result;
use rivet_test_e2e::CANARY;
use rivet_test_servers::mariadb;
use rivet_test_servers::wire::mysql::{Packets, end, error, next, ok, packet};

use super::spoiled::{Change, MARK, Make, Place, Then};
use super::{Case, Fate, Site};
use crate::hostile::lengths::garbage;
use crate::hostile::text::evil;
use crate::tampered::site::N_ROWS;

fn site() -> Result<Site> {
    let server = mariadb::shared();
    let database = server.fresh_database("tampered")?;
    server.sql(
        &database,
        &format!(
            "create table t (id bigint primary key, v varchar(60) not null); \
             insert into t select seq, concat('{MARK}', md5(seq)) from seq_1_to_{N_ROWS}; \
             create user `{database}` identified by '{CANARY}'; grant select on `{database}`.* to `{database}`"
        ),
    )?;
    Ok(Site {
        kind: "mysql",
        table: "t",
        port: server.port(),
        url: format!("mysql://{database}:{CANARY}@127.0.0.1:PORT/{database}?connect_timeout=2&ssl-mode=DISABLED"),
        secret: CANARY,
        codes: &["mysql.", "snapshot."],
        framing: || Box::new(Packets),
    })
}

fn change(name: &'static str, make: Make, then: Then) -> Change {
    Change { name, make, then }
}

fn also(frame: &[u8], more: &[u8]) -> Vec<u8> {
    [frame, more].concat()
}

/// Claims so many bytes of body, and sends some.
fn claims(frame: &[u8], n: u32) -> Vec<u8> {
    let n = n.to_le_bytes();
    [&[n[0], n[1], n[2], next(frame)][..], &[b'x'; 4096]].concat()
}

fn rows() -> Vec<(Change, Fate)> {
    use Fate::{Either, Fails, Succeeds};
    vec![
        (change("nothing", <[u8]>::to_vec, Then::Passes), Succeeds),
        (change("a row lost", |_| Vec::new(), Then::Passes), Fails),
        (change("a row twice", |f| also(f, f), Then::Passes), Fails),
        (change("half of a row", |f| packet(f[3], &f[4..f.len() / 2]), Then::Passes), Fails),
        (change("bytes of a row lost", |f| f[..f.len() - 7].to_vec(), Then::Passes), Fails),
        (change("bytes of a row lost, silence", |f| f[..f.len() - 7].to_vec(), Then::Stalls), Fails),
        (change("an empty row", |f| packet(f[3], &[]), Then::Passes), Fails),
        (change("an error", |f| also(f, &error(next(f), "words")), Then::Passes), Fails),
        (change("an evil error", |f| also(f, &error(next(f), &evil())), Then::Passes), Fails),
        (change("an OK within the rows", |f| also(f, &ok(next(f))), Then::Passes), Fails),
        (change("an end within the rows", |f| also(f, &end(next(f))), Then::Passes), Fails),
        (change("an old end within the rows", |f| also(f, &packet(next(f), &[0xfe, 0, 0, 2, 0])), Then::Passes), Fails),
        (change("an end with a wrong number", |f| also(f, &end(f[3])), Then::Passes), Fails),
        (change("a packet of 16 MiB that is none", |f| also(f, &claims(f, 0xff_ffff)), Then::Stalls), Fails),
        (change("a packet of 8 MiB that is none", |f| also(f, &claims(f, 0x80_0000)), Then::Passes), Fails),
        (change("whole packets without end", |f| claims(f, 0xff_ffff).repeat(8), Then::Floods(500)), Fails),
        (change("garbage", |f| also(f, &garbage(4096)), Then::Passes), Fails),
        (change("a flood of rows", <[u8]>::to_vec, Then::Floods(20_000)), Fails),
        (change("the way is silent", <[u8]>::to_vec, Then::Stalls), Fails),
        (change("the way is closed", <[u8]>::to_vec, Then::Closes), Fails),
        (change("closed within a row", |f| f[..f.len() / 2].to_vec(), Then::Closes), Fails),
        (
            change(
                "another value's length",
                |f| also(&f[..f.len() - 38], &[[0xfe; 1].as_slice(), &[0xff; 37]].concat()),
                Then::Passes,
            ),
            Either,
        ),
    ]
}

/// Changes of any packet: the greeting, answers to the login, the catalogue, columns.
fn anywhere() -> Vec<Change> {
    vec![
        change("lost", |_| Vec::new(), Then::Passes),
        change("twice", |f| also(f, f), Then::Passes),
        change("as an OK", |f| ok(f[3]), Then::Passes),
        change("as an end", |f| end(f[3]), Then::Passes),
        change("as an evil error", |f| error(f[3], &evil()), Then::Passes),
        change("as nothing", |f| packet(f[3], &[]), Then::Passes),
        change(
            "as columns without end",
            |f| packet(f[3], &[0xfe, 255, 255, 255, 255, 255, 255, 255, 255]),
            Then::Passes,
        ),
        change("as a request for a file", |f| packet(f[3], b"\xfb/etc/passwd"), Then::Passes),
        change("cut", |f| packet(f[3], &f[4..f.len().max(6) - 2]), Then::Passes),
        change("as garbage", |_| garbage(4096), Then::Passes),
        change("as zeros", |f| packet(f[3], &[0; 64]), Then::Passes),
        change("as ones", |f| packet(f[3], &[0xff; 64]), Then::Passes),
        change("closed", <[u8]>::to_vec, Then::Closes),
    ]
}

#[test]
fn a_tampered_result_of_mysql_is_the_table_or_an_error() -> Result<()> {
    let last = usize::try_from(N_ROWS)? - 1;
    let mut cases = Vec::new();
    for place in [Place::Row(0), Place::Row(last / 2), Place::Row(last)] {
        // Behind the last row an end is the end, and what follows it is nobody's.
        let is_end = |change: &Change| place == Place::Row(last) && change.name.contains("end within");
        // Who waits takes long, wherever it is.
        let waits = |change: &Change| change.then == Then::Stalls && place != Place::Row(last / 2);
        let all = rows().into_iter().filter(|(change, _)| !is_end(change) && !waits(change));
        cases.extend(all.map(|(change, fate)| Case::new(change, place, fate)));
    }
    cases.extend(anywhere().into_iter().map(|change| Case::new(change, Place::Behind(last + 1), Fate::Either)));
    site()?.all(&cases)
}

#[test]
fn bytes_that_are_none_of_mysqls_cost_nothing() -> Result<()> {
    let changes = anywhere();
    let places = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55];
    let of = |(i, change): (usize, &Change)| -> Vec<Case> {
        // Not each change everywhere: about the half of all pairs.
        let some = places.iter().enumerate().filter(|(j, _)| (i + j) % 2 == 0);
        some.map(|(_, n)| Case::new(*change, Place::Nth(*n), Fate::Either)).collect()
    };
    site()?.all(&changes.iter().enumerate().flat_map(of).collect::<Vec<_>>())
}
