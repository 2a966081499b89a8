//! Plugins that others could change, and libraries that end the process when they are loaded.
//! Must not know how a library is loaded.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::library;
use tempfile::TempDir;

use crate::plugins::{folder, workspace};
use crate::refused;

const SQLITE: &str = "librivet_source_sqlite.so";
/// A user that is neither root nor whoever runs the tests.
const SOMEBODY: u32 = 4242;

fn allow(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(|| format!("chmod {}", path.display()))
}

fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}

/// A plugin folder in which the library of SQLite is a file of its own.
fn folder_with_a_copy() -> Result<TempDir> {
    let dir = folder("source_sqlite")?;
    fs::copy(library("source_sqlite")?, dir.path().join(SQLITE))?;
    allow(&dir.path().join(SQLITE), 0o755)?;
    Ok(dir)
}

#[test]
fn a_library_that_others_may_write_is_not_loaded() -> Result<()> {
    let dir = folder_with_a_copy()?;
    let place = workspace(dir.path())?;
    let file = dir.path().join(SQLITE);
    for (mode, says) in [(0o666, "everyone"), (0o777, "everyone"), (0o775, "its group"), (0o664, "its group")] {
        allow(&file, mode)?;
        let ran = place.rivet(&["run"])?.expect(7)?;
        for part in [SQLITE, says, "chmod g", "hint:"] {
            ensure!(ran.stderr.contains(part), "{mode:o}: {part} in {}", ran.stderr);
        }
        let listed = place.rivet(&["plugin", "list"])?.expect(7)?;
        ensure!(!listed.text()?.contains("sqlite") && listed.text()?.contains("postgres"), "{}", listed.text()?);
    }
    allow(&file, 0o644)?;
    place.rivet(&["run"])?.expect(0)?;
    if is_root()? {
        chown(&file, Some(SOMEBODY), None)?;
        let ran = place.rivet(&["run"])?.expect(7)?;
        ensure!(ran.stderr.contains(SQLITE) && ran.stderr.contains("belongs to user 4242"), "{}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_folder_that_others_may_write_is_refused_wherever_it_is_on_the_way() -> Result<()> {
    let outer = TempDir::with_prefix("rivet-outer-")?;
    let inner = outer.path().join("a/b");
    fs::create_dir_all(&inner)?;
    let dir = folder("")?;
    for entry in fs::read_dir(dir.path())? {
        let entry = entry?;
        fs::hard_link(entry.path(), inner.join(entry.file_name()))
            .or_else(|_| fs::copy(entry.path(), inner.join(entry.file_name())).map(drop))?;
    }
    let above = outer.path().join("a");
    let place = workspace(&inner)?;
    for (path, mode, fine) in [
        (&inner, 0o775, false),
        (&inner, 0o757, false),
        // In a sticky folder names are safe, but what is added to this one would be loaded.
        (&inner, 0o1777, false),
        (&above, 0o757, false),
        (&above, 0o1777, true),
        (&above, 0o755, true),
    ] {
        allow(path, mode)?;
        if fine {
            place.rivet(&["run"])?.expect(0)?;
            fs::remove_dir_all(place.path().join("out"))?;
        } else {
            refused(&place, 1, &[&path.display().to_string(), "is writable by", "chmod"])?;
        }
        allow(path, 0o755)?;
    }
    if is_root()? {
        // Root's group is no private one.
        allow(&above, 0o775)?;
        refused(&place, 1, &[&above.display().to_string(), "is writable by its group", "chmod g-w"])?;
        allow(&above, 0o755)?;
        chown(&above, Some(SOMEBODY), None)?;
        refused(&place, 1, &[&above.display().to_string(), "belongs to user 4242"])?;
    }
    Ok(())
}

#[test]
fn a_link_leads_to_a_library_only_where_nobody_else_can_change_it() -> Result<()> {
    let dir = folder("source_sqlite")?;
    let elsewhere = folder_with_a_copy()?;
    symlink(elsewhere.path().join(SQLITE), dir.path().join(SQLITE))?;
    let place = workspace(dir.path())?;
    place.rivet(&["run"])?.expect(0)?;
    allow(elsewhere.path(), 0o777)?;
    let ran = place.rivet(&["run"])?.expect(7)?;
    let says = elsewhere.path().display().to_string();
    ensure!(ran.stderr.contains(&says) && ran.stderr.contains("is writable by everyone"), "{}", ran.stderr);
    Ok(())
}

/// Builds a library that ends the process in its constructor, as the plugin of a crate with this name.
pub fn deadly(dir: &Path, crate_name: &str, how: &str) -> Result<()> {
    let source = format!(
        "#include <signal.h>\n#include <stdlib.h>\n\
         __attribute__((constructor)) static void now(void) {{ {how}; }}\n\
         int rivet_plugin_{crate_name}_v1 = 1;\n"
    );
    let file = dir.join("deadly.c");
    fs::write(&file, source)?;
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O0", "-o"]).arg(dir.join("libdeadly.so")).arg(&file).status();
    ensure!(built.context("run cc")?.success(), "the library is built");
    fs::remove_file(file)?;
    Ok(())
}

#[test]
fn a_library_that_ends_the_process_is_named() -> Result<()> {
    for how in ["*(volatile int *)0 = 1", "abort()", "raise(SIGILL)", "raise(SIGBUS)", "exit(0)"] {
        let dir = folder("source_sqlite")?;
        deadly(dir.path(), "rivet_source_sqlite", how)?;
        let ran = workspace(dir.path())?.rivet(&["run"])?.expect(7).with_context(|| how.to_owned())?;
        ensure!(ran.stderr.contains("libdeadly.so' ended the process while it was loaded"), "{how}: {}", ran.stderr);
        ensure!(ran.stderr.contains("hint: "), "{how}: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_library_that_is_not_needed_is_not_opened() -> Result<()> {
    let dir = folder("")?;
    deadly(dir.path(), "another_source", "abort()")?;
    let place = workspace(dir.path())?;
    for words in [&["run"][..], &["run", "--dry-run"], &["check"], &["doctor"]] {
        let ran = place.rivet(words)?.expect(0)?;
        ensure!(!ran.stderr.contains("deadly"), "{}", ran.stderr);
    }
    let listed = place.rivet(&["plugin", "list"])?.expect(7)?;
    ensure!(listed.stderr.contains("libdeadly.so"), "{}", listed.stderr);
    Ok(())
}

/// A crate need not be called as its plugin is: what is missing may be in any library.
#[test]
fn a_plugin_is_found_in_a_crate_of_any_name() -> Result<()> {
    let dir = folder("")?;
    fs::copy(library("test_hostile")?, dir.path().join("libx.so"))?;
    let place = workspace(dir.path())?;
    place.configure(
        "source: {type: hostile, n_batches: 2, batch_rows: 5}\n\
         exports: [{name: t, table: t, destination: {type: local, path: out}}]\n",
    )?;
    assert_eq!(place.export()?.n_rows(), 10);
    Ok(())
}
