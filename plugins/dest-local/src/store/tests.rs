//! The store's contract: staging, publishing, idempotence, failure.

use anyhow::{Context, Result};
use rivet_plugin_api::{CancelToken, Destination, ErrorKind, PutMode, Store};

use crate::{Local, LocalOptions};

struct Fixture {
    dir: tempfile::TempDir,
    store: Box<dyn Store>,
    token: CancelToken,
}

fn fixture() -> Result<Fixture> {
    let dir = tempfile::tempdir()?;
    let token = CancelToken::new();
    let path = dir.path().join("a/b").to_string_lossy().into_owned();
    let store = Local::open(LocalOptions { path }, &token.cx())?;
    Ok(Fixture { dir, store, token })
}

impl Fixture {
    fn prepare(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let cx = self.token.cx();
        let mut upload = self.store.begin(name, &cx)?;
        upload.write(bytes, &cx)?;
        Ok(upload.prepare(&cx)?)
    }

    fn files(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.dir.path().join("a/b"))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

#[test]
fn a_prepared_part_is_invisible_to_a_glob_until_published() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let token = f.prepare("x.parquet", b"hello")?;
    assert_eq!(f.files()?, ["x.parquet.staged"]);
    assert!(f.store.list("", &cx)?.is_empty() && f.store.head("x.parquet", &cx)?.is_none());
    for _ in 0..2 {
        let facts = f.store.publish(&token, &cx)?;
        assert_eq!((facts.name.as_str(), facts.bytes), ("x.parquet", 5));
        assert_eq!(std::fs::read(&facts.location)?, b"hello");
    }
    assert_eq!(f.files()?, ["x.parquet"]);
    f.store.discard(&token, &cx)?;
    assert_eq!(f.store.list("x", &cx)?.len(), 1, "a published part is left alone");
    let reader = f.store.open("x.parquet", &cx)?;
    let mut buffer = [0; 10];
    assert_eq!((reader.len(), reader.read_at(1, &mut buffer)?), (5, 4));
    assert_eq!(&buffer[..4], b"ello");
    Ok(())
}

#[test]
fn discarding_and_dropping_leave_nothing() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let token = f.prepare("x.parquet", b"hello")?;
    f.store.discard(&token, &cx)?;
    f.store.discard(&token, &cx)?;
    let error = f.store.publish(&token, &cx).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let mut upload = f.store.begin("y.parquet", &cx)?;
    upload.write(b"half", &cx)?;
    drop(upload);
    assert!(f.files()?.is_empty());
    Ok(())
}

#[test]
fn nothing_is_overwritten() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let token = f.prepare("x.parquet", b"hello")?;
    f.store.publish(&token, &cx)?;
    let error = f.store.begin("x.parquet", &cx).err().context("it is there")?;
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(!f.store.put("x.parquet", b"other", PutMode::IfAbsent, &cx)?);
    let late = f.prepare("z.parquet", b"12345")?;
    std::fs::write(f.dir.path().join("a/b/z.parquet"), b"somebody else's")?;
    let error = f.store.publish(&late, &cx).expect_err("the name is taken");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(std::fs::read(f.dir.path().join("a/b/z.parquet"))?, b"somebody else's");
    Ok(())
}

#[test]
fn a_staged_file_of_a_dead_attempt_is_replaced() -> Result<()> {
    let f = fixture()?;
    std::fs::write(f.dir.path().join("a/b/x.parquet.staged"), b"remains")?;
    let token = f.prepare("x.parquet", b"new")?;
    let facts = f.store.publish(&token, &f.token.cx())?;
    assert_eq!(std::fs::read(facts.location)?, b"new");
    Ok(())
}

#[test]
fn small_objects_replace_each_other_whole() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    assert!(f.store.put("_SUCCESS", b"one", PutMode::Replace, &cx)?);
    assert!(f.store.put("_SUCCESS", b"two", PutMode::Replace, &cx)?);
    assert_eq!(f.files()?, ["_SUCCESS"]);
    f.store.probe(&cx)?;
    f.store.delete("_SUCCESS", &cx)?;
    f.store.delete("_SUCCESS", &cx)?;
    assert!(f.files()?.is_empty());
    Ok(())
}

#[test]
fn a_planted_link_is_not_written_through() -> Result<()> {
    let f = fixture()?;
    let outside = f.dir.path().join("outside");
    std::fs::write(&outside, b"precious")?;
    std::os::unix::fs::symlink(&outside, f.dir.path().join("a/b/x.parquet.staged"))?;
    std::os::unix::fs::symlink(&outside, f.dir.path().join("a/b/y.parquet"))?;
    let token = f.prepare("x.parquet", b"new")?;
    f.store.publish(&token, &f.token.cx())?;
    assert!(f.store.begin("y.parquet", &f.token.cx()).is_err());
    assert_eq!(std::fs::read(&outside)?, b"precious");
    Ok(())
}
