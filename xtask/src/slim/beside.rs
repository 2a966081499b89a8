//! Crates of other authors for a slim binary: found or fetched, and a package that links them beside the host.
//! It must not know what they do, nor change anything in the checkout.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::run::{cargo, output, root, run};
use crate::workspace::{Dependency, Package, Workspace};

/// What a plugin is built with; there may be one of it in a binary.
const API: &str = "rivet-plugin-api";

/// A package to link.
#[derive(Debug, PartialEq, Eq)]
struct Crate {
    /// Its name.
    package: String,
    /// Its library, as Rust calls it.
    library: String,
    /// Its folder, absolute.
    dir: PathBuf,
}

/// Builds the host with plugins of its own by their features, and with crates: folders, or URLs of git repositories, each with
/// a revision after `#` if need be. Returns where the binary is.
///
/// # Errors
/// When a crate is not there or cannot be linked, or the build fails.
pub fn build(workspace: &Workspace, features: &[&str], words: &[&str], target: &Path) -> Result<PathBuf> {
    let crates = found(words, &target.join("crates"))?;
    let package = target.join("package");
    let mut patched = BTreeSet::new();
    loop {
        write(&package, &manifest(workspace, features, &crates, &patched)?, &crates)?;
        // Each round patches one more repository.
        match other_api(&package)? {
            Some(url) => ensure!(patched.insert(url.clone()), "{API} of {url} cannot be replaced by this checkout's"),
            None => break,
        }
    }
    let mut build = cargo(["build", "--release", "--manifest-path"]);
    run(build.arg(package.join("Cargo.toml")).arg("--target-dir").arg(target))?;
    Ok(target.join("release/rivet"))
}

/// The crates of all folders and repositories; the latter are cloned into `clones`, each into a folder of its own.
fn found(words: &[&str], clones: &Path) -> Result<Vec<Crate>> {
    let mut crates: Vec<Crate> = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let dir = if is_url(word) { fetched(word, &clones.join(i.to_string()))? } else { PathBuf::from(word) };
        let dir = dir.canonicalize().with_context(|| format!("there is no folder {}", dir.display()))?;
        for new in linkable(&dir)? {
            if let Some(other) = crates.iter().find(|c| c.package == new.package) {
                bail!("both {} and {} are called {}", other.dir.display(), new.dir.display(), new.package);
            }
            crates.push(new);
        }
    }
    Ok(crates)
}

fn is_url(word: &str) -> bool {
    word.contains("://") || word.starts_with("git@")
}

/// Clones a repository into a folder; what an earlier build left there is removed.
fn fetched(word: &str, into: &Path) -> Result<PathBuf> {
    let (url, revision) = word.split_once('#').map_or((word, None), |(url, revision)| (url, Some(revision)));
    let name = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default().trim_end_matches(".git");
    ensure!(!name.is_empty() && !name.starts_with('.'), "'{url}' does not end with the name of a repository");
    if into.exists() {
        fs::remove_dir_all(into).with_context(|| format!("failed to remove {}", into.display()))?;
    }
    let dir = into.join(name);
    run(Command::new("git").args(["clone", "--quiet", "--", url]).arg(&dir))?;
    if let Some(revision) = revision {
        run(Command::new("git").arg("-C").arg(&dir).args(["checkout", "--quiet", "--detach", revision]))?;
    }
    Ok(dir)
}

/// The plugins in a folder: its package, or all of its workspace.
fn linkable(dir: &Path) -> Result<Vec<Crate>> {
    let found = Workspace::at(dir)?;
    let is_plugin = |d: &Dependency| d.name == API && d.kind == "normal";
    let is_own = |p: &&Package| p.dir.as_os_str().is_empty();
    let own: Vec<&Package> = found.packages.iter().filter(is_own).collect();
    let all = if own.is_empty() { found.packages.iter().collect() } else { own };
    let plugins = all.into_iter().filter(|p| p.dependencies.iter().any(is_plugin));
    let mut crates = Vec::new();
    for package in plugins {
        let is_linkable = |kind: &String| kind == "lib" || kind == "rlib";
        let library = package.targets.iter().find(|t| t.kinds.iter().any(is_linkable));
        let library = library.with_context(|| {
            format!("{} cannot be linked: its [lib] needs `crate-type = [\"cdylib\", \"rlib\"]`", package.name)
        })?;
        crates.push(Crate {
            package: package.name.clone(),
            library: library.name.replace('-', "_"),
            dir: dir.join(&package.dir),
        });
    }
    ensure!(!crates.is_empty(), "no package in {} depends on {API}", dir.display());
    Ok(crates)
}

/// The manifest of the package that links them. `patched` are repositories whose API is replaced by this checkout's.
fn manifest(workspace: &Workspace, features: &[&str], crates: &[Crate], patched: &BTreeSet<String>) -> Result<String> {
    let dir = |name: &str| anyhow::Ok(root().join(&workspace.package(name)?.dir));
    let mut text = format!(
        "[package]\nname = \"rivet-slim\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [[bin]]\nname = \"rivet\"\npath = \"main.rs\"\n\n[workspace]\n\n\
         [dependencies]\nrivet = {{ path = {:?}, default-features = false, features = {features:?} }}\n",
        dir("rivet")?
    );
    for Crate { package, dir, .. } in crates {
        text += &format!("{package} = {{ path = {dir:?} }}\n");
    }
    for source in ["crates-io"].into_iter().chain(patched.iter().map(String::as_str)) {
        text += &format!("\n[patch.{source:?}]\n");
        for name in [API, "rivet-plugin-abi"] {
            text += &format!("{name} = {{ path = {:?} }}\n", dir(name)?);
        }
    }
    let ours = fs::read_to_string(root().join("Cargo.toml")).context("failed to read Cargo.toml")?;
    let profile = ours.split_once("[profile.release]").context("there is a release profile")?.1;
    let profile = profile.split_once("\n[").map_or(profile, |(profile, _)| profile);
    Ok(format!("{text}\n[profile.release]{profile}"))
}

