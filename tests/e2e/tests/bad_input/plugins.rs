//! Plugin folders with something wrong in them.
//! Must not know how a library is loaded.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

/// A copy of the library of SQLite, under this name.
fn copy(dir: &Path, name: &str) -> Result<String> {
    let file = dir.join(name);
    fs::copy(library("source_sqlite")?, &file)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Ok(file.display().to_string())
}

#[test]
fn of_two_plugins_of_one_name_the_first_is_used_and_the_other_shown() -> Result<()> {
    let dir = folder("source_sqlite")?;
    let first_dir = TempDir::with_prefix("rivet-plugins-")?;
    let second = copy(dir.path(), "librivet_source_sqlite.so")?;
    let first = copy(first_dir.path(), "libmine.so")?;
    let place = workspace(dir.path())?;
    let first_dir = first_dir.path().display().to_string();
    let before = ["run", "--plugin-dir", &first_dir];
    let ran = place.rivet(&before)?.expect(0)?;
    let says = format!("warning: the plugin '{second}' is not used: '{first}' comes first");
    ensure!(ran.stderr.contains(&says), "{says} in {}", ran.stderr);
    let list = ["plugin", "list", "--plugin-dir", &first_dir];
    let listed = place.rivet(&list)?.expect(0)?;
    let row = |origin: &str| listed.text().map(|t| t.lines().find(|l| l.contains(origin)).map(str::to_owned));
    ensure!(row(&second)?.is_some_and(|l| l.contains(&format!("(not used: {first} comes first)"))), "{listed:?}");
    let document = place.rivet(&[&list[..], &["--output", "json"]].concat())?.expect(0)?.json()?;
    let sqlite = |key: &str| document[key].as_array().into_iter().flatten().filter(|p| p["name"] == "sqlite").count();
    assert_eq!((sqlite("plugins"), sqlite("shadowed")), (1, 1));
    assert_eq!(document["shadowed"][0]["shadowed_by"], *first);
    // In one folder it is the same, by name.
    copy(dir.path(), "libanother.so")?;
    let listed = place.rivet(&["plugin", "list"])?.expect(0)?;
    ensure!(listed.stderr.contains("librivet_source_sqlite.so' is not used: the one of "), "{}", listed.stderr);
    Ok(())
}

#[test]
fn a_plugin_that_comes_later_stops_nobody() -> Result<()> {
    let dir = folder("source_sqlite")?;
    let mine = TempDir::with_prefix("rivet-plugins-")?;
    copy(mine.path(), "libmine.so")?;
    crate::trust::deadly(dir.path(), "rivet_source_sqlite", "abort()")?;
    let place = workspace(dir.path())?;
    let ran = place.rivet(&["run", "--plugin-dir", &mine.path().display().to_string()])?.expect(0)?;
    ensure!(ran.stderr.contains("libdeadly.so' is not used"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn a_folder_that_is_named_comes_before_what_is_linked_in_and_that_before_what_is_installed() -> Result<()> {
    let dir = TempDir::with_prefix("rivet-plugins-")?;
    let mine = copy(dir.path(), "libmine.so")?;
    let place = workspace(dir.path())?.with_linked_plugins();
    let installed = place.path().join(".local/share/rivet/plugins");
    fs::create_dir_all(&installed)?;
    let installed = copy(&installed, "libinstalled.so")?;
    let linked = place.rivet(&["run"])?.expect(0)?;
    let says = format!("the source 'sqlite' of '{installed}' is not used: the one linked into this binary comes first");
    ensure!(linked.stderr.contains(&says), "{says} in {}", linked.stderr);
    let named = place.rivet(&["run", "--plugin-dir", &dir.path().display().to_string()])?.expect(0)?;
    let says = format!("the source 'sqlite' linked into this binary is not used: the one of '{mine}' comes first");
    ensure!(named.stderr.contains(&says), "{says} in {}", named.stderr);
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
