//! Streams that are cancelled, dropped or fail, and the snapshot they read.
//! It must not test values.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rivet_plugin_api::{ErrorKind, Snapshot};

use crate::fixture::{Db, query, read, scan, scan_of, table, texts};

const NUMBERS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
const SLOW: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n";

#[test]
fn a_slow_query_is_cancelled_within_a_second() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a)")?;
    for sql in [SLOW, NUMBERS] {
        let token = rivet_plugin_api::CancelToken::new();
        let cx = token.cx();
        let mut session = db.session()?;
        let scan = scan_of(&mut *session, &query(sql), &cx)?;
        let mut stream = session.scan(&scan, &cx)?;
        let started = std::thread::scope(|scope| {
            let canceller = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(200));
                token.cancel();
                Instant::now()
            });
            let error = loop {
                match stream.next(&cx) {
                    Ok(batch) => assert!(batch.is_some(), "it has no end"),
                    Err(e) => break e,
                }
            };
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
            canceller.join().expect("no panic")
        });
        drop(stream);
        drop(session);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
    Ok(())
}

#[test]
fn a_dropped_stream_stops_its_query_and_frees_the_session() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT); INSERT INTO t VALUES (7)")?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    let started = Instant::now();
    for round in 0..30 {
        let endless = scan_of(&mut *session, &query(if round % 2 == 0 { NUMBERS } else { SLOW }), &cx)?;
        let mut stream = session.scan(&endless, &cx)?;
        if round % 4 == 0 {
            assert!(stream.next(&cx)?.is_some());
        }
        if round % 5 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(stream);
        let small = scan_of(&mut *session, &table("t"), &cx)?;
        let rows: Vec<_> = read(&mut *session, &small, &cx)?.iter().flat_map(texts).collect();
        assert_eq!(rows, [["7"]]);
    }
    session.end(&cx)?;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn a_stream_never_asked_for_a_batch_can_be_dropped() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT)")?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    let mut many = scan_of(&mut *session, &query(NUMBERS), &cx)?;
    many.max_batch_rows = 1;
    let stream = session.scan(&many, &cx)?;
    std::thread::sleep(Duration::from_millis(50));
    drop(stream);
    Ok(())
}

#[test]
fn an_error_in_the_middle_comes_after_the_batches_before() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(a INT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT i FROM n;
         INSERT INTO t VALUES ('x');",
    )?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    let mut scan = scan_of(&mut *session, &table("t"), &cx)?;
    scan.max_batch_rows = 300;
    let mut stream = session.scan(&scan, &cx)?;
    for _ in 0..3 {
        assert_eq!(stream.next(&cx)?.context("a batch")?.num_rows(), 300);
    }
    let error = stream.next(&cx).expect_err("text in an INT column");
    assert_eq!(error.get("row"), Some("1001"));
    drop(stream);
    assert_eq!(session.describe(&table("t"), &cx)?.columns.len(), 1, "the session lives on");
    Ok(())
}

#[test]
fn a_snapshot_is_what_was_there_and_each_statement_else_what_is() -> Result<()> {
    for (snapshot, rows) in [(Snapshot::New, 1), (Snapshot::None, 2)] {
        let db = Db::new("PRAGMA journal_mode = WAL; CREATE TABLE t(a INT); INSERT INTO t VALUES (1)")?;
        let cx = db.token.cx();
        let mut request = db.request();
        request.snapshot = snapshot.clone();
        let mut group = db.open(request)?;
        assert_eq!(group.sessions.len(), 1);
        assert_eq!(group.snapshot.identity.is_some(), snapshot == Snapshot::New);
        assert!(group.snapshot.join_token.is_none());
        assert_eq!(group.snapshot.server, db.path().canonicalize()?.to_string_lossy());
        db.writer()?.execute_batch("INSERT INTO t VALUES (2)")?;
        let session = &mut *group.sessions[0];
        let scan = scan_of(session, &table("t"), &cx)?;
        assert_eq!(read(session, &scan, &cx)?.iter().map(|b| b.num_rows()).sum::<usize>(), rows, "{snapshot:?}");
    }
    Ok(())
}

#[test]
fn a_table_that_changed_since_the_plan_is_refused() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT, b TEXT); INSERT INTO t VALUES (1, 'x')")?;
    let cx = db.token.cx();
    let columns = db.session()?.describe(&table("t"), &cx)?.columns;
    for change in ["ALTER TABLE t RENAME COLUMN b TO c", "DROP TABLE t; CREATE TABLE t(a INT, b BLOB)"] {
        db.writer()?.execute_batch(change)?;
        let mut session = db.session()?;
        let error = session.scan(&scan(&table("t"), columns.clone(), None), &cx).err().context(change)?;
        assert_eq!((error.kind(), error.get("column")), (ErrorKind::Schema, Some("b")), "{change}");
    }
    Ok(())
}

#[test]
fn a_scan_tells_how_long_its_statement_is() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT); INSERT INTO t VALUES (1)")?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    let scan = scan_of(&mut *session, &table("t"), &cx)?;
    let mut stream = session.scan(&scan, &cx)?;
    std::thread::sleep(Duration::from_millis(60));
    while stream.next(&cx)?.is_some() {}
    assert!(stream.facts().longest_statement_ms >= 60);
    Ok(())
}
