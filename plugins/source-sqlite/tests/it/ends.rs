//! What a result is the end of: damaged files, and a schema that others change at each step.
//! It must not test values.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::{ErrorKind, FilePath, OpenGroup, Session, Snapshot};
use rivet_source_sqlite::SqliteOptions;

use crate::fixture::{Db, read, scan, scan_of, table, texts};

const N_ROWS: usize = 3_000;

fn many() -> Result<Db> {
    Db::new(
        "PRAGMA page_size = 512; CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i, 'row ' || i FROM n",
    )
}

/// Reads a damaged copy of a database: all rows, or an error.
fn all_or_error(db: &Db, bytes: &[u8], what: &str) -> Result<bool> {
    let path = db.dir.path().join("damaged.db");
    fs::write(&path, bytes)?;
    let mut request: OpenGroup<SqliteOptions> = db.request();
    request.options.path = Some(FilePath::new(&path));
    let rows = || {
        let cx = db.token.cx();
        let mut session = db.open(request)?.sessions.remove(0);
        let scan = scan_of(&mut *session, &table("t"), &cx)?;
        Ok(read(&mut *session, &scan, &cx)?.iter().map(|b| b.num_rows()).sum::<usize>())
    };
    let found: Result<usize, rivet_plugin_api::PluginError> = rows();
    match found {
        Ok(n) => {
            ensure!(n == N_ROWS, "{what}: {n} rows and no error");
            Ok(true)
        }
        Err(e) => {
            let known = matches!(e.kind(), ErrorKind::Data | ErrorKind::Config | ErrorKind::NotFound | ErrorKind::Io);
            ensure!(known && e.kind() != ErrorKind::Internal, "{what}: {e}");
            Ok(false)
        }
    }
}

#[test]
fn a_file_that_was_cut_or_has_empty_pages_is_an_error() -> Result<()> {
    let db = many()?;
    let whole = fs::read(db.path())?;
    assert!(all_or_error(&db, &whole, "whole")?);
    let n_pages = whole.len() / 512;
    ensure!(n_pages > 60, "{n_pages} pages: a tree of several levels");
    for page in 1..n_pages {
        assert!(!all_or_error(&db, &whole[..page * 512], &format!("cut after page {page}"))?, "page {page}");
        for byte in [0, 0xff] {
            let mut damaged = whole.clone();
            damaged[page * 512..(page + 1) * 512].fill(byte);
            assert!(!all_or_error(&db, &damaged, &format!("page {page} of {byte}"))?, "page {page} of {byte}");
        }
    }
    // A page that is there in part would read as zeros; what follows the last page is nobody's.
    assert!(!all_or_error(&db, &whole[..whole.len() - 1], "the last page is cut")?);
    assert!(all_or_error(&db, &[whole.as_slice(), &[7; 100]].concat(), "a writer died")?);
    Ok(())
}

/// Changes of `t`, each of which another connection makes.
const CHANGES: [&str; 5] = [
    "DROP TABLE t; CREATE TABLE t(a INT, b TEXT); INSERT INTO t VALUES (7, 'new')",
    "DROP TABLE t; CREATE TABLE t(b TEXT, a INT); INSERT INTO t VALUES ('new', 7), ('new', 8)",
    "ALTER TABLE t ADD COLUMN c; INSERT INTO t VALUES (7, 'new', 'c')",
    "ALTER TABLE t RENAME COLUMN b TO c",
    "DROP TABLE t",
];

fn small() -> Result<Db> {
    Db::new("PRAGMA journal_mode = WAL; CREATE TABLE t(a INT, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
}

fn rows(session: &mut dyn Session, db: &Db) -> Result<Vec<Vec<String>>> {
    let cx = db.token.cx();
    let scan = scan_of(session, &table("t"), &cx)?;
    Ok(read(session, &scan, &cx)?.iter().flat_map(texts).collect())
}

#[test]
fn what_is_described_is_what_is_read_whoever_changes_it_meanwhile() -> Result<()> {
    for change in CHANGES {
        for step in 0..4 {
            let db = small()?;
            let cx = db.token.cx();
            let at = |now: usize| if now == step { db.writer()?.execute_batch(change).context(change) } else { Ok(()) };
            let mut session = db.session()?;
            at(0)?;
            let columns = session.describe(&table("t"), &cx)?.columns;
            at(1)?;
            assert_eq!(session.estimate(&table("t"), &cx)?.rows, Some(2), "{change} at {step}");
            at(2)?;
            let mut scan = scan(&table("t"), columns, None);
            scan.max_batch_rows = 1;
            let mut stream = session.scan(&scan, &cx)?;
            let mut found = texts(&stream.next(&cx)?.context("a row")?);
            at(3)?;
            while let Some(batch) = stream.next(&cx)? {
                found.extend(texts(&batch));
            }
            assert_eq!(found, [["1", "x"], ["2", "y"]], "{change} at {step}");
            drop(stream);
            assert_eq!(rows(&mut *session, &db)?.len(), 2, "the session still reads its snapshot");
        }
    }
    Ok(())
}

#[test]
fn without_a_snapshot_each_scan_is_of_one_state_and_as_planned() -> Result<()> {
    for change in CHANGES {
        let db = small()?;
        let cx = db.token.cx();
        let mut request = db.request();
        request.snapshot = Snapshot::None;
        let mut session = db.open(request)?.sessions.remove(0);
        let mut planned = scan_of(&mut *session, &table("t"), &cx)?;
        planned.max_batch_rows = 1;
        let mut stream = session.scan(&planned, &cx)?;
        db.writer()?.execute_batch(change)?;
        let mut found = Vec::new();
        while let Some(batch) = stream.next(&cx)? {
            found.extend(texts(&batch));
        }
        assert_eq!(found, [["1", "x"], ["2", "y"]], "{change}");
        drop(stream);
        // The next one sees the change: all of it, or an error.
        let again = session.scan(&planned, &cx).map(drop);
        match change {
            _ if change.contains("RENAME") => {
                assert_eq!(again.expect_err("renamed").kind(), ErrorKind::Schema, "{change}");
            }
            "DROP TABLE t" => assert_eq!(again.expect_err("dropped").kind(), ErrorKind::NotFound),
            _ => {
                let rows: Vec<_> = read(&mut *session, &planned, &cx)?.iter().flat_map(texts).collect();
                assert!(rows.contains(&vec!["7".to_owned(), "new".to_owned()]), "{change}: {rows:?}");
            }
        }
        drop(session);
        // No transaction stays open that would keep a writer from cleaning up.
        let left: i64 = db.writer()?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        assert_eq!(left, 0);
    }
    Ok(())
}

#[test]
fn a_table_that_was_waited_for_is_the_new_one() -> Result<()> {
    for snapshot in [Snapshot::New, Snapshot::None] {
        let db = Db::new("CREATE TABLE t(a INT); INSERT INTO t VALUES (1)")?;
        let mut request = db.request();
        request.snapshot = snapshot;
        let writer = db.writer()?;
        writer.execute_batch("BEGIN EXCLUSIVE; DROP TABLE t; CREATE TABLE t(x TEXT, y INT)")?;
        let mut session = std::thread::scope(|scope| {
            scope.spawn(move || {
                writer.execute_batch("INSERT INTO t VALUES ('new', 1), ('newer', 2)").expect("inserted");
                std::thread::sleep(Duration::from_millis(200));
                writer.execute_batch("COMMIT").expect("committed");
            });
            db.open(request)
        })?
        .sessions
        .remove(0);
        assert_eq!(rows(&mut *session, &db)?, [["new", "1"], ["newer", "2"]]);
    }
    Ok(())
}
