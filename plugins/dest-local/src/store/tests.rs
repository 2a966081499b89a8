//! The store's contract: staging, publishing, idempotence, crashes, and names that lead elsewhere.
//! It must not need a privilege or a mount.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rivet_plugin_api::{CancelToken, Destination, ErrorKind, FilePath, PutMode, Retry, Store};

use crate::{Local, LocalOptions};

pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub store: Box<dyn Store>,
    pub token: CancelToken,
}

pub fn fixture() -> Result<Fixture> {
    let dir = tempfile::tempdir()?;
    let token = CancelToken::new();
    let store = open(dir.path().join("a/b"), &token)?;
    Ok(Fixture { dir, store, token })
}

fn open(path: PathBuf, token: &CancelToken) -> Result<Box<dyn Store>> {
    Ok(Local::open(LocalOptions { path: FilePath::new(path) }, &token.cx())?)
}

impl Fixture {
    pub fn prepare(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let cx = self.token.cx();
        let mut upload = self.store.begin(name, &cx)?;
        upload.write(bytes, &cx)?;
        Ok(upload.prepare(&cx)?)
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("a/b")
    }

    /// Every file below the root, hidden and staged ones too.
    pub fn files(&self) -> Result<Vec<String>> {
        let (mut names, mut folders) = (Vec::new(), vec![self.root()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else {
                    names.push(path.strip_prefix(self.root())?.to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        Ok(names)
    }

    fn listed(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names: Vec<_> = self.store.list(prefix, &self.token.cx())?.into_iter().map(|f| f.name).collect();
        names.sort();
        Ok(names)
    }
}

/// What a shell's `**/*.parquet` finds.
fn glob(f: &Fixture) -> Result<Vec<String>> {
    let script = "import glob,sys; print(*sorted(glob.glob('**/*.parquet', root_dir=sys.argv[1], recursive=True)))";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(f.root()).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn a_prepared_part_is_invisible_until_published() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let name = "day=2026-01-01/x.parquet";
    let token = f.prepare(name, b"hello")?;
    assert_eq!(f.files()?, ["day=2026-01-01/x.parquet.rivet.staged"]);
    assert!(glob(&f)?.is_empty());
    assert!(f.listed("")?.is_empty() && f.store.head(name, &cx)?.is_none());
    assert_eq!(f.store.open(name, &cx).err().context("invisible")?.kind(), ErrorKind::NotFound);
    for _ in 0..2 {
        let facts = f.store.publish(&token, &cx)?;
        assert_eq!((facts.name.as_str(), facts.bytes), (name, 5));
        assert_eq!(std::fs::read(&facts.location)?, b"hello");
        assert_eq!(f.store.head(name, &cx)?, Some(facts));
    }
    assert_eq!(glob(&f)?, [name]);
    for _ in 0..2 {
        f.store.discard(&token, &cx)?;
    }
    assert_eq!(f.listed("day=")?, [name], "a published part is left alone");
    let reader = f.store.open(name, &cx)?;
    let mut buffer = [0; 10];
    assert_eq!((reader.len(), reader.read_at(1, &mut buffer)?), (5, 4));
    assert_eq!(&buffer[..4], b"ello");
    assert_eq!(reader.read_at(9, &mut buffer)?, 0);
    Ok(())
}

#[test]
fn discarding_aborting_and_dropping_leave_nothing() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let token = f.prepare("x.parquet", b"hello")?;
    for _ in 0..2 {
        f.store.discard(&token, &cx)?;
    }
    let error = f.store.publish(&token, &cx).err().context("it is gone")?;
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "local.part_lost"));
    let mut dropped = f.store.begin("p/y.parquet", &cx)?;
    dropped.write(b"half", &cx)?;
    drop(dropped);
    let mut aborted = f.store.begin("z.parquet", &cx)?;
    aborted.write(&vec![7; 1 << 20], &cx)?;
    aborted.abort(&cx)?;
    assert!(f.files()?.is_empty());
    assert!(aborted.write(b"more", &cx).is_err() && aborted.prepare(&cx).is_err());
    drop(aborted);
    assert!(f.files()?.is_empty());
    Ok(())
}

#[test]
fn writes_of_every_size_arrive_in_order() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let mut upload = f.store.begin("x", &cx)?;
    let mut expected = Vec::new();
    for (i, len) in [1, 0, 100_000, 127_999, 131_072, 5, 3_000_000, 17].into_iter().enumerate() {
        let chunk = vec![u8::try_from(i)?; len];
        upload.write(&chunk, &cx)?;
        expected.extend(chunk);
    }
    let token = upload.prepare(&cx)?;
    drop(upload);
    let facts = f.store.publish(&token, &cx)?;
    assert_eq!(facts.bytes, expected.len() as u64);
    assert!(std::fs::read(facts.location)? == expected);
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
    for theirs in ["somebody-elses", "12345"] {
        let name = format!("{theirs}.parquet");
        let late = f.prepare(&name, b"01234")?;
        let path = f.root().join(&name);
        std::fs::write(&path, theirs)?;
        let error = f.store.publish(&late, &cx).err().context("the name is taken")?;
        assert_eq!((error.kind(), error.retry_class()), (ErrorKind::Conflict, Retry::Never));
        assert_eq!(std::fs::read(&path)?, theirs.as_bytes());
        f.store.discard(&late, &cx)?;
        if theirs.len() != 5 {
            let error = f.store.publish(&late, &cx).err().context("another size")?;
            assert_eq!(error.kind(), ErrorKind::Conflict);
        }
    }
    Ok(())
}

