//! Who is measured: the floor, Rivet, and its peers; how each is installed and called.
//! It must not know which table, nor what a run took.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::cases::ALL;
use super::engine::Engine;
use super::server::Server;
use crate::dist;
use crate::run::{cargo, root, run};
use crate::slim;
use crate::workspace::Workspace;

/// Peers that pip installs, pinned: what they do is theirs to change.
const PACKAGES: [&str; 10] = [
    "duckdb==1.5.5",
    "duckdb-extension-postgres-scanner==1.5.5",
    "duckdb-extension-mysql-scanner==1.5.5",
    "duckdb-extension-sqlite-scanner==1.5.5",
    "connectorx==0.4.6",
    "adbc-driver-postgresql==1.13.0",
    "adbc-driver-sqlite==1.13.0",
    "pyarrow==26.0.1",
    "psycopg[binary]==3.3.9",
    "tpchgen-cli==4.0.0",
];
/// A peer that cargo installs, pinned.
const RIVET_CLI: &str = "0.32.0";

/// One way to export a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The server's own client, which throws away what the server sends. A reference rather than a limit: a client takes
    /// time for each row.
    Floor,
    /// Our host with the plugins it finds.
    Rivet,
    /// Our host with the plugins linked in.
    RivetSlim,
    /// As `Rivet`, by ranges of the key.
    RivetChunked,
    /// As `Rivet`, with the profile of that name.
    RivetBalanced,
    RivetSafe,
    Duckdb,
    Connectorx,
    Adbc,
    RivetCli,
}

/// What is exported, and how.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    pub engine: Engine,
    pub table: &'a str,
    /// `parquet` or `csv`.
    pub format: &'a str,
    /// Level of zstd, for Parquet.
    pub level: u8,
    /// Workers or threads.
    pub parallel: u8,
    /// Re-read what was written.
    pub validate: bool,
}

impl Tool {
    /// As it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "the server's client, to nowhere",
            Self::Rivet => "rivet, dynamic plugins",
            Self::RivetSlim => "rivet, slim",
            Self::RivetChunked => "rivet, chunked",
            Self::RivetBalanced => "rivet, profile balanced",
            Self::RivetSafe => "rivet, profile safe",
            Self::Duckdb => "duckdb",
            Self::Connectorx => "connectorx + pyarrow",
            Self::Adbc => "adbc + pyarrow",
            Self::RivetCli => "rivet-cli",
        }
    }

    /// As `--tools` calls it.
    pub fn id(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Rivet => "rivet",
            Self::RivetSlim => "slim",
            Self::RivetChunked => "chunked",
            Self::RivetBalanced => "balanced",
            Self::RivetSafe => "safe",
            Self::Duckdb => "duckdb",
            Self::Connectorx => "connectorx",
            Self::Adbc => "adbc",
            Self::RivetCli => "rivet-cli",
        }
    }

    /// The one that a report calls so.
    pub fn named(name: &Value) -> Option<Self> {
        ALL.iter().copied().find(|tool| *name == tool.name())
    }

    /// Whether it is not ours.
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Duckdb | Self::Connectorx | Self::Adbc | Self::RivetCli)
    }
}

/// Where everything is.
pub struct Tools {
    rivet: PathBuf,
    rivet_slim: PathBuf,
    /// Interpreter with the peers and with what watches a server.
    pub python: PathBuf,
    rivet_cli: Option<PathBuf>,
    /// Generator of TPC-H tables.
    pub tpchgen: PathBuf,
}

