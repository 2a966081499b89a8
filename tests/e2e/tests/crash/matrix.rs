//! Every named point of the run path, at its first and at a later pass.
//! Must not know what happens between two points beyond what it states here.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::{oracle, postgres};
use serde_json::Value;

use crate::case::Case;
use crate::settled::{Known, ensure_whole, ids_up_to};
use crate::{N_ROWS, in_parallel, table};

/// What is left right after a death at a point.
struct Point {
    name: &'static str,
    /// Phase of the dead run in the state; none before it is planned.
    phase: Option<&'static str>,
    /// Whether a run of several parts passes it more than twice.
    often: bool,
    /// Whether parts can be visible that no manifest lists.
    loose: bool,
    /// Staged parts of the worker that died which are not recorded: least and most.
    unrecorded: (usize, usize),
}

const fn point(name: &'static str, phase: Option<&'static str>, often: bool, unrecorded: (usize, usize)) -> Point {
    Point { name, phase, often, loose: false, unrecorded }
}

const EXTRACTING: Option<&str> = Some("extracting");
const JUDGED: Option<&str> = Some("judged");

/// All points, in the order a run passes them.
const POINTS: [Point; 12] = [
    point("locked", None, false, (0, 0)),
    point("planned", EXTRACTING, false, (0, 0)),
    // The encoder runs beside the reader: it may have begun a part or not.
    point("batch_read", EXTRACTING, true, (0, 1)),
    point("part_begun", EXTRACTING, true, (1, 1)),
    point("part_prepared", EXTRACTING, true, (1, 1)),
    point("part_recorded", EXTRACTING, true, (0, 0)),
    point("split_done", EXTRACTING, false, (0, 0)),
    point("judged", JUDGED, false, (0, 0)),
    Point { name: "part_published", phase: JUDGED, often: true, loose: true, unrecorded: (0, 0) },
    point("manifest_written", JUDGED, false, (0, 0)),
    point("success_written", JUDGED, false, (0, 0)),
    point("finished", Some("finished"), false, (0, 0)),
];

/// Dies at each point in a workspace of its own; `make` makes one. `n_others` are the workers beside the one that dies.
fn matrix(make: impl Fn() -> Result<Workspace>, n_rows: u64, n_others: usize) -> Result<()> {
    let (mut cases, mut points) = (Vec::new(), Vec::new());
    for point in &POINTS {
        // With several splits, `split_done` is passed once for each.
        let often = point.often || (n_others > 0 && point.name == "split_done");
        for pass in if often { vec![1, 3] } else { vec![1] } {
            let label = format!("{}:{pass}", point.name);
            let workspace = make()?;
            let died = workspace.spawn(&["run", "--fault", &label])?.wait_with_output()?;
            let printed = String::from_utf8_lossy(&died.stderr).into_owned();
            ensure!(died.status.signal() == Some(6), "{label}: {:?} instead of an abort\n{printed}", died.status);
            cases.push(Case::settle(label, workspace)?);
            points.push(point);
        }
    }
    let states = ensure_whole(&cases, &ids_up_to(n_rows))?;
    for ((case, point), (before, _)) in cases.iter().zip(points).zip(&states) {
        ensure_left(case, point, before, n_others).with_context(|| format!("{}: {case:?}\n{before:?}", case.label))?;
    }
    Ok(())
}

/// Checks that the crash left what its point says.
fn ensure_left(case: &Case, point: &Point, before: &Known, n_others: usize) -> Result<()> {
    let phases: Vec<&str> = before.runs.iter().map(|(_, phase)| phase.as_str()).collect();
    ensure!(phases == point.phase.as_slice(), "the state says {phases:?}");
    ensure!(case.crashed.loose.is_empty() != point.loose, "visible parts without a manifest: {:?}", case.crashed.loose);
    let n = case.unrecorded(&before.parts).len();
    let (least, most) = point.unrecorded;
    // Each other worker may have a part of its own in flight while splits are read.
    let reading = before.runs.iter().any(|(_, phase)| phase == "extracting") && point.name != "planned";
    let most = most + if reading { n_others } else { 0 };
    ensure!((least..=most).contains(&n), "{n} unrecorded parts, not {least} to {most}");
    let succeeded = matches!(point.name, "success_written" | "finished");
    ensure!(case.crashed.run_id.is_some() == succeeded, "_SUCCESS is there too early or too late");
    let manifested = succeeded || point.name == "manifest_written";
    ensure!(case.crashed.manifests.is_empty() != manifested, "the manifest is there too early or too late");
    Ok(())
}

#[test]
fn one_split_of_several_parts() -> Result<()> {
    const N: u64 = 120_000;
    const FILL: &str = "
import hashlib, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, h text)')
rows = ((i, hashlib.md5(str(i).encode()).hexdigest()) for i in range(1, int(sys.argv[2]) + 1))
con.executemany('insert into t values (?, ?)', rows)
con.commit()
";
    let data = Workspace::new("")?;
    let file = data.path().join("data.db").display().to_string();
    oracle::run(FILL, &[&file, &N.to_string()])?;
    let config = format!(
        "source: {{type: sqlite, path: '{file}', tuning: {{profile: fast, batch_size: 5000}}}}\n\
         exports:\n  - {{name: t, table: t, max_file_size: 512KB, destination: {{type: local, path: out}}}}\n"
    );
    matrix(|| Workspace::new(&config), N, 0)
}

#[test]
fn several_splits_of_several_parts() -> Result<()> {
    let server = postgres::shared();
    let database = table(server, "crash")?;
    let url = server.url(&database);
    let config = in_parallel("batch_size: 5000");
    matrix(|| Ok(Workspace::new(&config)?.with_variable("TEST_URL", &url)), N_ROWS, 1)
}

#[test]
fn the_points_are_those_of_the_binary() -> Result<()> {
    let ran = Workspace::new("")?.rivet(&["run", "--fault", "nowhere"])?.expect(1)?;
    let first = ran.stderr.lines().next().unwrap_or_default();
    let (_, listed) = first.split_once("there is ").context("the error lists the points")?;
    let names: Vec<&str> = POINTS.iter().map(|p| p.name).collect();
    assert_eq!(listed.split_whitespace().map(|w| w.trim_end_matches(',')).collect::<Vec<_>>(), names);
    Ok(())
}

/// The checks of this file can fail: a part that loses rows is noticed.
#[test]
fn a_lost_part_is_noticed() -> Result<()> {
    let workspace = Workspace::new(
        "source: {type: sqlite, path: data.db, tuning: {profile: fast}}\n\
         exports:\n  - {name: t, table: t, destination: {type: local, path: out}}\n",
    )?;
    let data = workspace.path().join("data.db").display().to_string();
    let fill = "create table t (id integer primary key); insert into t values (1), (2)";
    oracle::run("import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.argv[2])", &[&data, fill])?;
    let read = workspace.export()?;
    let expected: Value = ids_up_to(2);
    crate::settled::ensure_rows(&[("whole", &read.parts)], &expected)?;
    ensure!(crate::settled::ensure_rows(&[("other", &read.parts)], &ids_up_to(3)).is_err());
    let part = read.parts.first().context("a part")?;
    std::fs::remove_file(part)?;
    ensure!(crate::reader::Seen::look(&workspace.path().join("out")).is_err());
    Ok(())
}
