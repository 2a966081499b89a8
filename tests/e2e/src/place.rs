//! A place to run the binary in: a config, private copies of the plugins, the output.
//! Must not know what is exported.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Where cargo puts binaries and libraries.
pub fn target_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    Ok(exe.parent().and_then(Path::parent).context("the test runs outside a target folder")?.to_owned())
}

/// A folder of its own for each test.
pub struct Place {
    /// The folder; the working directory of every run.
    pub dir: tempfile::TempDir,
    /// Private copies of the plugin libraries.
    pub plugins: PathBuf,
}

impl Place {
    /// Writes the config and copies the plugins.
    pub fn new(config: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let plugins = dir.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        for name in ["source_sqlite", "source_postgres", "format_parquet", "dest_local", "dest_stdout"] {
            let file = format!("librivet_{name}.so");
            let from = target_dir()?.join(&file);
            ensure!(from.exists(), "{} is not built: `cargo xtask test` builds it first", from.display());
            std::fs::copy(from, plugins.join(file))?;
        }
        std::fs::write(dir.path().join("rivet.yaml"), config)?;
        Ok(Self { dir, plugins })
    }

    /// `rivet run`, with the server's address in the environment.
    pub fn run(&self, fault: Option<&str>, url: &str) -> Result<Output> {
        let mut rivet = Command::new(target_dir()?.join("rivet"));
        rivet.arg("run").arg("--plugin-dir").arg(&self.plugins).current_dir(self.dir.path()).env("TEST_URL", url);
        if let Some(fault) = fault {
            rivet.args(["--fault", fault]);
        }
        Ok(rivet.output()?)
    }

    /// Where the config's `path: out` leads.
    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Names of the files in the output, in no order.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.out()).into_iter().flatten().flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }

    /// The parts of the manifest that `_SUCCESS` vouches for; all of them are there with the stated size.
    pub fn complete_run(&self) -> Result<Option<Vec<PathBuf>>> {
        let Ok(success) = std::fs::read(self.out().join("_SUCCESS")) else { return Ok(None) };
        let success: Value = serde_json::from_slice(&success)?;
        let name = success["manifest"].as_str().context("a manifest")?;
        let manifest: Value = serde_json::from_slice(&std::fs::read(self.out().join(name))?)?;
        let mut parts = Vec::new();
        for part in manifest["parts"].as_array().context("parts")? {
            let path = self.out().join(part["name"].as_str().context("a name")?);
            ensure!(std::fs::metadata(&path)?.len() == part["bytes"].as_u64().context("bytes")?, "{}", path.display());
            parts.push(path);
        }
        Ok(Some(parts))
    }
}
