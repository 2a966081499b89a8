//! Killed at, or refused, each call of the system that changes a file: nothing lost, nothing of ours left after the next run.
//! Must not know what the calls are for.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, finish};
use rivet_test_servers::oracle;

use crate::case::Case;
use crate::settled::{ensure_whole, ids_up_to};

const N: u64 = 12_000;

/// Calls that change files, wherever those are.
const CHANGES: &str = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,ftruncate,flock";
/// Of each call at most so many are tried, evenly spread.
const MOST: u64 = 10;

fn workspace() -> Result<Workspace> {
    let config = "source: {type: sqlite, path: data.db, tuning: {profile: fast, batch_size: 2000}}\n\
         exports:\n  - {name: t, table: t, max_file_size: 128KB, destination: {type: local, path: out}}\n";
    const FILL: &str = "
import hashlib, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, h text)')
con.executemany('insert into t values (?, ?)',
    ((i, hashlib.sha256(str(i).encode()).hexdigest()) for i in range(1, int(sys.argv[2]) + 1)))
con.commit()
";
    let workspace = Workspace::new(config)?;
    oracle::run(FILL, &[&workspace.path().join("data.db").display().to_string(), &N.to_string()])?;
    Ok(workspace)
}

/// The same data once more, in a folder of its own.
fn again(of: &Workspace) -> Result<Workspace> {
    let workspace = Workspace::new(&fs::read_to_string(of.path().join("rivet.yaml"))?)?;
    fs::copy(of.path().join("data.db"), workspace.path().join("data.db"))?;
    Ok(workspace)
}

/// Which calls are looked at: by name, and those that open files in the output folder.
fn filters(workspace: &Workspace) -> [(Vec<String>, &'static str); 2] {
    let out = workspace.path().join("out").display().to_string();
    [(Vec::new(), CHANGES), (vec!["-P".to_owned(), out], "openat")]
}

/// How often one thread makes each call in a run that goes well.
fn counted(of: &Workspace) -> Result<Vec<BTreeMap<String, u64>>> {
    let mut all = Vec::new();
    for i in 0..2 {
        let place = again(of)?;
        let (path, calls) = &filters(&place)[i];
        let log = place.path().join("calls.log").display().to_string();
        let trace = format!("trace={calls}");
        let mut before = vec!["strace", "-f", "-qq", "-e", &trace, "-o", &log];
        before.extend(path.iter().map(String::as_str));
        finish(place.spawn_under(&before, &["run"])?)?.expect(0)?;
        let mut of_threads: BTreeMap<(String, String), u64> = BTreeMap::new();
        for line in fs::read_to_string(&log)?.lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            if let Some((name, _)) = call.trim_start().split_once('(') {
                *of_threads.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
            }
        }
        let mut most: BTreeMap<String, u64> = BTreeMap::new();
        for ((_, name), n) in
            of_threads.into_iter().filter(|((_, name), _)| name.bytes().all(|b| b.is_ascii_alphanumeric()))
        {
            let entry = most.entry(name).or_default();
            *entry = n.max(*entry);
        }
        ensure!(!most.is_empty(), "strace has seen nothing");
        all.push(most);
    }
    Ok(all)
}

/// Runs once for each call and does `what` to it, then runs undisturbed; returns the cases, and how the first runs ended.
fn each_call(what: &str) -> Result<(Vec<Case>, Vec<Option<i32>>)> {
    let of = workspace()?;
    let (mut cases, mut ends) = (Vec::new(), Vec::new());
    for (i, counts) in counted(&of)?.into_iter().enumerate() {
        for (call, n) in counts {
            let step = n.div_ceil(MOST).max(1);
            for pass in (1..=n).step_by(usize::try_from(step)?) {
                let label = format!("{what} at {call} {pass} of {n}");
                let place = again(&of)?;
                let path = filters(&place)[i].0.clone();
                let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{what}:when={pass}"));
                let mut before = vec!["strace", "-f", "-qq", "-e", &trace, "-e", &inject, "-o", "/dev/null"];
                before.extend(path.iter().map(String::as_str));
                let ended = finish(place.spawn_under(&before, &["run"])?).context(label.clone())?;
                ensure!(ended.code != Some(7), "{label}: {}", ended.stderr);
                ensure!(!ended.stderr.contains("defect of rivet"), "{label}: {}", ended.stderr);
                ends.push(ended.code);
                cases.push(Case::settle(label, place)?);
            }
        }
    }
    ensure_whole(&cases, &ids_up_to(N))?;
    Ok((cases, ends))
}

#[test]
fn killed_at_each_call() -> Result<()> {
    let (cases, ends) = each_call("signal=KILL")?;
    ensure!(ends.iter().any(Option::is_none), "nobody was killed");
    // The cases reach what they are for.
    ensure!(cases.iter().any(|c| !c.crashed.unfinished.is_empty()), "no small object was cut short");
    ensure!(cases.iter().any(|c| !c.crashed.staged.is_empty()), "no part was cut short");
    Ok(())
}

#[test]
fn refused_each_call_by_a_full_disk() -> Result<()> {
    let (_, ends) = each_call("error=ENOSPC")?;
    ensure!(ends.contains(&Some(2)) && ends.contains(&Some(0)), "{ends:?}");
    Ok(())
}

#[test]
fn refused_each_call_by_a_broken_disk() -> Result<()> {
    let (_, ends) = each_call("error=EIO")?;
    ensure!(ends.contains(&Some(2)) && ends.contains(&Some(0)), "{ends:?}");
    Ok(())
}
