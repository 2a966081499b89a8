//! Killed at every pass of every point, until none is left, in each store: the next run leaves the rows once and nothing else. Told
//! to stop or failed by a rule, a run leaves nothing at all.
//! Must not know what a point is for.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below};
use rivet_test_servers::oracle;

use crate::place::{Kind, PREFIX, Place};
use crate::{config, data};

/// Rows of the table: two splits of a part each.
const N: u64 = 200;
const CHUNKED: &str = "mode: chunked, chunk_column: id, chunk_size: 100, compression: none,";
/// More passes of one point than any run here has.
const MOST: u32 = 20;

/// The points, as the binary lists them.
fn points() -> Result<Vec<String>> {
    let ran = Workspace::new("")?.rivet(&["run", "--fault", "nowhere"])?.expect(1)?;
    let listed = ran.stderr.lines().next().and_then(|line| line.split_once("there is "));
    let Some((_, listed)) = listed else { bail!("no points in {}", ran.stderr) };
    Ok(listed.split(',').map(|point| point.trim().to_owned()).collect())
}

/// A workspace that exports to a folder of its own in a place.
fn folder(place: &Place, name: &str, file: &str, keys: &str) -> Result<Workspace> {
    let destination = place.destination("").replace(&format!("{PREFIX}/"), &format!("{PREFIX}/{name}/"));
    place.workspace(&config(file, keys, &destination))
}

/// The query that counts what the pointer of a folder names; every part there is in a manifest.
fn counted(dir: &Path) -> Result<String> {
    let exported = Exported::read(dir)?;
    let files = files_below(dir)?;
    let mut manifests = String::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "json")) {
        manifests += &std::fs::read_to_string(file)?;
    }
    for part in files.iter().filter(|file| file.extension().is_some_and(|e| e == "parquet")) {
        let name = part.file_name().context("a name")?.to_string_lossy();
        ensure!(manifests.contains(&*name), "{name} is in no manifest");
    }
    Ok(format!("select count(*) n, count(distinct id) d, sum(id)::bigint s from {}", exported.relation()?))
}

fn killed(kind: Kind) -> Result<()> {
    let (_folder, file) = data(N)?;
    let place = Place::new(kind)?;
    let mut labels = Vec::new();
    for point in points()? {
        for pass in 1.. {
            let label = format!("{point}-{pass}");
            ensure!(pass < MOST, "{label}: there is no end to it");
            let workspace = folder(&place, &label, &file, CHUNKED)?;
            let died = workspace.spawn(&["run", "--fault", &format!("{point}:{pass}")])?.wait_with_output()?;
            let printed = String::from_utf8_lossy(&died.stderr);
            if !died.status.success() {
                ensure!(died.status.signal() == Some(6), "{label}: {:?}\n{printed}", died.status);
                workspace.run()?.expect(0).with_context(|| format!("{label}: the next run"))?;
            }
            labels.push(label);
            if died.status.success() {
                break;
            }
        }
    }
    ensure!(labels.len() > 20, "hardly a point was passed: {labels:?}");
    place.ensure_clean()?;
    let out = tempfile::tempdir()?;
    let all = out.path().join("all");
    place.download(&all)?;
    let queries: Vec<String> =
        labels.iter().map(|label| counted(&all.join(label)).context(label.clone())).collect::<Result<_>>()?;
    let expected = format!(r#"{{"n": {N}, "d": {N}, "s": {}}}"#, N * (N + 1) / 2);
    let found = oracle::duckdb(&queries.join(" union all "))?;
    ensure!(found.lines().all(|line| line == expected) && found.lines().count() == labels.len(), "{found}");
    Ok(())
}

#[test]
fn in_s3() -> Result<()> {
    killed(Kind::S3)
}

#[test]
fn in_gcs() -> Result<()> {
    killed(Kind::Gcs)
}

#[test]
fn in_azure() -> Result<()> {
    killed(Kind::Azure)
}

/// With uploads of several pieces on their way.
#[test]
fn a_run_that_fails_leaves_nothing() -> Result<()> {
    let (_folder, file) = data(60_000)?;
    let keys = "compression: none, max_file_size: 7MB,";
    for kind in Kind::ALL {
        let place = Place::new(kind)?;
        for point in ["batch_read:9:stop", "part_begun:2:stop", "part_prepared:1:stop", "part_recorded:1:stop"] {
            let ran = folder(&place, "stopped", &file, keys)?.rivet(&["run", "--fault", point])?;
            ran.expect(130).with_context(|| format!("{kind:?} {point}"))?;
        }
        let judged = folder(&place, "judged", &file, &format!("{keys} quality: {{row_count_max: 5}},"))?;
        judged.run()?.expect(3).with_context(|| format!("{kind:?}"))?;
        assert_eq!(place.keys()?, [""; 0], "{kind:?}");
        place.ensure_clean().with_context(|| format!("{kind:?}"))?;
    }
    Ok(())
}
