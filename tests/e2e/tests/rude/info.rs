//! What `plugin info` and `plugin list` say of a plugin.
//! Must not know how a schema is read.

use anyhow::{Result, ensure};
use rivet_test_e2e::{Workspace, copy_plugins};
use tempfile::TempDir;

use crate::both;

#[test]
fn info_says_types_words_nested_keys_secrets_and_defaults() -> Result<()> {
    for place in both("")? {
        let text = place.workspace.rivet(&["plugin", "info", "rude"])?.expect(0)?;
        let text = text.text()?;
        for part in [
            "  at (one of nowhere, open, describe, batch, drop) [default: nowhere]\n      When to be rude.\n",
            "  n_rows (whole number) [default: 0]\n",
            "  token (text, secret)\n",
            "  login (block)\n      Secrets that are deeper.\n",
            "      keys (list of text, required, secret)\n          The keys.\n",
            "      by (one of keys, required)\n",
            "      headers (block of keys with text, required, secret)\n",
            "  repeats (true or false) [default: false]\n",
            "  key (text, required, secret)\n",
        ] {
            ensure!(text.contains(part), "{part:?} in {text}");
        }
    }
    Ok(())
}

#[test]
fn a_config_names_folders_for_list_and_info() -> Result<()> {
    let dir = TempDir::with_prefix("rivet-plugins-")?;
    copy_plugins(&["test_rude"], dir.path())?;
    let place = Workspace::new(&format!(
        "plugins: {{dirs: [{}]}}\nsource: {{type: rude}}\nexports: [{{name: e, table: t, destination: {{type: local, path: out}}}}]\n",
        dir.path().display()
    ))?;
    place.rivet(&["plugin", "info", "rude"])?.expect(1)?;
    let info = place.rivet(&["plugin", "info", "rude", "-c", "rivet.yaml"])?.expect(0)?;
    ensure!(info.text()?.contains("source 'rude'"), "{}", info.text()?);
    let listed = place.rivet(&["plugin", "list", "--config", "rivet.yaml"])?.expect(0)?;
    ensure!(listed.text()?.contains("librivet_test_rude.so"), "{}", listed.text()?);
    let missing = place.rivet(&["plugin", "list", "-c", "none.yaml"])?.expect(1)?;
    ensure!(missing.stderr.contains("none.yaml"), "{}", missing.stderr);
    Ok(())
}
