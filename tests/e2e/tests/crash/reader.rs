//! What somebody sees who reads the output folder at any moment, also right after a crash.
//! Must not know what was to be exported.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::files_below;
use serde_json::Value;

/// Ending of a part that is not published; a reader of `*.parquet` does not see it.
const STAGED: &str = ".rivet.staged";

/// One look at a folder.
#[derive(Debug, Default)]
pub struct Seen {
    /// Run that `_SUCCESS` vouches for, when there is one.
    pub run_id: Option<String>,
    /// Parts of that run.
    pub parts: Vec<PathBuf>,
    /// Runs that have a manifest.
    pub manifests: BTreeSet<String>,
    /// Visible parts that are in no manifest.
    pub loose: BTreeSet<String>,
    /// Names of the parts that are staged.
    pub staged: BTreeSet<String>,
    /// Small objects that were on their way to their names when the process died.
    pub unfinished: BTreeSet<String>,
}

impl Seen {
    /// Looks, and checks that every manifest lists files that are there with the stated size.
    pub fn look(dir: &Path) -> Result<Self> {
        let mut seen = Self::default();
        let mut visible = BTreeSet::new();
        let mut listed = BTreeSet::new();
        for path in files_below(dir)? {
            let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
            if let Some(part) = name.strip_suffix(STAGED) {
                seen.staged.insert(part.to_owned());
            } else if name.starts_with("_manifest-") && name.ends_with(".json") {
                let (run_id, parts) = manifest(dir, &name)?;
                seen.manifests.insert(run_id);
                listed.extend(parts);
            } else if name.ends_with(".parquet") {
                visible.insert(name);
            } else if name.ends_with(".tmp") {
                seen.unfinished.insert(name);
            } else {
                ensure!(name == "_SUCCESS" || name.starts_with("_SUCCESS."), "an unknown file: {}", path.display());
            }
        }
        seen.loose = visible.difference(&listed).cloned().collect();
        // The pointer of the export comes before the common one; both say the same once both are there.
        for pointer in files_below(dir)?.iter().filter(|f| f.extension().is_some() && is_pointer(f)) {
            let own = document(pointer)?;
            let name = own["manifest"].as_str().context("a pointer names a manifest")?;
            ensure!(own["run_id"] == manifest(dir, name)?.0.as_str(), "a pointer and its manifest differ");
            ensure!(!dir.join("_SUCCESS").exists() || own == document(&dir.join("_SUCCESS"))?, "the pointers differ");
        }
        if dir.join("_SUCCESS").exists() {
            let success = document(&dir.join("_SUCCESS"))?;
            let name = success["manifest"].as_str().context("_SUCCESS names a manifest")?;
            let (run_id, parts) = manifest(dir, name)?;
            ensure!(success["run_id"] == run_id.as_str(), "_SUCCESS and its manifest are of different runs");
            ensure!(success["parts"] == parts.len(), "_SUCCESS counts other parts than its manifest");
            seen.parts = parts.iter().map(|part| dir.join(part)).collect();
            seen.run_id = Some(run_id);
        }
        Ok(seen)
    }
}

fn is_pointer(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("_SUCCESS") && !name.ends_with(".tmp")
}

/// Run and part names of a manifest whose parts are all there.
fn manifest(dir: &Path, name: &str) -> Result<(String, Vec<String>)> {
    let manifest = document(&dir.join(name))?;
    let mut names = Vec::new();
    for part in manifest["parts"].as_array().context("a manifest lists parts")? {
        let part_name = part["name"].as_str().context("a part has a name")?;
        let found = std::fs::metadata(dir.join(part_name)).with_context(|| format!("{name} lists {part_name}"))?;
        ensure!(part["bytes"] == found.len(), "{part_name} has {} bytes, {name} says {}", found.len(), part["bytes"]);
        names.push(part_name.to_owned());
    }
    let run_id = manifest["run_id"].as_str().context("a manifest names its run")?;
    Ok((run_id.to_owned(), names))
}

fn document(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("read {} as JSON", path.display()))
}
