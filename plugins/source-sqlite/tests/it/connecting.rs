//! Files that are there, are not, are something else, or are locked; and the connector as a host sees it.
//! It must not test values.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rivet_plugin_api::{ErrorKind, FilePath, Retry, Secret, Snapshot};
use rivet_source_sqlite::SqliteOptions;

use crate::fixture::{Db, read, scan_of, table};

#[test]
fn a_missing_file_is_named_and_not_made() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a)")?;
    for (name, kind) in [
        ("missing.db", ErrorKind::NotFound),
        ("no/folder.db", ErrorKind::NotFound),
        ("t.db/x", ErrorKind::NotFound),
        (":memory:", ErrorKind::NotFound),
        (".", ErrorKind::Config),
        ("text", ErrorKind::Config),
    ] {
        std::fs::write(db.dir.path().join("text"), "this is no database, however long it may be".repeat(100))?;
        let mut request = db.request();
        let path = db.dir.path().join(name).to_string_lossy().into_owned();
        request.options.path = Some(FilePath::new(&path));
        let error = db.open(request).err().context(name)?;
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(&path) && error.hint_text().is_some(), "{name}: {error}");
    }
    let mut names: Vec<_> = std::fs::read_dir(db.dir.path())?.map(|e| Ok(e?.file_name())).collect::<Result<_>>()?;
    names.sort();
    assert_eq!(names, ["t.db", "text"]);
    Ok(())
}

#[test]
fn keys_that_mean_nothing_to_a_file_are_refused() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a)")?;
    let secret = "sqlite:///nowhere/s3cret.db?key=s3cret";
    let mut requests = [db.request(), db.request(), db.request(), db.request()];
    requests[0].connection.host = Some("localhost".to_owned());
    requests[1].connection.url = Some(Secret::new("sqlite:t.db".to_owned()));
    requests[2].options.path = None;
    (requests[3].options, requests[3].connection.url) =
        (SqliteOptions::default(), Some(Secret::new(secret.to_owned())));
    for request in requests {
        let error = db.open(request).err().context("refused")?;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "sqlite.path"), "{error}");
        assert!(error.hint_text().is_some() && !format!("{error:?}").contains("s3cret"));
    }
    Ok(())
}

#[test]
fn urls_open_files() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT); INSERT INTO t VALUES (1)")?;
    let odd = db.dir.path().join("ö d%d?.db");
    std::fs::copy(db.path(), &odd)?;
    let cx = db.token.cx();
    for (url, path) in [
        (format!("sqlite://{}", db.path().display()), db.path()),
        (format!("sqlite:{}", db.path().display()), db.path()),
        (format!("file://{}?immutable=1", db.path().display()), db.path()),
        (format!("sqlite://{}/%C3%B6%20d%25d%3F.db?mode=ro", db.dir.path().display()), odd.clone()),
    ] {
        let mut request = db.request();
        (request.options.path, request.connection.url) = (None, Some(Secret::new(url.clone())));
        let mut group = db.open(request).with_context(|| url.clone())?;
        assert_eq!(group.snapshot.server, path.canonicalize()?.to_string_lossy());
        let scan = scan_of(&mut *group.sessions[0], &table("t"), &cx)?;
        assert_eq!(read(&mut *group.sessions[0], &scan, &cx)?.len(), 1);
    }
    Ok(())
}

#[test]
fn a_lock_is_waited_for_and_the_wait_can_be_cancelled() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT)")?;
    let writer = db.writer()?;
    writer.execute_batch("BEGIN EXCLUSIVE")?;
    let mut request = db.request();
    request.limits.lock_timeout_ms = 200;
    let started = Instant::now();
    let error = db.open(request).err().context("locked")?;
    assert_eq!(
        (error.kind(), error.code(), error.retry_class()),
        (ErrorKind::Conflict, "sqlite.locked", Retry::SameSession)
    );
    assert!((150..2_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    // 0 = as long as it takes.
    let mut request = db.request();
    request.limits.lock_timeout_ms = 0;
    let started = Instant::now();
    let opened = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            db.token.cancel();
        });
        db.open(request)
    });
    assert_eq!(opened.err().context("cancelled")?.kind(), ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn a_wait_ends_when_the_writer_does() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT)")?;
    let writer = db.writer()?;
    writer.execute_batch("BEGIN EXCLUSIVE")?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            writer.execute_batch("INSERT INTO t VALUES (1); COMMIT").expect("committed");
        });
        assert_eq!(db.rows(&table("t")).expect("waited").len(), 1);
    });
    Ok(())
}

#[test]
fn a_session_does_not_join_another() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a)")?;
    let mut request = db.request();
    request.snapshot = Snapshot::Join("x".to_owned());
    let error = db.open(request).err().context("no such thing")?;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "snapshot.lost"));
    Ok(())
}

#[test]
fn a_writer_that_died_leaves_a_journal_that_is_named() -> Result<()> {
    // A hot journal: the database and its journal copied in the middle of a transaction that has spilled.
    let db = Db::new("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(2000000))")?;
    let crashed = db.dir.path().join("crashed.db");
    let writer = db.writer()?;
    writer
        .execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE t SET a = randomblob(2000000)")?;
    std::fs::copy(db.path(), &crashed)?;
    std::fs::copy(db.dir.path().join("t.db-journal"), db.dir.path().join("crashed.db-journal"))?;
    let mut request = db.request();
    request.options.path = Some(FilePath::new(&crashed));
    let error = db.open(request).err().context("needs a writer")?;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "sqlite.needs_recovery"), "{error}");
    assert!(error.hint_text().is_some());
    Ok(())
}

