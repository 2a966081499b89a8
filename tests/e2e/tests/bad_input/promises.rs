//! A loaded plugin whose batches are not what was promised or asked for.
//! Must not know how that is found out.

use anyhow::{Result, ensure};
use rivet_test_e2e::{PLUGINS, Workspace, copy_plugins};
use tempfile::TempDir;

use crate::refused;

struct Place {
    _dir: TempDir,
    workspace: Workspace,
}

fn place(options: &str, export: &str) -> Result<Place> {
    let dir = TempDir::with_prefix("rivet-plugins-")?;
    copy_plugins(&PLUGINS, dir.path())?;
    copy_plugins(&["test_hostile"], dir.path())?;
    let text = format!(
        "source: {{type: hostile, {options}}}\n\
         exports: [{{name: e, table: t, {export}destination: {{type: local, path: out}}}}]\n"
    );
    let workspace = Workspace::new(&text)?.with_plugins(dir.path());
    Ok(Place { _dir: dir, workspace })
}

#[test]
fn a_batch_of_other_types_stops_the_run_before_anything_is_written() -> Result<()> {
    // What the second half of each value would be is memory of the host.
    let options = "n_batches: 1, batch_rows: 100, lie: {promised: {int: {bits: 64, signed: true}}, \
                   delivered: {int: {bits: 32, signed: true}}}";
    let place = place(options, "")?;
    let says = "plugin 'hostile': column 'x' is promised as Int64 and delivered as Int32";
    refused(&place.workspace, 7, &[says, "report it to its author"])?;
    Ok(())
}

#[test]
fn a_batch_that_is_far_too_large_stops_the_run() -> Result<()> {
    let place = place("n_batches: 1, batch_rows: 200, text_bytes: 1000000", "tuning: {max_value_mb: 1}, ")?;
    refused(&place.workspace, 7, &["plugin 'hostile': a batch has ", "max_value_mb"])?;
    Ok(())
}

#[test]
fn a_column_of_a_type_that_nobody_knows_can_be_left_out() -> Result<()> {
    let options = "n_batches: 1, batch_rows: 3, unknown_type: true";
    let unknown = place(options, "")?;
    let says = ["column 'place' is a geometry, a type that this rivet does not know", "exclude: [place]"];
    refused(&unknown.workspace, 1, &says)?;
    place(options, "exclude: [place], ")?.workspace.rivet(&["run"])?.expect(0)?;
    Ok(())
}

#[test]
fn what_looks_wrong_is_a_warning_that_names_the_plugin() -> Result<()> {
    for (options, says) in [
        ("n_batches: 2, batch_rows: 0", "plugin 'hostile' delivers batches without rows"),
        ("n_batches: 0, batch_rows: 1, estimated_rows: 5000", "t has about 5000 rows by its statistics, and none came"),
        (
            "n_batches: 1, batch_rows: 5, twin_splits: 2, estimated_rows: 10000000",
            "the source gives the split 'all' twice: its rows may be in the files twice",
        ),
    ] {
        let ran = place(options, "parallel: 2, ")?.workspace.rivet(&["run"])?.expect(0)?;
        let told = ran.stderr.lines().filter(|line| line.contains(says)).count();
        ensure!(told >= 1, "{says:?} is missing in {}", ran.stderr);
    }
    Ok(())
}
