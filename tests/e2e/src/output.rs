//! What an export left in its folder: `_SUCCESS`, the manifest it vouches for, the parts the manifest names, their rows.
//! Must not know how any of it is made.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rivet_test_servers::oracle;
use serde_json::Value;
use tempfile::TempDir;

/// One export as a careful reader sees it.
#[derive(Debug)]
pub struct Exported {
    /// The document `_SUCCESS`.
    pub success: Value,
    /// The manifest that it names.
    pub manifest: Value,
    /// The parts that the manifest names.
    pub parts: Vec<PathBuf>,
    /// Keeps the folder, when nothing else does.
    pub(crate) kept: Option<TempDir>,
}

impl Exported {
    /// Reads a folder and checks that its documents agree with each other and with the files.
    ///
    /// # Errors
    /// When something is missing or does not agree.
    pub fn read(dir: &Path) -> Result<Self> {
        let success = document(&dir.join("_SUCCESS"))?;
        let name = success["manifest"].as_str().context("_SUCCESS names a manifest")?;
        let digest = success["manifest_digest"].as_str().context("_SUCCESS has the digest of the manifest")?;
        ensure!(is_digest(digest), "no digest: {digest:?}");
        let manifest = document(&dir.join(name))?;
        ensure!(manifest["run_id"] == success["run_id"], "_SUCCESS and the manifest are of different runs");
        let mut parts = Vec::new();
        let mut rows = 0;
        for part in manifest["parts"].as_array().context("the manifest lists parts")? {
            let path = dir.join(part["name"].as_str().context("a part has a name")?);
            let bytes = fs::metadata(&path).with_context(|| format!("look at {}", path.display()))?.len();
            ensure!(part["bytes"] == bytes, "{} has {bytes} bytes, not {}", path.display(), part["bytes"]);
            ensure!(part["digest"].as_str().is_some_and(is_digest), "a part without a digest: {part}");
            rows += part["rows"].as_u64().context("a part has rows")?;
            parts.push(path);
        }
        ensure!(manifest["rows"] == rows, "the parts have {rows} rows, the manifest says {}", manifest["rows"]);
        let read = Self { success, manifest, parts, kept: None };
        read.check_staged(dir)?;
        Ok(read)
    }

    fn check_staged(&self, dir: &Path) -> Result<()> {
        let left: Vec<_> =
            files_below(dir)?.into_iter().filter(|f| f.extension().is_some_and(|e| e == "staged")).collect();
        ensure!(left.is_empty(), "staged files are left: {left:?}");
        Ok(())
    }

    /// Rows that the manifest says there are.
    pub fn n_rows(&self) -> u64 {
        self.manifest["rows"].as_u64().unwrap_or(u64::MAX)
    }

    /// `read_parquet([…])` of the parts, for a query in DuckDB.
    ///
    /// # Errors
    /// When there is no part.
    pub fn relation(&self) -> Result<String> {
        if self.parts.is_empty() {
            bail!("there is no part to read");
        }
        let files: Vec<String> =
            self.parts.iter().map(|p| format!("'{}'", p.display().to_string().replace('\'', "''"))).collect();
        Ok(format!("read_parquet([{}])", files.join(", ")))
    }

    /// Rows of `select {columns} from the parts {rest}` by DuckDB.
    ///
    /// # Errors
    /// When DuckDB refuses.
    pub fn rows(&self, columns: &str, rest: &str) -> Result<Vec<Value>> {
        let printed = oracle::duckdb(&format!("select {columns} from {} {rest}", self.relation()?))?;
        printed.lines().map(|line| serde_json::from_str(line).context("read a row of DuckDB")).collect()
    }

    /// As pyarrow sees the schema of the first part: a line a column.
    ///
    /// # Errors
    /// When there is no part, or pyarrow cannot read it.
    pub fn schema(&self) -> Result<String> {
        oracle::pyarrow_schema(self.parts.first().context("there is no part")?)
    }
}

/// Every file below a folder, in order; none when the folder does not exist.
///
/// # Errors
/// When a folder cannot be read.
pub fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !dir.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether `needle` occurs in `bytes`.
pub fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn document(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("read {} as JSON", path.display()))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("xxh3-128:").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}