#[test]
fn immutable_is_refused_where_rows_are_beside_the_file() -> Result<()> {
    // A WAL that was not written back, beside the database: a copy of both while the writer lives.
    let db = Db::new("PRAGMA journal_mode = WAL; CREATE TABLE t(a INT); INSERT INTO t VALUES (1)")?;
    let writer = db.writer()?;
    writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (2)")?;
    let copy = db.dir.path().join("copy.db");
    let beside = |suffix: &str| db.dir.path().join(format!("copy.db{suffix}"));
    std::fs::copy(db.path(), &copy)?;
    std::fs::copy(db.dir.path().join("t.db-wal"), beside("-wal"))?;
    let open = |parameters: &str| {
        let mut request = db.request();
        request.options.path = None;
        request.connection.url = Some(Secret::new(format!("file:{}{parameters}", copy.display())));
        db.open(request)
    };
    let rows = |parameters: &str| -> Result<usize> {
        let cx = db.token.cx();
        let mut session = open(parameters)?.sessions.remove(0);
        let scan = scan_of(&mut *session, &table("t"), &cx)?;
        Ok(read(&mut *session, &scan, &cx)?.iter().map(|b| b.num_rows()).sum())
    };
    let refused = |parameters: &str, name: &str| -> Result<()> {
        let error = open(parameters).err().context(name.to_owned())?;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "sqlite.path"), "{error}");
        assert!(error.message().contains(name) && error.message().contains("immutable=1"), "{error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("copy both")), "{error}");
        Ok(())
    };
    refused("?immutable=1", "copy.db-wal")?;
    refused("?mode=ro&immutable=1", "copy.db-wal")?;
    assert_eq!(rows("?mode=ro")?, 2, "both rows, from the file and its WAL");
    // Without the WAL the file is what it is; an empty one holds nothing.
    std::fs::write(beside("-wal"), "")?;
    assert_eq!(rows("?immutable=1")?, 1);
    std::fs::remove_file(beside("-wal"))?;
    // A journal with a header is to be rolled back; one that is kept for reuse begins with zeros.
    std::fs::write(beside("-journal"), [0_u8; 512])?;
    assert_eq!(rows("?immutable=1")?, 1);
    std::fs::write(beside("-journal"), [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7])?;
    refused("?immutable=1", "copy.db-journal")
}

#[test]
fn the_hint_for_a_folder_that_cannot_be_written_loses_no_rows() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let db = Db::new("PRAGMA journal_mode = WAL; CREATE TABLE t(a INT); INSERT INTO t VALUES (1)")?;
    let writer = db.writer()?;
    writer.execute_batch("INSERT INTO t VALUES (2)")?;
    let dir = db.dir.path().join("closed");
    std::fs::create_dir(&dir)?;
    let copy = dir.join("copy.db");
    std::fs::copy(db.path(), &copy)?;
    std::fs::copy(db.dir.path().join("t.db-wal"), dir.join("copy.db-wal"))?;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o555))?;
    let mut request = db.request();
    request.options.path = Some(FilePath::new(&copy));
    let cx = db.token.cx();
    let opened = db.open(request).and_then(|mut group| {
        let scan = scan_of(&mut *group.sessions[0], &table("t"), &cx)?;
        read(&mut *group.sessions[0], &scan, &cx).map(|batches| batches.iter().map(|b| b.num_rows()).sum::<usize>())
    });
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))?;
    match opened {
        // Root writes where it likes.
        Ok(n_rows) => assert_eq!(n_rows, 2),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
            let hint = error.hint_text().context("a hint")?;
            assert!(hint.contains("-wal") && hint.contains("only where there is no `-wal`"), "{hint}");
        }
    }
    Ok(())
}

#[test]
fn a_damaged_file_is_named() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(a TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT 'row ' || i FROM n",
    )?;
    let mut bytes = std::fs::read(db.path())?;
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xff);
    std::fs::write(db.path(), bytes)?;
    let error = db.rows(&table("t")).expect_err("damaged");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "sqlite.corrupt"), "{error}");
    Ok(())
}

#[test]
fn the_connector_is_registered_and_works_through_the_tables() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT); INSERT INTO t VALUES (1), (2)")?;
    let cx = db.token.cx();
    let linked = rivet_plugin_api::wire::register::linked()?;
    let sqlite = linked.iter().find(|c| c.info().name == "sqlite").context("registered")?;
    let request = serde_json::json!({"options": {"path": db.path()}, "n_sessions": 2});
    let mut group = sqlite.open_group(&request, &cx)?;
    let session = &mut *group.sessions[0];
    assert!(session.health(&cx)?.server_version.starts_with("SQLite 3."));
    let scan = scan_of(session, &table("t"), &cx)?;
    assert_eq!(read(session, &scan, &cx)?[0].num_rows(), 2);
    let bad = serde_json::json!({"options": {"pth": "x"}, "n_sessions": 1});
    assert_eq!(sqlite.open_group(&bad, &cx).err().context("unknown option")?.kind(), ErrorKind::Config);
    Ok(())
}
