//! Killed at every pass of every point, until none is left, in each mode: nothing lost, nothing twice.
//! Must not know what a point is for.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::{oracle, postgres};
use serde_json::Value;

use crate::reader::Seen;
use crate::settled::{ensure_rows, ids_up_to};

pub const N: u64 = 2000;
/// More passes of one point than any run here has.
pub const MOST: u32 = 60;

pub const MODES: [&str; 5] = [
    "mode: full",
    "mode: incremental, cursor_column: id",
    "mode: chunked, chunk_column: id, chunk_size: 1000",
    "mode: chunked, chunk_column: id, chunk_size: 1000, parallel: 2",
    "mode: time_window, time_column: at, time_column_type: unix, days_window: 7",
];

/// The points, as the binary lists them.
pub fn points() -> Result<Vec<String>> {
    let ran = Workspace::new("")?.rivet(&["run", "--fault", "nowhere"])?.expect(1)?;
    let listed = ran.stderr.lines().next().and_then(|line| line.split_once("there is "));
    let Some((_, listed)) = listed else { bail!("no points in {}", ran.stderr) };
    Ok(listed.split(',').map(|point| point.trim().to_owned()).collect())
}

/// Every part that a manifest in this folder names; of the run that `_SUCCESS` names alone where each run reads everything.
pub fn parts(out: &Path, of_all_runs: bool) -> Result<Vec<PathBuf>> {
    let seen = Seen::look(out)?;
    ensure!(seen.staged.is_empty() && seen.loose.is_empty() && seen.unfinished.is_empty(), "left behind: {seen:?}");
    if !of_all_runs {
        return Ok(seen.parts);
    }
    let mut parts = Vec::new();
    for file in files_below(out)? {
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("_manifest-")) {
            let manifest: Value = serde_json::from_slice(&fs::read(&file)?)?;
            let names = manifest["parts"].as_array().into_iter().flatten().filter_map(|part| part["name"].as_str());
            parts.extend(names.map(|name| out.join(name)));
        }
    }
    Ok(parts)
}

/// With a source that says how fast it is read.
pub fn config(source: &str, mode: &str) -> String {
    format!(
        "source: {{{source}}}\n\
         exports:\n  - {{name: t, table: t, {mode}, max_file_size: 64KB, destination: {{type: local, path: out}}}}\n"
    )
}

const TUNING: &str = "tuning: {profile: fast, batch_size: 1000}";

/// Dies at every pass of every point, in workspaces of their own with this source.
fn each(source: &str, variable: &str) -> Result<()> {
    let points = points()?;
    let mut settled = Vec::new();
    for mode in MODES {
        let config = config(&format!("{source}, {TUNING}"), mode);
        let before = settled.len();
        for point in &points {
            for pass in 1.. {
                let label = format!("{mode}, {point}:{pass}");
                ensure!(pass < MOST, "{label}: there is no end to it");
                let place = Workspace::new(&config)?.with_variable("TEST_URL", variable);
                let died = place.spawn(&["run", "--fault", &format!("{point}:{pass}")])?.wait_with_output()?;
                if died.status.success() {
                    break;
                }
                let printed = String::from_utf8_lossy(&died.stderr);
                ensure!(died.status.signal() == Some(6), "{label}: {:?} instead of an abort\n{printed}", died.status);
                place.run()?.expect(0).with_context(|| format!("{label}: the next run"))?;
                let parts = parts(&place.path().join("out"), mode.contains("incremental"));
                settled.push((label.clone(), parts.context(label)?, place));
            }
        }
        ensure!(settled.len() - before > points.len(), "{mode}: hardly a point was passed");
    }
    let lists: Vec<_> = settled.iter().map(|(label, parts, _)| (label.as_str(), parts.as_slice())).collect();
    ensure_rows(&lists, &ids_up_to(N))
}

/// Told to stop at the first passes of every point: what is under way fails, in each mode. What it finished, or not, the next run
/// brings to its end.
fn stopped(source: &str) -> Result<()> {
    let mut settled = Vec::new();
    let mut n_stopped = 0;
    for mode in MODES {
        for point in points()? {
            for pass in 1..=2 {
                let label = format!("{mode}, {point}:{pass}:stop");
                let place = Workspace::new(&config(&format!("{source}, {TUNING}"), mode))?;
                let ran = place.rivet(&["run", "--fault", &format!("{point}:{pass}:stop")])?;
                ensure!(matches!(ran.code, Some(0 | 130)), "{label}: {:?}\n{}", ran.code, ran.stderr);
                n_stopped += usize::from(ran.code == Some(130));
                place.run()?.expect(0).with_context(|| format!("{label}: the next run"))?;
                let parts = parts(&place.path().join("out"), mode.contains("incremental"));
                settled.push((label.clone(), parts.context(label)?, place));
            }
        }
    }
    ensure!(n_stopped > 4 * MODES.len(), "{n_stopped} runs were stopped");
    let lists: Vec<_> = settled.iter().map(|(label, parts, _)| (label.as_str(), parts.as_slice())).collect();
    ensure_rows(&lists, &ids_up_to(N))
}

/// Makes the table on a server.
pub fn fill() -> String {
    format!(
        "create table t as select i::bigint id, md5(i::text) h, extract(epoch from now())::bigint - 86400 as at \
         from generate_series(1, {N}) i;\nalter table t add primary key (id);\nanalyze t"
    )
}

#[test]
fn postgres_in_each_mode() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("every")?;
    server.psql(&database, &fill())?;
    each("type: postgres, url_env: TEST_URL", &server.url(&database))
}

#[test]
fn sqlite_in_each_mode() -> Result<()> {
    let data = sqlite()?;
    each(&format!("type: sqlite, path: '{}'", data.path().join("data.db").display()), "")
}

#[test]
fn told_to_stop_in_each_mode() -> Result<()> {
    let data = sqlite()?;
    stopped(&format!("type: sqlite, path: '{}'", data.path().join("data.db").display()))
}

/// A folder with the table in `data.db`.
pub fn sqlite() -> Result<Workspace> {
    const FILL: &str = "
import hashlib, sqlite3, sys, time
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, h text, at integer not null)')
at = int(time.time()) - 86400
con.executemany('insert into t values (?, ?, ?)',
    ((i, hashlib.md5(str(i).encode()).hexdigest(), at) for i in range(1, int(sys.argv[2]) + 1)))
con.commit()
";
    let data = Workspace::new("")?;
    let file = data.path().join("data.db").display().to_string();
    oracle::run(FILL, &[&file, &N.to_string()])?;
    Ok(data)
}