#[test]
fn what_a_dead_process_left_is_finished_or_replaced() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    // Died while writing; the next attempt takes the same name.
    let mut dead = f.store.begin("x.parquet", &cx)?;
    dead.write(&vec![1; 1 << 20], &cx)?;
    std::mem::forget(dead);
    assert_eq!(f.files()?, ["x.parquet.rivet.staged"]);
    let token = f.prepare("x.parquet", b"new")?;
    // Died before publishing: another store finishes.
    let later = open(f.root(), &f.token)?;
    assert_eq!(std::fs::read(later.publish(&token, &cx)?.location)?, b"new");
    // Died between the two steps of a publish by link.
    let token = f.prepare("y.parquet", b"both")?;
    std::fs::hard_link(f.root().join("y.parquet.rivet.staged"), f.root().join("y.parquet"))?;
    later.publish(&token, &cx)?;
    assert_eq!(f.files()?, ["x.parquet", "y.parquet"]);
    // The staged file is not what was prepared.
    let token = f.prepare("z.parquet", b"whole")?;
    std::fs::write(f.root().join("z.parquet.rivet.staged"), b"cut")?;
    let error = later.publish(&token, &cx).err().context("it was changed")?;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "local.part_changed"));
    Ok(())
}

#[test]
fn small_objects_replace_each_other_whole() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    assert!(f.store.put("m/_SUCCESS", b"one", PutMode::IfAbsent, &cx)?);
    assert!(!f.store.put("m/_SUCCESS", b"two", PutMode::IfAbsent, &cx)?);
    assert_eq!(std::fs::read(f.root().join("m/_SUCCESS"))?, b"one");
    assert!(f.store.put("m/_SUCCESS", b"three", PutMode::Replace, &cx)?);
    assert_eq!(std::fs::read(f.root().join("m/_SUCCESS"))?, b"three");
    f.store.probe(&cx)?;
    assert_eq!(f.files()?, ["m/_SUCCESS"]);
    for _ in 0..2 {
        f.store.delete("m/_SUCCESS", &cx)?;
        f.store.delete("not/there", &cx)?;
    }
    assert!(f.files()?.is_empty());
    std::fs::create_dir(f.root().join("m"))?;
    let put = |mode| f.store.put("m", b"a folder has this name", mode, &cx);
    assert!(put(PutMode::Replace).is_err() && put(PutMode::IfAbsent).is_err());
    assert!(f.files()?.is_empty(), "no temporary file stays");
    Ok(())
}

