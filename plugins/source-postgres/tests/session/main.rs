//! Sessions against a real server: cancelling, early ends, fetches, shared snapshots, silent servers.

mod keys;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rivet_plugin_api::{
    CancelToken, Connection, CursorColumn, Cx, ErrorKind, OpenGroup, ReadMode, Relation, Retry, Scan, Secret, Session,
    SessionGroup, SessionLimits, SetOn, Snapshot, Source, SplitRequest, TypesMode,
};
use rivet_source_postgres::{Postgres, PostgresOptions};
use rivet_test_servers::postgres::{self, Postgres as Server};

fn request(url: &str, n_sessions: usize, snapshot: Snapshot, limits: SessionLimits) -> OpenGroup<PostgresOptions> {
    let connection = Connection { url: Some(Secret::new(url)), ..Default::default() };
    OpenGroup { connection, n_sessions, snapshot, limits, ..OpenGroup::new(PostgresOptions::default()) }
}

fn open(url: &str, n: usize, cx: &Cx) -> Result<SessionGroup> {
    Ok(Postgres::open_group(request(url, n, Snapshot::New, SessionLimits::default()), cx)?)
}

fn query(sql: &str) -> Relation {
    Relation::Query { sql: sql.to_owned() }
}

fn scan(session: &mut dyn Session, relation: Relation, read: ReadMode, cx: &Cx) -> Result<Scan> {
    let columns = session.describe(&relation, cx)?.columns;
    let types = TypesMode::Portable;
    Ok(Scan { read, types, max_batch_rows: 1000, max_batch_bytes: 1 << 20, ..Scan::new(relation, columns) })
}

fn count(session: &mut dyn Session, scan: &Scan, cx: &Cx) -> rivet_plugin_api::Result<usize> {
    let mut stream = session.scan(scan, cx)?;
    let mut rows = 0;
    while let Some(batch) = stream.next(cx)? {
        rows += batch.num_rows();
    }
    Ok(rows)
}

/// Statements of ours that the server runs right now in the databases of the test about cancelling.
fn running(server: &Server) -> Result<String> {
    let ours = "application_name = 'rivet' AND state = 'active' AND datname LIKE 'cancel%'";
    server.psql("postgres", &format!("SELECT count(*) FROM pg_stat_activity WHERE {ours}"))
}

#[test]
fn a_cancelled_wait_ends_within_a_second_here_and_on_the_server() -> Result<()> {
    let server = postgres::shared();
    let url = server.url(&server.fresh_database("cancel")?);
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&url, 1, &cx)?;
    let session = &mut *group.sessions[0];
    let sleeper = scan(session, query("SELECT 1 AS a FROM pg_sleep(60)"), ReadMode::Stream, &cx)?;
    let canceller = std::thread::spawn({
        let token = token.clone();
        move || {
            std::thread::sleep(Duration::from_millis(300));
            token.cancel();
            Instant::now()
        }
    });
    let error = count(session, &sleeper, &cx).expect_err("it is cancelled");
    let woken = Instant::now();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(woken.saturating_duration_since(canceller.join().expect("no panic")) < Duration::from_secs(1));
    drop(group);
    let end = Instant::now() + Duration::from_secs(5);
    while running(server)?.trim() != "0" {
        assert!(Instant::now() < end, "the statement still runs on the server");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[test]
fn a_stream_dropped_early_leaves_the_session_in_step() -> Result<()> {
    let server = postgres::shared();
    let url = server.url(&server.fresh_database("drop")?);
    let token = CancelToken::new();
    let cx = token.cx();
    // Without a snapshot a cancelled statement is rolled back alone; with one the transaction is over.
    let mut group = open(&url, 1, &cx)?;
    let session = &mut *group.sessions[0];
    let many = scan(session, query("SELECT i FROM generate_series(1, 5000000) i"), ReadMode::Stream, &cx)?;
    let mut stream = session.scan(&many, &cx)?;
    assert!(stream.next(&cx)?.is_some());
    let started = Instant::now();
    drop(stream);
    assert!(started.elapsed() < Duration::from_secs(5));
    let error = count(session, &many, &cx).expect_err("the transaction was aborted by the cancel");
    assert_eq!(error.state(), Some("25P02"), "{error:?}: the answer is the server's, so the session is in step");
    Ok(())
}

#[test]
fn streaming_and_fetching_deliver_the_same_rows() -> Result<()> {
    let server = postgres::shared();
    let url = server.url(&server.fresh_database("fetch")?);
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&url, 1, &cx)?;
    let session = &mut *group.sessions[0];
    for n in [0, 1, 99, 100, 101, 12_345] {
        let relation = query(&format!("SELECT i, repeat('x', i % 50) AS t FROM generate_series(1, {n}) i"));
        for read in [ReadMode::Stream, ReadMode::Fetch] {
            let scan = scan(session, relation.clone(), read, &cx)?;
            assert_eq!(count(session, &scan, &cx)?, n, "{read:?}");
        }
    }
    Ok(())
}

