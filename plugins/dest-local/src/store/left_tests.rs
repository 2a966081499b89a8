//! What others leave or take away: temporary files of dead and living processes, changed parts, a folder that is moved.
//! It must not need a privilege or a mount.

use std::fs::File;

use anyhow::{Context, Result};
use rivet_plugin_api::{ErrorKind, PutMode};

use super::tests::fixture;

#[test]
fn a_sweep_takes_temporary_files_that_nobody_writes() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let dead = ["_SUCCESS.1-0.tmp", "_SUCCESS.t.77777-3.tmp", "m/_SUCCESS.1-0.tmp", "_rivet_probe.1-0.tmp"];
    let living = "_SUCCESS.t.1-4.tmp";
    let foreign = ["_SUCCESS.tmp", "_SUCCESS.a-1.tmp", "_SUCCESS.1-2.tmp.bak", "other.1-0.tmp"];
    std::fs::create_dir(f.root().join("m"))?;
    for name in dead.iter().chain(&foreign).chain(&[living]) {
        std::fs::write(f.root().join(name), "x")?;
    }
    let writer = File::open(f.root().join(living))?;
    writer.lock()?;
    assert_eq!(f.store.sweep("_SUCCESS", &cx)?, 2);
    assert_eq!(f.store.sweep("_SUCCESS", &cx)?, 0);
    assert_eq!(f.store.sweep("m/_SUCC", &cx)?, 1);
    f.store.probe(&cx)?;
    let mut left: Vec<&str> = foreign.into_iter().chain([living]).collect();
    left.sort_unstable();
    assert_eq!(f.files()?, left);
    drop(writer);
    assert_eq!(f.store.sweep("_SUCCESS.t", &cx)?, 1);
    Ok(())
}

#[test]
fn an_object_may_be_called_like_a_temporary_file() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    for name in ["_SUCCESS.tmp", "_SUCCESS.staged"] {
        for mode in [PutMode::IfAbsent, PutMode::Replace] {
            assert!(f.store.put(name, b"x", mode, &cx)?, "{name}");
        }
        assert!(f.store.head(name, &cx)?.is_some(), "{name}");
    }
    assert_eq!(f.store.sweep("_SUCCESS", &cx)?, 0);
    assert_eq!(f.files()?, ["_SUCCESS.staged", "_SUCCESS.tmp"]);
    assert_eq!(f.store.list("", &cx)?.len(), 2);
    Ok(())
}

#[test]
fn folders_that_become_empty_go_and_no_others() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let there = |name: &str| f.root().join(name).is_dir();
    std::fs::create_dir_all(f.root().join("a=3"))?;
    for name in ["a=1/b=1/x", "a=1/y"] {
        f.store.publish(&f.prepare(name, b"x")?, &cx)?;
    }
    f.store.delete("a=1/b=1/x", &cx)?;
    assert!(there("a=1") && !there("a=1/b=1"));
    f.store.delete("a=3/x", &cx)?;
    f.store.delete("a=1/y", &cx)?;
    f.store.discard(&f.prepare("a=2/b=1/x", b"x")?, &cx)?;
    assert!(!there("a=1") && !there("a=2") && there("a=3"), "a=3 was empty before");
    f.prepare("a=2/b=1/x", b"x")?;
    f.prepare("a=2/b=2/other", b"x")?;
    assert_eq!(f.store.sweep("a=*/x", &cx)? + f.store.sweep("a=2/b=1/", &cx)?, 1);
    assert!(there("a=2/b=2") && !there("a=2/b=1") && there(""));
    f.store.put("last", b"x", PutMode::Replace, &cx)?;
    f.store.delete("last", &cx)?;
    assert!(there(""), "the root stays");
    Ok(())
}