#[test]
fn of_many_who_put_at_once_one_wins() -> Result<()> {
    let f = fixture()?;
    let wins = std::thread::scope(|scope| {
        let put = |i: u8| f.store.put("lock", &[i; 1000], PutMode::IfAbsent, &f.token.cx());
        let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || put(i))).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).collect::<Result<Vec<_>, _>>()
    })?;
    assert_eq!(wins.iter().filter(|won| **won).count(), 1);
    let body = std::fs::read(f.root().join("lock"))?;
    assert!(wins[usize::from(body[0])] && body == [body[0]; 1000]);
    assert_eq!(f.files()?, ["lock"]);
    Ok(())
}

#[test]
fn listing_shows_objects_alone() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    for name in ["a", "ab/c%20d", "ab/e", "b/%C3%BC"] {
        f.store.put(name, b"1", PutMode::Replace, &cx)?;
    }
    f.prepare("ab/staged", b"1")?;
    for foreign in ["no object", "a.1-0.tmp", "%zz"] {
        std::fs::write(f.root().join(foreign), b"1")?;
    }
    symlink(f.root().join("a"), f.root().join("link"))?;
    symlink("/etc", f.root().join("etc"))?;
    for (prefix, names) in [
        ("", vec!["a", "ab/c%20d", "ab/e", "b/%C3%BC"]),
        ("a", vec!["a", "ab/c%20d", "ab/e"]),
        ("ab/", vec!["ab/c%20d", "ab/e"]),
        ("ab/e", vec!["ab/e"]),
        ("b/%C3%BC", vec!["b/%C3%BC"]),
        ("c", vec![]),
        ("etc/", vec![]),
    ] {
        assert_eq!(f.listed(prefix)?, names, "{prefix}");
        for name in names {
            assert!(f.store.head(name, &cx)?.is_some() && f.store.open(name, &cx).is_ok(), "{name}");
        }
    }
    Ok(())
}

#[test]
fn planted_links_lead_nowhere() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let outside = f.dir.path().join("outside");
    std::fs::create_dir(&outside)?;
    std::fs::write(outside.join("file"), b"precious")?;
    for (link, target) in [
        ("x.rivet.staged", "file"),
        ("y", "file"),
        ("z", "file"),
        ("dangling", "nowhere"),
        ("out", ""),
        ("w.rivet.staged", "new"),
    ] {
        symlink(outside.join(target), f.root().join(link))?;
    }
    for name in ["x", "w"] {
        let token = f.prepare(name, b"new")?;
        f.store.publish(&token, &cx)?;
    }
    for name in ["y", "dangling"] {
        assert_eq!(f.store.begin(name, &cx).err().context(name)?.kind(), ErrorKind::Conflict);
    }
    assert!(f.store.put("z", b"new", PutMode::Replace, &cx)?, "the link is replaced, not its target");
    assert!(f.store.head("y", &cx)?.is_none());
    assert_eq!(f.store.open("y", &cx).err().context("a link")?.kind(), ErrorKind::NotFound);
    let error = f.store.begin("out/new", &cx).err().context("a link as folder")?;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "local.path"));
    assert!(error.hint_text().is_some());
    assert!(f.store.put("out/new", b"", PutMode::Replace, &cx).is_err());
    assert!(f.store.open("out/file", &cx).is_err() && f.store.delete("out/file", &cx).is_err());
    f.store.delete("y", &cx)?;
    assert_eq!(std::fs::read(outside.join("file"))?, b"precious");
    assert_eq!(std::fs::read_dir(&outside)?.count(), 1);
    Ok(())
}

