//! Host and plugins: for development, for people, for packagers.
//! It must not know any plugin's name: the folder `plugins/` says which there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::{DEV_FEATURES, cargo, metadata, root, run, target};

/// Builds everything for development and puts the plugin libraries into `target/plugins`.
pub fn plugins() -> Result<PathBuf> {
    run(cargo(["build", "--workspace", "--locked"]).args(DEV_FEATURES))?;
    let dir = target().join("plugins");
    collect(&target().join("debug"), &dir)?;
    Ok(dir)
}

/// The host's demo with loaded plugins. The development build is used: it is the quickest way to a first export.
pub fn demo(arguments: &[String]) -> Result<()> {
    let dir = plugins()?;
    let here = std::env::current_dir().context("no working directory")?;
    let mut rivet = std::process::Command::new(target().join("debug/rivet"));
    run(rivet.arg("demo").args(arguments).arg("--plugin-dir").arg(dir).current_dir(here))
}

/// Release host and plugins, laid out as they are installed: the host finds the plugins beside itself.
pub fn dist() -> Result<()> {
    let release = target().join("dist-build");
    let mut build = cargo(["build", "--release", "--locked", "--target-dir"]);
    build.arg(&release).args(["--package", "rivet"]);
    for package in plugin_packages()? {
        build.args(["--package", &package]);
    }
    run(&mut build)?;
    let dist = target().join("dist");
    fs::create_dir_all(dist.join("bin"))?;
    copy(&release.join("release/rivet"), &dist.join("bin/rivet"))?;
    collect(&release.join("release"), &dist.join("lib/rivet/plugins"))?;
    println!("{}", dist.join("bin/rivet").display());
    Ok(())
}

/// `slim --with A,B [--out FILE]`.
pub fn slim_command(arguments: &[String]) -> Result<()> {
    let (mut with, mut out) = (None, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--with" => with = words.next(),
            "--out" => out = words.next(),
            other => bail!("slim takes --with and --out, not '{other}'"),
        }
    }
    let with = with.context("name the plugins: --with postgres,parquet,local")?;
    let path = slim(&with.split(',').collect::<Vec<_>>(), out.map(Path::new))?;
    println!("{} ({:.1} MiB)", path.display(), fs::metadata(&path)?.len() as f64 / f64::from(1 << 20));
    Ok(())
}

/// One release binary with these plugins linked in.
pub fn slim(with: &[&str], out: Option<&Path>) -> Result<PathBuf> {
    let known = host_plugin_features()?;
    if let Some(unknown) = with.iter().find(|name| !known.contains(**name)) {
        bail!("no plugin can be linked as '{unknown}'; there is {}", known.into_iter().collect::<Vec<_>>().join(", "));
    }
    let dir = target().join("slim");
    let mut build =
        cargo(["build", "--release", "--locked", "--package", "rivet", "--no-default-features", "--features"]);
    run(build.arg(with.join(",")).arg("--target-dir").arg(&dir))?;
    let built = dir.join("release/rivet");
    match out {
        Some(out) => copy(&built, out).map(|()| out.to_owned()),
        None => Ok(built),
    }
}

/// Names of the packages under `plugins/` that are libraries to load.
fn plugin_packages() -> Result<Vec<String>> {
    let metadata = metadata()?;
    let folder = root().join("plugins");
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let is_plugin = |p: &&serde_json::Value| {
        let below = p["manifest_path"].as_str().is_some_and(|path| Path::new(path).starts_with(&folder));
        below && p["targets"].to_string().contains("\"cdylib\"")
    };
    Ok(packages.iter().filter(is_plugin).filter_map(|p| p["name"].as_str().map(str::to_owned)).collect())
}

/// The host's features that stand for a plugin.
fn host_plugin_features() -> Result<BTreeSet<String>> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let host = packages.iter().find(|p| p["name"] == "rivet").context("no package rivet")?;
    let features = host["features"].as_object().context("no features")?;
    let names = features.iter().filter(|(_, needs)| needs.to_string().contains("dep:rivet-"));
    Ok(names.map(|(name, _)| name.clone()).collect())
}

/// Copies the plugin libraries, and nothing else, into a folder that only its owner can write to.
fn collect(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for package in plugin_packages()? {
        let file = format!("lib{}.so", package.replace('-', "_"));
        copy(&from.join(&file), &to.join(&file))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_file(to)?;
    }
    fs::copy(from, to).map(drop).with_context(|| format!("failed to copy {} to {}", from.display(), to.display()))
}
