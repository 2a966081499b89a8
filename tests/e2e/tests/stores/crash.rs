//! Killed at every point of a run to a store, then run again: the rows are there once, and nothing else is.
//! Must not know what happens between two points.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::oracle;

use crate::place::{Kind, Place};
use crate::{config, data};

/// Rows of the table; its parts take several pieces.
const N_ROWS: u64 = 90_000;

/// Points of a run that leave something in a store, or come right after.
const POINTS: [&str; 10] = [
    "part_begun:1",
    "batch_read:12",
    "part_prepared:1",
    "part_prepared:2",
    "part_recorded:1",
    "judged:1",
    "part_published:1",
    "manifest_written:1",
    "success_written:1",
    "finished:1",
];

/// The rows are there once for whoever reads what the pointers name, and all that is visible is of runs with a manifest.
fn ensure_whole(place: &Place, workspace: &Workspace) -> Result<()> {
    let out = workspace.path().join("out");
    place.download(&out)?;
    let exported = Exported::read(&out)?;
    let sql = format!("select count(*) n, count(distinct id) d, sum(id) s from {}", exported.relation()?);
    let expected = format!(r#"{{"n": {N_ROWS}, "d": {N_ROWS}, "s": {}}}"#, N_ROWS * (N_ROWS + 1) / 2);
    let found = oracle::duckdb(&sql)?;
    ensure!(found.trim() == expected, "{found} instead of {expected}");
    let mut named = Vec::new();
    for key in place.keys()?.iter().filter(|key| key.starts_with("_manifest-")) {
        named.push(std::fs::read_to_string(out.join(key))?);
    }
    let keys = place.keys()?;
    let parts = keys.iter().filter(|key| key.ends_with(".parquet"));
    let loose: Vec<_> = parts.filter(|key| !named.iter().any(|manifest| manifest.contains(*key))).collect();
    ensure!(loose.is_empty(), "parts that no manifest names: {loose:?}");
    place.ensure_clean()
}

fn killed_everywhere(kind: Kind) -> Result<()> {
    let (_folder, file) = data(N_ROWS)?;
    for point in POINTS {
        let place = Place::new(kind)?;
        let keys = "compression: none, max_file_size: 8MB,";
        let workspace = place.workspace(&config(&file, keys, &place.destination("")))?;
        let died = workspace.spawn(&["run", "--fault", point])?.wait_with_output()?;
        let printed = String::from_utf8_lossy(&died.stderr).into_owned();
        ensure!(died.status.signal() == Some(6), "{kind:?} {point}: {:?}\n{printed}", died.status);
        let visible = place.keys()?.iter().any(|key| key.ends_with(".parquet"));
        let published = ["part_published:1", "manifest_written:1", "success_written:1", "finished:1"].contains(&point);
        ensure!(visible == published, "{kind:?} {point}: {:?}", place.keys()?);
        workspace.run()?.expect(0).with_context(|| format!("{kind:?} {point}: the next run"))?;
        ensure_whole(&place, &workspace).with_context(|| format!("{kind:?} {point}"))?;
    }
    Ok(())
}

/// Parts that are uploaded under their own keys are visible at once, and those of a run without a verdict go with it.
#[test]
fn with_parts_under_their_own_keys() -> Result<()> {
    let (_folder, file) = data(N_ROWS)?;
    for point in ["part_prepared:1", "part_prepared:2", "part_recorded:1", "judged:1"] {
        let place = Place::new(Kind::S3)?;
        let keys = "compression: none, max_file_size: 8MB,";
        let workspace = place.workspace(&config(&file, keys, &place.destination(", publish: direct")))?;
        let died = workspace.spawn(&["run", "--fault", point])?.wait_with_output()?;
        ensure!(died.status.signal() == Some(6), "{point}: {:?}", died.status);
        ensure!(place.keys()?.iter().any(|key| key.ends_with(".parquet")), "{point}: {:?}", place.keys()?);
        workspace.run()?.expect(0).with_context(|| format!("{point}: the next run"))?;
        ensure_whole(&place, &workspace).with_context(|| point.to_owned())?;
    }
    Ok(())
}

#[test]
fn in_s3() -> Result<()> {
    killed_everywhere(Kind::S3)
}

#[test]
fn in_gcs() -> Result<()> {
    killed_everywhere(Kind::Gcs)
}

#[test]
fn in_azure() -> Result<()> {
    killed_everywhere(Kind::Azure)
}
