//! Uploads that a dead run left open among many of others: the next run ends its own, and no other.
//! Must not know how uploads are listed.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::{azure, gcs, oracle, s3};

use crate::place::{Kind, PREFIX, Place};
use crate::{config, data};

/// Uploads of others; more than a page has.
const N_OTHERS: usize = 1_050;

/// A run that died as soon as it was planned; its id.
fn dead(workspace: &Workspace) -> Result<String> {
    let died = workspace.spawn(&["run", "--fault", "planned"])?.wait_with_output()?;
    ensure!(died.status.signal() == Some(6), "{}", String::from_utf8_lossy(&died.stderr));
    let state = workspace.path().join(".rivet_state.db").display().to_string();
    const RUN: &str =
        "import sqlite3, sys\nprint(sqlite3.connect(sys.argv[1]).execute('select run_id from runs').fetchone()[0])";
    Ok(oracle::run(RUN, &[&state])?.trim().to_owned())
}

#[test]
fn are_found_behind_many_others() -> Result<()> {
    let (_folder, file) = data(20)?;
    for kind in [Kind::S3, Kind::Gcs] {
        let place = Place::new(kind)?;
        let keys = "partition_by: id, mode: full,";
        let workspace = place.workspace(&config(&file, keys, &place.destination("")))?;
        let run_id = dead(&workspace)?;
        let others = (0..N_OTHERS).map(|i| format!("{PREFIX}/id=1/other{i:04}.parquet.rivet.staged"));
        let ours = [1, 7].map(|id| format!("{PREFIX}/id={id}/t_{run_id}_s00000_a00_part00000.parquet.rivet.staged"));
        let all: Vec<String> = others.chain(ours.clone()).collect();
        place.begin_uploads(&all)?;
        ensure!(place.open_uploads()?.len() == all.len(), "{kind:?}: not all uploads are open");
        workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        let left = place.open_uploads()?;
        ensure!(!left.iter().any(|key| ours.contains(key)), "{kind:?}: {:?} of {}", ours, left.len());
        ensure!(left.len() == N_OTHERS, "{kind:?}: {} of others are left", left.len());
    }
    Ok(())
}

/// What means something in a pattern, a URL or XML means nothing in a prefix.
#[test]
fn are_found_below_a_prefix_of_any_text() -> Result<()> {
    let (_folder, file) = data(20)?;
    let prefix = "l*ke/[t]?#&%25+ ü<'";
    for kind in Kind::ALL {
        let place = Place::new(kind)?;
        let destination = place.destination("").replace(&format!("{PREFIX}/"), &format!("\"{prefix}\""));
        let workspace = place.workspace(&config(&file, "partition_by: id,", &destination))?;
        let run_id = dead(&workspace)?;
        let name = format!("{prefix}/id=3/t_{run_id}_s00000_a00_part00000.parquet.rivet.staged");
        let other = name.replace("l*ke", "leke");
        if kind != Kind::Azure {
            place.begin_uploads(&[name.clone(), other.clone()])?;
        }
        workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        workspace.rivet(&["validate", "--depth", "full"])?.expect(0).with_context(|| format!("{kind:?}"))?;
        let keys = match kind {
            Kind::S3 => s3::shared().keys(&place.bucket)?,
            Kind::Gcs => gcs::shared().keys(&place.bucket)?,
            Kind::Azure => azure::shared().keys(&place.bucket)?,
        };
        let parts = keys.iter().filter(|key| key.starts_with(prefix) && key.ends_with(".parquet"));
        ensure!(parts.count() == 20, "{kind:?}: {keys:?}");
        ensure!(kind == Kind::Azure || place.open_uploads()? == [other], "{kind:?}: {:?}", place.open_uploads()?);
    }
    Ok(())
}
