//! The workspace as `cargo metadata` describes it: packages, targets, dependencies, and the build folder.
//! It must not know what a package is good for, beyond the folder it lies in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{cargo, output, root};

/// The members of the workspace.
#[derive(Debug)]
pub struct Workspace {
    /// Cargo's build folder, absolute.
    pub target: PathBuf,
    /// The members.
    pub packages: Vec<Package>,
}

/// A member.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root; empty components never occur.
    pub dir: PathBuf,
    /// What it depends on, with the kind of each dependency.
    pub dependencies: Vec<Dependency>,
    /// What is built from it.
    pub targets: Vec<Target>,
    /// Its features, each with what it switches on.
    pub features: Vec<(String, Vec<String>)>,
}

/// A dependency as written in the manifest.
#[derive(Debug)]
pub struct Dependency {
    /// Name of the package.
    pub name: String,
    /// `normal`, `dev` or `build`.
    pub kind: String,
    /// Whether a feature has to ask for it.
    pub optional: bool,
}

/// Something that is built.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Such as `lib`, `cdylib`, `bin`, `test`, `bench`.
    pub kinds: Vec<String>,
    /// Its first file, relative to the root.
    pub path: PathBuf,
}

impl Package {
    /// Whether it lies under `plugins/` and is a library to load.
    pub fn is_plugin(&self) -> bool {
        self.dir.starts_with("plugins") && self.library().is_some()
    }

    /// The file name of the library to load.
    pub fn library(&self) -> Option<String> {
        let target = self.targets.iter().find(|t| t.kinds.iter().any(|k| k == "cdylib"))?;
        Some(format!("{}{}{}", std::env::consts::DLL_PREFIX, target.name, std::env::consts::DLL_SUFFIX))
    }

    /// Its integration tests.
    pub fn tests(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|t| t.kinds.iter().any(|k| k == "test"))
    }
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// When a manifest is wrong or the lock file does not fit.
    pub fn read() -> Result<Self> {
        let text = output(&mut cargo(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
        let value: Value = serde_json::from_str(&text).context("failed to read cargo metadata")?;
        Self::from_metadata(&value, &root())
    }

    /// Asks cargo about the package or workspace in another folder, to which the paths are relative.
    ///
    /// # Errors
    /// When there is none, or a manifest is wrong.
    pub fn at(dir: &Path) -> Result<Self> {
        let mut metadata = cargo(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"]);
        let value: Value = serde_json::from_str(&output(metadata.arg(dir.join("Cargo.toml")))?)?;
        Self::from_metadata(&value, dir)
    }

    fn from_metadata(value: &Value, root: &Path) -> Result<Self> {
        let packages = list(&value["packages"]).iter().map(|p| package(p, root)).collect::<Result<_>>()?;
        Ok(Self { target: PathBuf::from(text(&value["target_directory"])?), packages })
    }

    /// The plugin libraries, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|p| p.is_plugin())
    }

    /// A member by name.
    ///
    /// # Errors
    /// When there is none.
    pub fn package(&self, name: &str) -> Result<&Package> {
        self.packages.iter().find(|p| p.name == name).with_context(|| format!("there is no package {name}"))
    }
}

fn package(value: &Value, root: &Path) -> Result<Package> {
    let manifest = PathBuf::from(text(&value["manifest_path"])?);
    let dir = manifest.parent().unwrap_or(root);
    let dependencies = list(&value["dependencies"]).iter().map(|d| {
        Ok(Dependency {
            name: text(&d["name"])?,
            kind: d["kind"].as_str().unwrap_or("normal").to_owned(),
            optional: d["optional"] == true,
        })
    });
    let targets = list(&value["targets"]).iter().map(|t| {
        Ok(Target { name: text(&t["name"])?, kinds: texts(&t["kind"]), path: relative(&text(&t["src_path"])?, root) })
    });
    let features = value["features"].as_object().into_iter().flatten();
    Ok(Package {
        name: text(&value["name"])?,
        dir: relative(&dir.to_string_lossy(), root),
        dependencies: dependencies.collect::<Result<_>>()?,
        targets: targets.collect::<Result<_>>()?,
        features: features.map(|(name, needs)| (name.clone(), texts(needs))).collect(),
    })
}

fn relative(path: &str, root: &Path) -> PathBuf {
    let path = Path::new(path);
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("cargo metadata has {value} in place of a text"))
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_the_loadable_libraries_below_plugins() {
        let package = |name: &str, dir: &str, kind: &str| {
            serde_json::json!({
                "name": name, "manifest_path": format!("/r/{dir}/Cargo.toml"), "dependencies": [], "features": {},
                "targets": [{"name": name.replace('-', "_"), "kind": [kind, "rlib"], "src_path": format!("/r/{dir}/src/lib.rs")}],
            })
        };
        let metadata = serde_json::json!({"target_directory": "/r/target", "packages": [
            package("rivet-dest-x", "plugins/dest-x", "cdylib"),
            package("rivet-shared-sql", "plugins/shared-sql", "lib"),
            package("rivet-test-hostile", "tests/kit/hostile", "cdylib"),
        ]});
        let workspace = Workspace::from_metadata(&metadata, Path::new("/r")).expect("as cargo prints it");
        let libraries: Vec<_> = workspace.plugins().filter_map(Package::library).collect();
        assert_eq!(libraries, ["librivet_dest_x.so"]);
        assert_eq!(workspace.packages[1].targets[0].path, Path::new("plugins/shared-sql/src/lib.rs"));
    }
}
