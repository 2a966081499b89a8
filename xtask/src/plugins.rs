//! The plugin libraries: built, and collected in a folder that a host can load from.
//! It must not know any plugin's name: the folder `plugins/` says which there are.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::args::Args;
use crate::run::{DEV, build, cargo, run};
use crate::workspace::{Package, Workspace};

/// How the chore is called.
pub const USAGE: &str = "plugins [--release] [--out DIR]";

/// `plugins`.
///
/// # Errors
/// When the build fails or the folder cannot be written.
pub fn plugins(words: &[String]) -> Result<()> {
    let args = Args::parse(words, &["--release"], &["--out"])?;
    let workspace = Workspace::read()?;
    let built = if args.has("--release") { build_release(&workspace)? } else { build_dev(&workspace)? };
    let out = match args.value("--out") {
        Some(dir) => {
            fs::create_dir_all(dir).with_context(|| format!("failed to create {dir}"))?;
            let dir = PathBuf::from(dir);
            copy_libraries(workspace.plugins(), &built, &dir)?;
            dir
        }
        None if args.has("--release") => {
            let dir = workspace.target.join("plugins-release");
            collect(workspace.plugins(), &built, &dir)?;
            dir
        }
        None => collect_dev(&workspace)?,
    };
    println!("{}", out.display());
    Ok(())
}

/// Builds the world for development; returns the folder with what was built.
///
/// # Errors
/// When the build fails.
pub fn build_dev(workspace: &Workspace) -> Result<PathBuf> {
    run(cargo(["build"]).args(DEV))?;
    Ok(workspace.target.join("debug"))
}

/// Builds host and plugins for release, without fault points; returns the folder with what was built. The folder is
/// of its own, so that a selection of packages does not overwrite what a build of the workspace left.
///
/// # Errors
/// When the build fails.
pub fn build_release(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.target.join("dist-build");
    eprintln!("# building rivet and all plugins for release: the first time some eight minutes on two cores");
    let packages = std::iter::once("rivet").chain(workspace.plugins().map(|p| p.name.as_str()));
    run(build("release", packages).arg("--target-dir").arg(&dir))?;
    Ok(dir.join("release"))
}

/// Puts the development build's libraries into `target/plugins`.
///
/// # Errors
/// When the folder cannot be written.
pub fn collect_dev(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.target.join("plugins");
    collect(workspace.plugins(), &workspace.target.join("debug"), &dir)?;
    Ok(dir)
}

/// Makes `to` a folder of these plugins' libraries and nothing else, that nobody but its owner can write to.
///
/// # Errors
/// When it cannot be written.
pub fn collect<'a>(plugins: impl Iterator<Item = &'a Package>, from: &Path, to: &Path) -> Result<()> {
    let plugins: Vec<_> = plugins.collect();
    fs::create_dir_all(to).with_context(|| format!("failed to create {}", to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    let libraries: Vec<_> = plugins.iter().filter_map(|p| p.library()).collect();
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !libraries.iter().any(|library| entry.file_name() == library.as_str()) {
            fs::remove_file(entry.path()).with_context(|| format!("failed to remove {}", entry.path().display()))?;
        }
    }
    copy_libraries(plugins.into_iter(), from, to)
}

fn copy_libraries<'a>(plugins: impl Iterator<Item = &'a Package>, from: &Path, to: &Path) -> Result<()> {
    plugins.filter_map(Package::library).try_for_each(|file| place(&from.join(&file), &to.join(&file)))
}

/// Puts a file in place in one step: a process that has the old one open keeps it. A link where the file system allows
/// it: cargo and the linker replace their files and never write into them.
///
/// # Errors
/// When the file is missing or the place cannot be written.
pub fn place(from: &Path, to: &Path) -> Result<()> {
    let built = fs::metadata(from).with_context(|| format!("{} was not built", from.display()))?;
    if fs::metadata(to).is_ok_and(|there| there.ino() == built.ino() && there.dev() == built.dev()) {
        return Ok(());
    }
    let mut name = to.file_name().context("a file to copy has a name")?.to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = to.with_file_name(name);
    if fs::hard_link(from, &new).is_err() {
        fs::copy(from, &new).with_context(|| format!("failed to copy {} to {}", from.display(), new.display()))?;
    }
    // What is built under the umask 002 is writable by its group, and the host loads no such library.
    let mode = fs::metadata(&new)?.permissions().mode();
    if mode & 0o022 != 0 {
        fs::set_permissions(&new, fs::Permissions::from_mode(mode & !0o022))?;
    }
    fs::rename(&new, to).with_context(|| format!("failed to put {} in place", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_use_is_replaced_and_not_overwritten() -> Result<()> {
        let exe = std::env::current_exe()?;
        let dir = exe.parent().context("a folder")?.join(format!("place-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let (from, to) = (dir.join("from"), dir.join("to"));
        fs::write(&from, "one")?;
        place(&from, &to)?;
        place(&from, &to)?;
        // The linker replaces its output.
        fs::remove_file(&from)?;
        fs::write(&from, "two")?;
        let old = fs::File::open(&to)?;
        assert_eq!(fs::read_to_string(&to)?, "one");
        place(&from, &to)?;
        assert_eq!((fs::read_to_string(&to)?, std::io::read_to_string(old)?), ("two".into(), "one".into()));
        assert_eq!(fs::read_dir(&dir)?.count(), 2);
        assert!(place(&dir.join("missing"), &to).is_err());
        Ok(fs::remove_dir_all(&dir)?)
    }
}
