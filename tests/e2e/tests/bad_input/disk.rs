//! Places that cannot be written to, and places that are full.
//! Must not know how a file is written.

use std::fs;

use anyhow::{Result, ensure};
use rivet_test_e2e::{Mount, Workspace, finish};
use rivet_test_servers::oracle;

use crate::{nothing_left, refused, refused_in};

/// A workspace with 4 MB of noise in SQLite and this output path.
fn noise(path: &str) -> Result<Workspace> {
    let text = format!(
        "source: {{type: sqlite, path: data.db, tuning: {{profile: fast, retry_backoff_ms: 10}}}}\n\
         exports: [{{name: t, table: t, destination: {{type: local, path: '{path}'}}}}]\n"
    );
    let place = Workspace::new(&text)?;
    const SCRIPT: &str = "
import os, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, v blob)')
con.executemany('insert into t (v) values (?)', ((os.urandom(1000),) for _ in range(4000)))
con.commit()
";
    oracle::run(SCRIPT, &[&place.path().join("data.db").display().to_string()])?;
    Ok(place)
}

#[test]
fn a_full_disk_is_said_and_left_empty() -> Result<()> {
    let mount = Mount::tmpfs("size=1m")?;
    let place = noise(&mount.path().display().to_string())?;
    refused_in(&place, &mount.path(), 2, &["export 't'", "space"])?;
    // The same place serves when there is room.
    place
        .configure(&fs::read_to_string(place.path().join("rivet.yaml"))?.replace("table: t", "query: select 1 as a"))?;
    place.rivet(&["run"])?.expect(0)?;
    Ok(())
}

#[test]
fn a_full_disk_under_the_state_is_said() -> Result<()> {
    // Full from the start, and in the middle of the run.
    for (size, step) in [("64k", "failed to open the state file"), ("256k", "in the state file")] {
        let place = noise("out")?;
        let text = fs::read_to_string(place.path().join("rivet.yaml"))?;
        place.configure(&format!("{text}state: {{url: small/state.db}}\n"))?;
        fs::create_dir(place.path().join("small"))?;
        let script =
            format!("mount -t tmpfs -o size={size} tmpfs small && head -c 60K /dev/zero >small/filler && exec \"$@\"");
        let ran = finish(place.spawn_under(&["unshare", "-rm", "sh", "-c", &script, "sh"], &["run"])?)?.expect(2)?;
        for part in [step, "disk is full", "hint:"] {
            ensure!(ran.stderr.contains(part), "{size}: {part:?} in {}", ran.stderr);
        }
        nothing_left(&place.path().join("out"))?;
    }
    Ok(())
}

#[test]
fn a_full_disk_under_the_keys_of_unique_columns_is_said() -> Result<()> {
    let text = "source: {type: sqlite, path: data.db, tuning: {profile: fast, memory_mb: 32}}\n\
                exports: [{name: t, table: t, quality: {unique_columns: [id]}, destination: {type: local, path: out}}]\n\
                state: {url: small/state.db}\n";
    let place = Workspace::new(text)?;
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer)')
con.executemany('insert into t values (?)', ((i,) for i in range(150000)))
con.commit()
";
    oracle::run(SCRIPT, &[&place.path().join("data.db").display().to_string()])?;
    fs::create_dir(place.path().join("small"))?;
    let on_small_disk = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs small && exec \"$@\"", "sh"];
    let ran = finish(place.spawn_under(&on_small_disk, &["run"])?)?.expect(2)?;
    for part in ["export 't': failed to keep the keys of `unique_columns`", ".scratch", "No space left", "hint:"] {
        ensure!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
    }
    ensure!(!ran.stderr.contains("clean up"), "the state has room to say so: {}", ran.stderr);
    nothing_left(&place.path().join("out"))?;
    // In memory there is room for them.
    place.configure(&text.replace("memory_mb: 32", "memory_mb: 64"))?;
    finish(place.spawn_under(&on_small_disk, &["run"])?)?.expect(0)?;
    Ok(())
}

#[test]
fn a_read_only_place_is_named() -> Result<()> {
    let mount = Mount::tmpfs("ro")?;
    for path in [mount.path(), mount.path().join("below/it")] {
        let place = noise(&path.display().to_string())?;
        refused_in(&place, &mount.path(), 1, &["export 't'", &mount.path().display().to_string(), "read-only"])?;
    }
    Ok(())
}

#[test]
fn a_path_through_a_file_is_named() -> Result<()> {
    let place = noise("out/file/below")?;
    // `out` stays a folder for the check that nothing is left; the file is outside of it.
    place.configure(&fs::read_to_string(place.path().join("rivet.yaml"))?.replace("out/file", "afile"))?;
    fs::write(place.path().join("afile"), "kept")?;
    refused(&place, 1, &["export 't'", "afile"])?;
    assert_eq!(fs::read_to_string(place.path().join("afile"))?, "kept");
    Ok(())
}