#[test]
fn whoever_removes_a_folder_disturbs_nobody_who_begins_in_it() -> Result<()> {
    let f = fixture()?;
    let f = &f;
    let part = |name: &'static str| {
        move || {
            (0..200)
                .try_for_each(|_| f.store.discard(&f.prepare(name, b"x")?, &f.token.cx()).map_err(anyhow::Error::from))
        }
    };
    std::thread::scope(|scope| {
        for thread in [scope.spawn(part("a=1/b=1/x")), scope.spawn(part("a=1/b=1/y"))] {
            thread.join().expect("no panic")?;
        }
        Ok(())
    })
}

#[test]
fn sweeping_disturbs_nobody_who_puts() -> Result<()> {
    let f = fixture()?;
    std::thread::scope(|scope| {
        let put = || (0..50).try_for_each(|_| f.store.put("_SUCCESS", b"x", PutMode::Replace, &f.token.cx()).map(drop));
        let putting = [scope.spawn(put), scope.spawn(put)];
        let sweeping = scope.spawn(|| (0..200).try_for_each(|_| f.store.sweep("_", &f.token.cx()).map(drop)));
        for thread in putting.into_iter().chain([sweeping]) {
            thread.join().expect("no panic")?;
        }
        anyhow::Ok(())
    })?;
    assert_eq!(f.files()?, ["_SUCCESS"]);
    Ok(())
}

#[test]
fn probing_disturbs_nobody_who_probes() -> Result<()> {
    let f = fixture()?;
    std::thread::scope(|scope| {
        let probe = || (0..50).try_for_each(|_| f.store.probe(&f.token.cx()));
        let probing = [scope.spawn(probe), scope.spawn(probe), scope.spawn(probe)];
        for thread in probing {
            thread.join().expect("no panic")?;
        }
        anyhow::Ok(())
    })?;
    assert_eq!(f.files()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_prepared_part_can_be_looked_at_until_it_is_published() -> Result<()> {
    let f = fixture()?;
    let cx = f.token.cx();
    let token = f.prepare("d/x.parquet", b"hello")?;
    let mut bytes = [0; 9];
    let reader = f.store.open_prepared(&token, &cx)?;
    assert_eq!((reader.len(), reader.read_at(0, &mut bytes)?, &bytes[..5]), (5, 5, &b"hello"[..]));
    f.store.publish(&token, &cx)?;
    let gone = f.store.open_prepared(&token, &cx).err().context("it is published")?;
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    std::fs::remove_dir_all(f.root().join("d"))?;
    let gone = f.store.open_prepared(&token, &cx).err().context("its folder is gone")?;
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    for token in ["", "{}", r#"{"name":"../victim","staged":"victim.rivet.staged","bytes":1}"#] {
        assert!(f.store.open_prepared(token, &cx).is_err(), "{token}");
    }
    Ok(())
}

#[test]
fn what_goes_into_a_folder_that_was_moved_is_no_success() -> Result<()> {
    for replaced in [false, true] {
        let f = fixture()?;
        let cx = f.token.cx();
        let token = f.prepare("x.parquet", b"hello")?;
        let moved = f.dir.path().join("moved");
        std::fs::rename(f.root(), &moved)?;
        if replaced {
            std::fs::create_dir(f.root())?;
        }
        let published = f.store.publish(&token, &cx).err().context("the folder is elsewhere")?;
        let put = f.store.put("_SUCCESS", b"x", PutMode::Replace, &cx).err().context("the folder is elsewhere")?;
        let begun = f.store.begin("y.parquet", &cx).err().context("the folder is elsewhere")?;
        for error in [published, put, begun] {
            assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "local.moved"));
            assert!(error.message().contains("a/b") && error.hint_text().is_some());
        }
        // What is there already can still be taken back.
        f.store.discard(&token, &cx)?;
        assert_eq!(std::fs::read_dir(&moved)?.count(), 0);
    }
    // A link that leads to the same folder is no other place.
    let f = fixture()?;
    let token = f.prepare("x.parquet", b"hello")?;
    let moved = f.dir.path().join("moved");
    std::fs::rename(f.root(), &moved)?;
    std::os::unix::fs::symlink(&moved, f.root())?;
    f.store.publish(&token, &f.token.cx())?;
    Ok(())
}
