//! What a run needs is moved or removed while it works: it notices, says so, and the next one makes it good.
//! Must not know how it is noticed.

use std::fs;
use std::process::Child;
use std::time::Duration;

use anyhow::{Result, ensure};
use rivet_test_e2e::{Workspace, files_below, finish};
use rivet_test_servers::oracle;

use crate::reader::Seen;
use crate::settled::{ensure_rows, ids_up_to, phases};
use crate::wait_until;

const N: u64 = 20_000;

/// A run of some seconds that has staged its first part.
fn under_way() -> Result<(Workspace, Child)> {
    let workspace = Workspace::new(
        "source: {type: sqlite, path: data.db, tuning: {profile: fast, batch_size: 1000, throttle_ms: 150}}\n\
         exports:\n  - {name: t, table: t, max_file_size: 64KB, destination: {type: local, path: out}}\n",
    )?;
    const FILL: &str = "
import hashlib, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, h text)')
con.executemany('insert into t values (?, ?)',
    ((i, hashlib.sha256(str(i).encode()).hexdigest()) for i in range(1, int(sys.argv[2]) + 1)))
con.commit()
";
    oracle::run(FILL, &[&workspace.path().join("data.db").display().to_string(), &N.to_string()])?;
    let child = workspace.spawn(&["run"])?;
    let out = workspace.path().join("out");
    wait_until("a part is staged", Duration::from_secs(60), || Ok(files_below(&out)?.len() > 1))?;
    Ok((workspace, child))
}

fn next_is_whole(workspace: &Workspace, expected: &[&str]) -> Result<()> {
    workspace.run()?.expect(0)?;
    let seen = Seen::look(&workspace.path().join("out"))?;
    ensure!(seen.staged.is_empty() && seen.unfinished.is_empty() && seen.loose.is_empty(), "{seen:?}");
    ensure_rows(&[("the next run", &seen.parts)], &ids_up_to(N))?;
    assert_eq!(phases(&workspace.path().join(".rivet_state.db"))?, expected);
    Ok(())
}

#[test]
fn a_folder_that_is_renamed_is_no_success() -> Result<()> {
    for replaced in [false, true] {
        let (workspace, child) = under_way()?;
        let (out, moved) = (workspace.path().join("out"), workspace.path().join("moved"));
        fs::rename(&out, &moved)?;
        if replaced {
            fs::create_dir(&out)?;
        }
        let ran = finish(child)?.expect(2)?;
        ensure!(
            ran.stderr.contains("was moved, removed or replaced") && ran.stderr.contains("hint: "),
            "{}",
            ran.stderr
        );
        ensure!(files_below(&out)?.is_empty() && files_below(&moved)?.is_empty(), "{:?}", files_below(&moved)?);
        next_is_whole(&workspace, &["failed", "finished"])?;
    }
    Ok(())
}

#[test]
fn a_folder_that_is_removed_is_an_error_and_no_more() -> Result<()> {
    let (workspace, child) = under_way()?;
    fs::remove_dir_all(workspace.path().join("out"))?;
    let ran = finish(child)?.expect(2)?;
    ensure!(ran.stderr.contains("was moved, removed or replaced") && ran.stderr.contains("hint: "), "{}", ran.stderr);
    next_is_whole(&workspace, &["failed", "finished"])
}

#[test]
fn locks_that_are_removed_harm_nobody_who_is_alone() -> Result<()> {
    let (workspace, child) = under_way()?;
    fs::remove_dir_all(workspace.path().join(".rivet_state.db.locks"))?;
    finish(child)?.expect(0)?;
    next_is_whole(&workspace, &["finished", "finished"])
}

#[test]
fn a_run_that_another_one_settles_without_its_lock_is_no_defect() -> Result<()> {
    let (workspace, child) = under_way()?;
    fs::remove_dir_all(workspace.path().join(".rivet_state.db.locks"))?;
    next_is_whole(&workspace, &["abandoned", "finished"])?;
    let ran = finish(child)?.expect(2)?;
    ensure!(ran.stderr.contains("is abandoned") && ran.stderr.contains("locks"), "{}", ran.stderr);
    ensure!(!ran.stderr.contains("defect of rivet"), "{}", ran.stderr);
    // Nothing of it stays, and the other is as it was.
    next_is_whole(&workspace, &["abandoned", "finished", "finished"])
}
