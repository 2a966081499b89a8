//! One release binary with chosen plugins linked in.
//! It must not know any plugin's name: the host's features say which can be linked.

mod beside;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::dist::print_size;
use crate::plugins::place;
use crate::run::{cargo, run};
use crate::suggest::did_you_mean;
use crate::workspace::{Package, Workspace};

/// How the chore is called.
pub const USAGE: &str = "slim --with A,B,… [--with-crate FOLDER,URL#REV,…] [--out FILE]";

/// `slim`.
///
/// # Errors
/// When a name is not known or the build fails.
pub fn slim(words: &[String]) -> Result<()> {
    let args = Args::parse(words, &[], &["--with", "--with-crate", "--out"])?;
    let workspace = Workspace::read()?;
    let with = args.list("--with").context("name the plugins to link: --with postgres,parquet,local")?;
    let crates = args.list("--with-crate").unwrap_or_default();
    print_size(&build(&workspace, &with, &crates, args.value("--out").map(Path::new))?)
}

/// Builds the binary, with crates of other authors if there are any; returns where it is.
///
/// # Errors
/// As [`slim`].
pub fn build(workspace: &Workspace, with: &[&str], crates: &[&str], out: Option<&Path>) -> Result<PathBuf> {
    check_names(workspace.package("rivet")?, with)?;
    let dir = workspace.target.join("slim");
    let built = if crates.is_empty() {
        let mut build = cargo(["build", "--release", "--locked", "--package", "rivet", "--no-default-features"]);
        run(build.arg("--features").arg(with.join(",")).arg("--target-dir").arg(&dir))?;
        dir.join("release/rivet")
    } else {
        beside::build(workspace, with, crates, &dir)?
    };
    let Some(out) = out else { return Ok(built) };
    let out = if out.is_dir() { out.join("rivet") } else { out.to_owned() };
    place(&built, &out)?;
    Ok(out)
}

/// Each name must be a feature of the host that links a plugin.
fn check_names(host: &Package, with: &[&str]) -> Result<()> {
    let links = |needs: &[String]| needs.iter().any(|n| n.starts_with("dep:rivet-"));
    let known: Vec<&str> = host.features.iter().filter(|(_, needs)| links(needs)).map(|(name, _)| &**name).collect();
    match with.iter().find(|name| !known.contains(*name)) {
        Some(name) => {
            let meant = did_you_mean(name, known.iter().copied());
            bail!("no plugin is linked as '{name}'{meant} (there are {})", known.join(", "))
        }
        None if with.is_empty() => bail!("a binary without plugins can do nothing (there are {})", known.join(", ")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_features_that_link_a_plugin_are_names() {
        let feature = |name: &str, needs: &[&str]| (name.to_owned(), needs.iter().map(|n| (*n).to_owned()).collect());
        let host = Package {
            name: "rivet".into(),
            dir: "host".into(),
            dependencies: vec![],
            targets: vec![],
            features: vec![
                feature("default", &[]),
                feature("fault", &["rivet-core/fault"]),
                feature("local", &["dep:rivet-dest-local"]),
                feature("parquet", &["dep:rivet-format-parquet"]),
            ],
        };
        assert!(check_names(&host, &["local", "parquet"]).is_ok());
        for (with, message) in [
            (&["locla"][..], "no plugin is linked as 'locla'; did you mean 'local'? (there are local, parquet)"),
            (&["local", "fault"], "no plugin is linked as 'fault' (there are local, parquet)"),
            (&[], "a binary without plugins can do nothing (there are local, parquet)"),
        ] {
            assert_eq!(check_names(&host, with).map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }
}