#[test]
fn tokens_of_others_are_refused() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    std::fs::write(f.dir.path().join("a/victim.rivet.staged"), b"x")?;
    for token in [
        "",
        "{}",
        r#"{"name":"../victim","staged":"victim.rivet.staged","bytes":1}"#,
        r#"{"name":"x","staged":"../victim.rivet.staged","bytes":1}"#,
    ] {
        assert!(f.store.publish(token, &cx).is_err() && f.store.discard(token, &cx).is_err(), "{token}");
    }
    assert!(f.dir.path().join("a/victim.rivet.staged").exists());
    Ok(())
}

#[test]
fn a_cancelled_upload_stops_and_leaves_nothing() -> Result<()> {
    let f = fixture()?;
    let mut upload = f.store.begin("x", &f.token.cx())?;
    upload.write(b"1", &f.token.cx())?;
    f.token.cancel();
    for result in [upload.write(b"2", &f.token.cx()), upload.prepare(&f.token.cx()).map(drop)] {
        assert_eq!(result.err().context("cancelled")?.kind(), ErrorKind::Cancelled);
    }
    drop(upload);
    assert!(f.files()?.is_empty());
    Ok(())
}

#[test]
fn paths_that_are_no_folder_are_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("file"), b"")?;
    let long = "x".repeat(300);
    for (path, code) in [("file", "local.path"), ("file/below", "local.path"), (long.as_str(), "local.name")] {
        let error = open(dir.path().join(path), &CancelToken::new()).err().context("refused")?;
        let error = error.downcast::<rivet_plugin_api::PluginError>()?;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, code), "{error}");
        assert!(error.message().contains(path.trim_end_matches("/below")) && error.hint_text().is_some());
    }
    let empty = Local::open(LocalOptions { path: FilePath::default() }, &CancelToken::new().cx());
    assert_eq!(empty.err().context("refused")?.kind(), ErrorKind::Config);
    Ok(())
}

#[test]
fn a_probe_leaves_no_folder_but_those_that_were_there_or_are_in_use() -> Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::create_dir(dir.path().join("there"))?;
    let token = CancelToken::new();
    let probed = |path: &str| -> Result<Box<dyn Store>> {
        let store = open(dir.path().join(path), &token)?;
        store.probe(&token.cx())?;
        Ok(store)
    };
    drop(probed("there/a/b")?);
    assert!(!dir.path().join("there/a").exists());
    assert!(dir.path().join("there").exists());
    let used = probed("there/c/d")?;
    used.put("x", b"1", PutMode::Replace, &token.cx())?;
    drop(used);
    assert!(dir.path().join("there/c/d/x").exists());
    drop(open(dir.path().join("there/e"), &token)?);
    assert!(dir.path().join("there/e").exists(), "opened to be written to");
    Ok(())
}

#[test]
fn a_sweep_takes_what_is_staged_under_a_prefix_and_nothing_else() -> Result<()> {
    let fixture = fixture()?;
    let cx = fixture.token.cx();
    for name in ["t-1-a.parquet", "t-1-b/c.parquet", "t-2-a.parquet", "tt-1-a.parquet"] {
        fixture.prepare(name, b"x")?;
    }
    fixture.store.publish(&fixture.prepare("t-1-visible.parquet", b"x")?, &cx)?;
    for foreign in ["t-1-a.tmp", "t-1-notes.txt", "t-1-%zz.rivet.staged"] {
        std::fs::write(fixture.root().join(foreign), "x")?;
    }
    symlink("/etc/passwd", fixture.root().join("t-1-link.rivet.staged"))?;
    let before = fixture.files()?;
    assert_eq!(fixture.store.sweep("t-1-", &cx)?, 2);
    let gone: Vec<String> =
        before.into_iter().filter(|name| !fixture.files().is_ok_and(|f| f.contains(name))).collect();
    assert_eq!(gone, ["t-1-a.parquet.rivet.staged", "t-1-b/c.parquet.rivet.staged"]);
    assert_eq!(fixture.store.sweep("t-1-", &cx)?, 0);
    Ok(())
}
