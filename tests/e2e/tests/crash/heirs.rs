//! Killed under one config, run again under another one: whose work it is is found out before any of it is touched.
//! Must not know how a state tells configs apart.

use std::fs;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::resume::{N, dead, epochs, export, json_run, out, warnings, whole};

#[test]
fn a_run_that_another_config_has_left_is_named() -> Result<()> {
    let workspace = dead("")?;
    fs::copy(workspace.path().join("rivet.yaml"), workspace.path().join("other.yaml"))?;
    for words in [&["run", "-c", "other.yaml", "--resume"][..], &["run", "-c", "other.yaml", "--resume", "-e", "t"]] {
        let ran = workspace.rivet(words)?.expect(1)?;
        for word in ["nothing to resume", "under the config rivet.yaml", "resume it under that config"] {
            ensure!(ran.stderr.contains(word), "{word} is not in {}", ran.stderr);
        }
    }
    json_run(&workspace, &["--resume"])?.expect(0)?;
    let ran = workspace.rivet(&["run", "-c", "other.yaml", "--resume"])?.expect(1)?;
    ensure!(!ran.stderr.contains("rivet.yaml"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn a_config_of_another_name_goes_on_with_what_its_predecessor_left() -> Result<()> {
    let workspace = dead("")?;
    let rename = |from: &str, to: &str| fs::rename(workspace.path().join(from), workspace.path().join(to));
    rename("rivet.yaml", "other.yaml")?;
    let before = rivet_test_e2e::files_below(&out(&workspace))?;
    // Whose work it is cannot be known yet: nothing of it is touched.
    rename("data.db", "away.db")?;
    let ran = workspace.rivet(&["run", "-c", "other.yaml"])?;
    ensure!(ran.code != Some(0) && rivet_test_e2e::files_below(&out(&workspace))? == before, "{}", ran.stderr);
    rename("away.db", "data.db")?;
    let told = export(&json_run(&workspace, &["-c", "other.yaml", "--resume"])?.expect(0)?)?;
    assert_eq!((&told["rows"], &told["splits_kept"]), (&json!(N), &json!(4)), "{told}");
    ensure!(warnings(&told).contains("the config rivet.yaml is not there any more"), "{told}");
    let (_, manifest) = whole(&workspace)?;
    assert_eq!(epochs(&manifest), [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    Ok(())
}
