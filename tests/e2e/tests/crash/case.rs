//! One crash: the workspace it happened in, what was seen right after it, and the run that cleans up.
//! Must not know why the process died.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rivet_test_e2e::Workspace;

use crate::reader::Seen;

/// A workspace before and after the cleaning run.
#[derive(Debug)]
pub struct Case {
    /// Named in failures.
    pub label: String,
    /// Where it happened.
    pub workspace: Workspace,
    /// What a reader saw right after the crash.
    pub crashed: Seen,
    /// What a reader saw after the next run.
    pub settled: Seen,
}

impl Case {
    /// Looks at what the dead process left, keeps its state for later, runs again and looks again.
    pub fn settle(label: String, workspace: Workspace) -> Result<Self> {
        let out = workspace.path().join("out");
        let crashed = Seen::look(&out).with_context(|| format!("{label}: right after the crash"))?;
        let kept = workspace.path().join("crashed");
        fs::create_dir(&kept)?;
        for file in state_files(workspace.path())? {
            let name = file.file_name().context("a file has a name")?.to_owned();
            fs::copy(&file, kept.join(name))?;
        }
        workspace.run()?.expect(0).with_context(|| format!("{label}: the next run"))?;
        let settled = Seen::look(&out).with_context(|| format!("{label}: after the next run"))?;
        Ok(Self { label, workspace, crashed, settled })
    }

    /// The state as the dead process left it.
    pub fn crashed_state(&self) -> PathBuf {
        self.workspace.path().join("crashed").join(STATE)
    }

    /// The state after the next run.
    pub fn settled_state(&self) -> PathBuf {
        self.workspace.path().join(STATE)
    }

    /// Staged parts that no run recorded: their names alone say whose they are.
    pub fn unrecorded(&self, recorded: &BTreeSet<String>) -> BTreeSet<String> {
        self.crashed.staged.difference(recorded).cloned().collect()
    }
}

const STATE: &str = ".rivet_state.db";

/// The database with its log.
fn state_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if [STATE, ".rivet_state.db-wal", ".rivet_state.db-shm"].contains(&&*name) {
            files.push(path.clone());
        }
    }
    Ok(files)
}
