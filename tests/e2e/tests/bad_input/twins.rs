//! A loaded plugin whose table has two columns of one name.
//! Must not know how a plugin describes a table.

use anyhow::Result;
use rivet_test_e2e::{PLUGINS, Workspace, copy_plugins};
use tempfile::TempDir;

use crate::refused;

fn place(dir: &TempDir, select: &str) -> Result<Workspace> {
    let text = format!(
        "source: {{type: hostile, twins: true, n_batches: 1, batch_rows: 3}}\n\
         exports: [{{name: e, table: pairs, {select}destination: {{type: local, path: out}}}}]\n"
    );
    Ok(Workspace::new(&text)?.with_plugins(dir.path()))
}

#[test]
fn two_columns_of_one_name_are_refused() -> Result<()> {
    let dir = TempDir::with_prefix("rivet-plugins-")?;
    copy_plugins(&PLUGINS, dir.path())?;
    copy_plugins(&["test_hostile"], dir.path())?;
    let says = ["pairs has two columns called 'n'", "leave both out with `exclude`"];
    refused(&place(&dir, "")?, 1, &says)?;
    refused(&place(&dir, "select: [n], ")?, 1, &says)?;
    Ok(())
}
