//! What a plugin prints gets into no data.
//! Must not know how descriptors are kept apart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{FOLDER, STDOUT, both, config};

const ROWS: &str = "n\n0\n1\n2\n";
const PRINTED: &str = "printed by a plugin";

#[test]
fn what_a_plugin_prints_gets_neither_into_an_export_nor_into_a_document() -> Result<()> {
    for at in ["open", "describe", "batch", "drop"] {
        let source = format!("at: {at}, how: print, says: {PRINTED}");
        for place in both(&config(&source, STDOUT))? {
            let ran = place.workspace.rivet(&["run"])?.expect(0)?;
            assert_eq!(ran.text()?.replace('\r', ""), ROWS, "{at}");
            ensure!(ran.stderr.contains(PRINTED), "{at}: {}", ran.stderr);
        }
        for place in both(&config(&source, FOLDER))? {
            let ran = place.workspace.rivet(&["run", "--output", "json"])?.expect(0)?;
            assert_eq!(ran.json()?["exports"][0]["rows"], 3, "{at}");
            ensure!(ran.stderr.contains(PRINTED), "{at}: {}", ran.stderr);
            let ran = place.workspace.rivet(&["run", "--output", "ndjson"])?.expect(0)?;
            ran.text()?.lines().try_for_each(|line| serde_json::from_str::<serde_json::Value>(line).map(drop))?;
        }
    }
    Ok(())
}

/// A library whose constructor prints, by the buffer of the C library and past it; otherwise it is no plugin.
fn printing_library() -> Result<TempDir> {
    let dir = TempDir::with_prefix("rivet-plugins-")?;
    let source = format!(
        "#include <stdio.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void now(void) {{\n\
         printf(\"{PRINTED}, later\"); if (write(1, \"{PRINTED}, now\\n\", {})) {{}} }}\n\
         char rivet_plugin_acme_source_rude_v1[256] = \"none\";\n",
        PRINTED.len() + 6
    );
    let file = dir.path().join("prints.c");
    fs::write(&file, source)?;
    let library = dir.path().join("libprints.so");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&file).status();
    ensure!(built.context("run cc")?.success(), "the library is built");
    fs::remove_file(file)?;
    fs::set_permissions(&library, fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}

#[test]
fn what_a_library_prints_while_it_is_loaded_gets_into_no_data() -> Result<()> {
    let dir = printing_library()?;
    for place in both(&config("at: nowhere", STDOUT))? {
        let ran = place.workspace.rivet(&["run", "--plugin-dir", &dir.path().display().to_string()])?.expect(0)?;
        assert_eq!(ran.text()?.replace('\r', ""), ROWS);
        for part in [", now", ", later", "warning:", "libprints.so"] {
            ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
        }
    }
    Ok(())
}
