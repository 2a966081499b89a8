//! Packages of a Debian release that is not this machine's, unpacked into a folder: nothing of the system changes.
//! Must not know what is in them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// Where libraries lie, below the folder; a release has one of them or both.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// Downloads packages of a `release` (its code name) with apt, which checks their signatures, and unpacks them into
/// `dir`. A package may be named with a version, `name=1.2.*`.
///
/// # Errors
/// When apt is missing, this machine has no mirror of Debian, or the mirror does not have them.
pub(crate) fn unpack(dir: &Path, release: &str, packages: &[&str]) -> Result<()> {
    // Beside the folder's content, and gone at the end.
    let apt = dir.join("apt");
    let (lists, debs) = (apt.join("lists"), apt.join("debs"));
    for folder in [&lists, &debs] {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let (sources, kind) = mirror(release)?;
    let list = apt.join(format!("mirror.{kind}"));
    fs::write(&list, sources).context("write apt's sources")?;
    let run = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(&debs).arg("-q");
        for (option, value) in [
            ("Dir::Etc::sourcelist", list.as_path()),
            ("Dir::Etc::sourceparts", Path::new("/dev/null")),
            ("Dir::State::status", Path::new("/dev/null")),
            ("Dir::State::lists", &lists),
            ("Dir::Cache", &apt),
            ("Acquire::Languages", Path::new("none")),
            // The user that apt would become may not write here.
            ("APT::Sandbox::User", Path::new("root")),
        ] {
            command.arg("-o").arg(format!("{option}={}", value.display()));
        }
        command::output(command.args(words), "").with_context(|| format!("fetch packages of Debian {release}"))
    };
    run(&["update"])?;
    run(&[&["download"], packages].concat())?;
    for deb in fs::read_dir(&debs).context("list the packages")? {
        let deb = deb.context("list the packages")?.path();
        command::output(Command::new("dpkg").arg("-x").args([&deb, dir]), "").context("unpack a package")?;
    }
    fs::remove_dir_all(&apt).context("remove what apt left")
}

/// The words that run `program` of an unpacked folder with that folder's libraries: this machine's may be too old.
///
/// # Errors
/// When the folder has no C library.
pub(crate) fn words(dir: &Path, program: &str) -> Result<Vec<OsString>> {
    let libraries: Vec<PathBuf> = LIBRARIES.iter().map(|library| dir.join(library)).collect();
    let loaders = libraries.iter().map(|dir| dir.join("ld-linux-x86-64.so.2"));
    let Some(loader) = loaders.into_iter().find(|file| file.exists()) else {
        bail!("find a C library below {}", dir.display());
    };
    let path = std::env::join_paths(&libraries).context("name the folders of libraries")?;
    Ok(vec![loader.into(), "--inhibit-cache".into(), "--library-path".into(), path, dir.join(program).into()])
}

/// The source of this machine's own release, for another one, and the format it is written in (apt's name for it).
fn mirror(release: &str) -> Result<(String, &'static str)> {
    let about = fs::read_to_string("/etc/os-release").context("read which system this is")?;
    let ours = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let ours = ours.map(|name| name.trim_matches('"')).context("find the code name of this system's release")?;
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    for file in std::iter::once(PathBuf::from("/etc/apt/sources.list")).chain(parts) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let (found, kind) = match file.extension().and_then(|e| e.to_str()) {
            Some("list") => (text.lines().find_map(|line| other_line(line, ours, release)), "list"),
            Some("sources") => (text.split("\n\n").find_map(|entry| other_stanza(entry, ours, release)), "sources"),
            _ => continue,
        };
        if let Some(found) = found {
            return Ok((found + "\n", kind));
        }
    }
    bail!("find a mirror of Debian {ours} among this machine's apt sources")
}

/// `deb [options] URL release components`, if it is of the release `ours`, for another.
fn other_line(line: &str, ours: &str, release: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let options = rest.starts_with('[').then(|| rest.split_inclusive(']').next()).flatten().unwrap_or_default();
    let mut words = rest[options.len()..].split_whitespace();
    let (url, of) = (words.next()?, words.next()?);
    (of == ours).then(|| format!("deb {options} {url} {release} main"))
}

/// As [`other_line`] for the fields of an entry (deb822).
fn other_stanza(entry: &str, ours: &str, release: &str) -> Option<String> {
    let field = |name: &str| {
        let value = |line: &str| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        entry.lines().find_map(value)
    };
    let has = |name: &str, word: &str| field(name).is_some_and(|value| value.split_whitespace().any(|w| w == word));
    if !has("Types", "deb") || !has("Suites", ours) || has("Enabled", "no") {
        return None;
    }
    let mut other = format!("Types: deb\nURIs: {}\nSuites: {release}\nComponents: main", field("URIs")?);
    if let Some(keys) = field("Signed-By").filter(|keys| !keys.is_empty()) {
        other += &format!("\nSigned-By: {keys}");
    }
    Some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_release_is_replaced() {
        let line = "deb [arch=amd64 signed-by=/k.gpg] https://mirror.test/debian old main contrib";
        let other = "deb [arch=amd64 signed-by=/k.gpg] https://mirror.test/debian new main";
        assert_eq!(other_line(line, "old", "new").as_deref(), Some(other));
        assert_eq!(
            other_line("deb http://m.test/d old main", "old", "new").as_deref(),
            Some("deb  http://m.test/d new main")
        );
        for none in [
            "# deb http://m.test/d old main",
            "deb http://m.test/d old-security main",
            "deb-src http://m.test/d old main",
        ] {
            assert_eq!(other_line(none, "old", "new"), None, "{none}");
        }
        let entry = "Types: deb deb-src\n# a comment\nuris: http://m.test/d\nSuites: old old-updates\n\
            Components: main contrib\nSigned-By: /k.gpg";
        let other = "Types: deb\nURIs: http://m.test/d\nSuites: new\nComponents: main\nSigned-By: /k.gpg";
        assert_eq!(other_stanza(entry, "old", "new").as_deref(), Some(other));
        for none in [entry.replace("old old-updates", "old-security"), format!("{entry}\nEnabled: no")] {
            assert_eq!(other_stanza(&none, "old", "new"), None, "{none}");
        }
    }
}