/// Writes the package. Versions are those of this checkout, as far as it has the same crates.
fn write(package: &Path, manifest: &str, crates: &[Crate]) -> Result<()> {
    let uses: String = crates.iter().map(|c| format!("use {} as _;\n", c.library)).collect();
    let main = format!("{uses}\nfn main() -> std::process::ExitCode {{\n    rivet::main({})\n}}\n", crates.len());
    fs::create_dir_all(package).with_context(|| format!("failed to create {}", package.display()))?;
    fs::write(package.join("Cargo.toml"), manifest)?;
    fs::write(package.join("main.rs"), main)?;
    fs::copy(root().join("Cargo.lock"), package.join("Cargo.lock")).map(drop).context("failed to copy Cargo.lock")
}

/// The git repository of an API that is not this checkout's, if there is one: what was built with it would announce itself to
/// nobody.
fn other_api(package: &Path) -> Result<Option<String>> {
    let mut metadata = cargo(["metadata", "--format-version", "1", "--manifest-path"]);
    let value: Value = serde_json::from_str(&output(metadata.arg(package.join("Cargo.toml")))?)?;
    for package in value["packages"].as_array().into_iter().flatten().filter(|p| p["name"] == API) {
        let path = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        if path.canonicalize()?.starts_with(root().canonicalize()?) {
            continue;
        }
        let source = package["source"].as_str().unwrap_or_default();
        match source.strip_prefix("git+").and_then(|url| url.split(['?', '#']).next()) {
            Some(url) => return Ok(Some(url.to_owned())),
            None => {
                bail!("a crate depends on the {API} in {}: depend on this checkout's, or on a version", path.display())
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_links_what_is_asked_for_and_patches_the_api() -> Result<()> {
        let workspace = Workspace::read()?;
        let crates = linkable(&root().join("examples/source-ndjson"))?;
        assert_eq!((crates[0].package.as_str(), crates[0].library.as_str()), ("source-ndjson", "source_ndjson"));
        let url = "https://forge.example/rivet".to_owned();
        let text = manifest(&workspace, &["csv", "local"], &crates, &BTreeSet::from([url]))?;
        for part in [
            "features = [\"csv\", \"local\"]",
            "source-ndjson = { path = ",
            "[patch.\"crates-io\"]\nrivet-plugin-api = { path = ",
            "[patch.\"https://forge.example/rivet\"]\nrivet-plugin-api = { path = ",
            "[profile.release]\nlto = ",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        Ok(())
    }

    /// A repository with a crate of this name, tagged, and of another one since.
    fn repository(dir: &Path, name: &str) -> Result<String> {
        let git = |words: &[&str]| {
            let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
            output(Command::new("git").arg("-C").arg(dir).args(identity).args(words)).map(drop)
        };
        fs::create_dir_all(dir.join("src"))?;
        fs::write(dir.join("src/lib.rs"), "")?;
        git(&["init", "--quiet"])?;
        for (tag, name) in [("v1", name), ("v2", "later")] {
            let api = root().join("plugin-api");
            let manifest = format!(
                "[package]\nname = \"{name}\"\nversion = \"1.0.0\"\n[dependencies]\n{API} = {{ path = {api:?} }}\n[workspace]\n"
            );
            fs::write(dir.join("Cargo.toml"), manifest)?;
            git(&["add", "."])?;
            git(&["commit", "--quiet", "--message", tag])?;
            git(&["tag", tag])?;
        }
        Ok(format!("file://{}", dir.display()))
    }

    #[test]
    fn repositories_are_cloned_at_their_revisions_and_apart() -> Result<()> {
        let dir = std::env::temp_dir().join(format!("rivet-clones-{}", std::process::id()));
        let one = repository(&dir.join("one/plugin.git"), "one")? + "#v1";
        let other = repository(&dir.join("other/plugin.git"), "other")?;
        let words = [one.as_str(), &format!("{other}#v1")];
        let names = |crates: Vec<Crate>| crates.into_iter().map(|c| c.package).collect::<Vec<_>>();
        // The second time there is what the first one left.
        for _ in 0..2 {
            let crates = found(&words, &dir.join("clones"))?;
            assert!(
                crates
                    .iter()
                    .all(|c| fs::read_to_string(c.dir.join("Cargo.toml")).is_ok_and(|t| t.contains(&c.package)))
            );
            assert_eq!(names(crates), ["one", "other"]);
        }
        assert_eq!(names(found(&[&other], &dir.join("clones"))?), ["later"], "without a revision it is the last one");
        let twice = found(&[&one, &one], &dir.join("clones")).expect_err("they are one").to_string();
        assert!(twice.contains("are called one"), "{twice}");
        assert!(found(&[&format!("{other}#v9")], &dir.join("clones")).is_err(), "there is no such revision");
        fs::remove_dir_all(&dir).map_err(Into::into)
    }

    #[test]
    fn what_cannot_be_linked_is_refused() {
        let refused = |path: &str| linkable(&root().join(path)).expect_err("it is no plugin").to_string();
        assert!(refused("xtask/templates").contains("Cargo.toml"));
        assert!(is_url("https://forge.example/x.git#v1") && is_url("git@forge.example:x") && !is_url("../x"));
    }
}