#[test]
fn sessions_of_a_group_and_later_ones_share_a_snapshot_and_page_ranges_hold_each_row_once() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("snapshot")?;
    server.psql(&database, "CREATE TABLE t AS SELECT i, repeat('x', 500) AS t FROM generate_series(1, 5000) i")?;
    let url = server.url(&database);
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&url, 2, &cx)?;
    server.psql(&database, "UPDATE t SET i = i + 1000000; INSERT INTO t SELECT i, '' FROM generate_series(1, 99) i")?;
    let join = Snapshot::Join(group.snapshot.join_token.clone().context("a token")?);
    let late = Postgres::open_group(request(&url, 1, join.clone(), SessionLimits::default()), &cx)?;
    assert_eq!(late.snapshot.identity, group.snapshot.identity);
    group.sessions.extend(late.sessions);
    let relation = Relation::Table { schema: Some("public".to_owned()), name: "t".to_owned() };
    let request_splits = SplitRequest::new(relation.clone(), 5);
    let splits = group.sessions[0].split(&request_splits, &cx)?;
    assert_eq!(splits.len(), 5);
    for session in &mut group.sessions {
        let mut total = 0;
        for split in &splits {
            let mut scan = scan(&mut **session, relation.clone(), ReadMode::Stream, &cx)?;
            scan.split = Some(split.clone());
            total += count(&mut **session, &scan, &cx)?;
        }
        assert_eq!(total, 5000, "the snapshot is older than the changes");
    }
    drop(group);
    let error = Postgres::open_group(request(&url, 1, join, SessionLimits::default()), &cx).err().context("gone")?;
    assert_eq!((error.code(), error.kind()), ("snapshot.lost", ErrorKind::Conflict));
    Ok(())
}

#[test]
fn our_own_statement_timeout_asks_for_smaller_splits_and_an_operators_cancel_does_not() -> Result<()> {
    let server = postgres::shared();
    let url = server.url(&server.fresh_database("timeout")?);
    let token = CancelToken::new();
    let cx = token.cx();
    for (timeout_ms, retry, code) in
        [(500, Retry::SmallerSplit, "postgres.statement_timeout"), (0, Retry::Never, "postgres.cancelled_by_operator")]
    {
        let limits = SessionLimits { statement_timeout_ms: timeout_ms, ..Default::default() };
        let mut group = Postgres::open_group(request(&url, 1, Snapshot::New, limits), &cx)?;
        let session = &mut *group.sessions[0];
        let sleeper = scan(session, query("SELECT 1 AS a FROM pg_sleep(30)"), ReadMode::Stream, &cx)?;
        let operator = std::thread::spawn(move || -> Result<()> {
            if timeout_ms == 0 {
                let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
                     WHERE query LIKE 'COPY%pg_sleep(30)%' AND wait_event = 'PgSleep'";
                while postgres::shared().psql("postgres", cancel)?.trim() == "0" {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            Ok(())
        });
        let error = count(session, &sleeper, &cx).expect_err("it is cancelled");
        operator.join().expect("no panic")?;
        assert_eq!((error.retry_class(), error.code()), (retry, code), "{error:?}");
    }
    Ok(())
}

#[test]
fn a_server_that_says_nothing_is_given_up() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("postgres://u:canary@127.0.0.1:{}/d?connect_timeout=1", listener.local_addr()?.port());
    let started = Instant::now();
    let error = open(&url, 1, &CancelToken::new().cx()).err().context("it times out")?;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    let plugin = error.downcast_ref::<rivet_plugin_api::PluginError>().context("an error of the plugin")?;
    assert_eq!((plugin.kind(), plugin.code()), (ErrorKind::Timeout, "postgres.login_timeout"));
    Ok(())
}

#[test]
fn keys_and_cursors_come_from_the_catalogue() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("keys")?;
    server.psql(
        &database,
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'begin new.changed := now(); return new; end';
         CREATE TABLE t (id bigserial, code text NOT NULL UNIQUE, maybe text UNIQUE, a int NOT NULL, b int NOT NULL,
             born timestamptz DEFAULT now(), changed timestamp NOT NULL, day date, n int, PRIMARY KEY (id), UNIQUE (b, a));
         CREATE INDEX ON t (born, a); CREATE INDEX ON t (changed) WHERE n > 1; CREATE INDEX ON t (lower(code));
         CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
         CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child () INHERITS (parent); CREATE VIEW v AS SELECT * FROM t;",
    )?;
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = open(&server.url(&database), 1, &cx)?;
    let mut of = |name: &str| {
        let relation = Relation::Table { schema: Some("public".to_owned()), name: name.to_owned() };
        group.sessions[0].describe(&relation, &cx)
    };
    let cursor = |name: &str, indexed, set_on| CursorColumn { indexed, set_on, ..CursorColumn::new(name) };
    let found = of("t")?;
    assert_eq!(found.keys, [vec!["id"], vec!["code"], vec!["b", "a"]]);
    let expected = [
        cursor("id", true, SetOn::Insert),
        cursor("born", true, SetOn::Insert),
        cursor("changed", false, SetOn::Change),
        cursor("day", false, SetOn::Unknown),
    ];
    assert_eq!(found.cursors, Some(expected.to_vec()));
    let parent = of("parent")?;
    assert_eq!((parent.keys, parent.cursors), (vec![], Some(vec![cursor("id", false, SetOn::Unknown)])));
    let view = of("v")?;
    assert_eq!((view.keys, view.cursors), (vec![], None));
    assert_eq!(group.sessions[0].describe(&query("SELECT * FROM t"), &cx)?.cursors, None);
    Ok(())
}