impl Tools {
    /// Builds ours and installs the others below `target/bench`.
    ///
    /// # Errors
    /// When something cannot be built or installed.
    pub fn get(workspace: &Workspace, with_rivet_cli: bool) -> Result<Self> {
        dist::dist(&[])?;
        let rivet_slim = slim::build(workspace, &["postgres", "parquet", "csv", "local"], &[], None)?;
        let dir = workspace.target.join("bench");
        let environment = dir.join(format!("python-{}", PACKAGES.join("-").replace("==", "-").replace("[binary]", "")));
        if !environment.exists() {
            let new = dir.join("python.partial");
            let _ = fs::remove_dir_all(&new);
            run(Command::new("python3").args(["-m", "venv"]).arg(&new))?;
            let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
            run(Command::new(new.join("bin/python")).args(pip).args(PACKAGES))?;
            fs::rename(&new, &environment).context("failed to keep the Python environment")?;
        }
        let rivet_cli = if with_rivet_cli {
            let root = dir.join(format!("rivet-cli-{RIVET_CLI}"));
            if !root.join("bin/rivet").exists() {
                let target = dir.join("rivet-cli-build");
                let install = ["install", "--locked", "--version", RIVET_CLI, "rivet-cli", "--root"];
                run(cargo(install).arg(&root).arg("--target-dir").arg(&target))?;
                fs::remove_dir_all(&target).context("failed to remove a build folder")?;
            }
            Some(root.join("bin/rivet"))
        } else {
            None
        };
        Ok(Self {
            rivet: workspace.target.join("dist/bin/rivet"),
            rivet_slim,
            python: environment.join("bin/python"),
            rivet_cli,
            // A program, not a script: nothing in it names the folder that it was installed in.
            tpchgen: environment.join("bin/tpchgen-cli"),
        })
    }

    /// The words that export; files go below `out`, settings into `settings`.
    ///
    /// # Errors
    /// When the settings cannot be written.
    pub fn words(
        &self,
        tool: Tool,
        task: Task<'_>,
        server: &Server,
        out: &Path,
        settings: &Path,
    ) -> Result<Vec<String>> {
        let text = |path: &Path| path.display().to_string();
        let words = match tool {
            Tool::Floor => server.discard(task.table)?,
            Tool::Rivet | Tool::RivetSlim | Tool::RivetChunked | Tool::RivetBalanced | Tool::RivetSafe => {
                fs::write(settings, our_settings(tool, task, out))?;
                let program = if tool == Tool::RivetSlim { &self.rivet_slim } else { &self.rivet };
                let mut words = vec![text(program), "run".into(), "--config".into(), text(settings)];
                words.extend(task.validate.then(|| "--validate".to_owned()));
                words
            }
            Tool::RivetCli => {
                fs::write(settings, their_settings(task, out))?;
                let program = self.rivet_cli.as_deref().context("rivet-cli is not installed")?;
                vec![text(program), "run".into(), "--config".into(), text(settings)]
            }
            Tool::Duckdb | Tool::Connectorx | Tool::Adbc => {
                let script = text(&root().join("dev/bench/peers.py"));
                let (level, parallel) = (task.level.to_string(), task.parallel.to_string());
                let engine = task.engine.id().to_owned();
                vec![
                    text(&self.python),
                    script,
                    engine,
                    tool.id().into(),
                    task.table.into(),
                    text(out),
                    level,
                    parallel,
                ]
            }
        };
        Ok(words)
    }
}

fn our_settings(tool: Tool, task: Task<'_>, out: &Path) -> String {
    let level = if task.format == "parquet" { format!(", compression_level: {}", task.level) } else { String::new() };
    let profile = match tool {
        Tool::RivetBalanced => "balanced",
        Tool::RivetSafe => "safe",
        _ => "fast",
    };
    let mode = if tool == Tool::RivetChunked { ", mode: chunked, chunk_column: l_orderkey" } else { "" };
    format!(
        "source: {{type: {}, url_env: BENCH_URL, tuning: {{profile: {profile}}}}}\nexports:\n  - {{name: {1}, table: {2}{1}{mode}, \
         parallel: {3}, format: {4}{level}, destination: {{type: local, path: {5}}}}}\n",
        task.engine.source(),
        task.table,
        task.engine.schema(),
        task.parallel,
        task.format,
        out.display()
    )
}

fn their_settings(task: Task<'_>, out: &Path) -> String {
    format!(
        "source: {{type: postgres, url_env: BENCH_URL, tuning: {{profile: fast}}}}\nexports:\n  - {{name: {0}, query: select * from {0}, \
         mode: full, format: parquet, compression: zstd, compression_level: {1}, destination: {{type: local, path: {2}}}}}\n",
        task.table,
        task.level,
        out.display()
    )
}
