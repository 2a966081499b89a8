//! Plugin folders with something wrong in them.
//! Must not know how a library is loaded.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{PLUGINS, Workspace, copy_plugins, library};
use tempfile::TempDir;

/// The machine field of an ELF header (offset 18, 2 bytes), and AArch64 and x86-64 in it.
const MACHINE_OFFSET: usize = 18;
const AARCH64: u8 = 183;
const X86_64: u8 = 62;

/// A plugin folder with all plugins but this one.
pub fn folder(without: &str) -> Result<TempDir> {
    let dir = TempDir::with_prefix("rivet-plugins-")?;
    let others: Vec<&str> = PLUGINS.into_iter().filter(|p| *p != without).collect();
    copy_plugins(&others, dir.path())?;
    Ok(dir)
}

/// A workspace that needs sqlite, parquet and local, over this plugin folder.
pub fn workspace(plugins: &Path) -> Result<Workspace> {
    let text = "source: {type: sqlite, path: data.db}\n\
                exports: [{name: t, query: select 1 as a, destination: {type: local, path: out}}]\n";
    let place = Workspace::new(text)?.with_plugins(plugins);
    // The empty file is an empty database.
    fs::write(place.path().join("data.db"), "")?;
    Ok(place)
}

/// What is wrong with a library, its bytes, words of the message about it.
type Wrong = (&'static str, Vec<u8>, Vec<&'static str>);

/// The library of SQLite, made wrong.
fn wrong_libraries() -> Result<Vec<Wrong>> {
    let good = fs::read(library("source_sqlite")?)?;
    let mut other_machine = good.clone();
    other_machine[MACHINE_OFFSET] = if good[MACHINE_OFFSET] == AARCH64 { X86_64 } else { AARCH64 };
    let half = good[..good.len() / 2].to_vec();
    let header = good[..100].to_vec();
    Ok(vec![
        ("a text file", b"this is no library\n".to_vec(), vec!["text"]),
        ("an empty file", Vec::new(), vec!["empty"]),
        ("half a library", half, vec!["damaged"]),
        ("a header", header, vec!["damaged"]),
        ("another machine", other_machine, vec!["aarch64"]),
    ])
}

#[test]
fn a_file_that_is_no_plugin_is_named_and_the_others_work() -> Result<()> {
    for (what, bytes, says) in wrong_libraries()? {
        let dir = folder("")?;
        let file = dir.path().join("libbroken.so");
        fs::write(&file, &bytes)?;
        let place = workspace(dir.path())?;
        let ran = place.rivet(&["run"])?.expect(0).with_context(|| what.to_owned())?;
        for part in says.iter().chain(&["warning:", "libbroken.so", "hint:"]) {
            ensure!(ran.stderr.to_lowercase().contains(part), "{what}: {part} in {}", ran.stderr);
        }
        let listed = place.rivet(&["plugin", "list"])?.expect(7).with_context(|| what.to_owned())?;
        ensure!(listed.stderr.contains("libbroken.so"), "{}", listed.stderr);
    }
    Ok(())
}

#[test]
fn a_needed_plugin_that_is_broken_is_exit_7() -> Result<()> {
    for (what, bytes, says) in wrong_libraries()? {
        let dir = folder("source_sqlite")?;
        fs::write(dir.path().join("librivet_source_sqlite.so"), &bytes)?;
        let place = workspace(dir.path())?;
        let ran = place.rivet(&["run"])?.expect(7).with_context(|| what.to_owned())?;
        for part in says.iter().chain(&["librivet_source_sqlite.so", "sqlite", "hint:"]) {
            ensure!(ran.stderr.to_lowercase().contains(part), "{what}: {part} in {}", ran.stderr);
        }
        ensure!(!place.path().join("out").exists(), "nothing is written");
    }
    Ok(())
}

#[test]
fn two_plugins_of_one_name_are_both_named() -> Result<()> {
    let dir = folder("")?;
    let second = TempDir::with_prefix("rivet-plugins-")?;
    fs::copy(library("source_sqlite")?, dir.path().join("libanother.so"))?;
    copy_plugins(&["source_sqlite"], second.path())?;
    let place = workspace(dir.path())?;
    crate::refused(&place, 7, &["sqlite", "libanother.so", "librivet_source_sqlite.so"])?;
    // In two folders it is the same.
    fs::remove_file(dir.path().join("libanother.so"))?;
    let other: PathBuf = second.path().to_owned();
    let ran = place.rivet(&["run", "--plugin-dir", &other.display().to_string()])?.expect(7)?;
    ensure!(ran.stderr.contains(&*other.to_string_lossy()), "{}", ran.stderr);
    ensure!(ran.stderr.contains(&*dir.path().to_string_lossy()), "{}", ran.stderr);
    Ok(())
}

#[test]
fn a_folder_that_everybody_may_write_is_refused() -> Result<()> {
    let dir = folder("")?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777))?;
    let place = workspace(dir.path())?;
    crate::refused(&place, 1, &[&dir.path().display().to_string(), "writable", "chmod"])?;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
    place.rivet(&["run"])?.expect(0)?;
    Ok(())
}

#[test]
fn a_missing_folder_is_named() -> Result<()> {
    let place = workspace(Path::new("no/such/folder"))?;
    crate::refused(&place, 1, &["no/such/folder"])?;
    Ok(())
}
