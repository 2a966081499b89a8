//! A folder with a config, and runs of the binary in it: what they print, how they end, how long they may take.
//! Must not know what an export writes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::output::Exported;
use crate::{plugin_dir, rivet, rivet_linked};

/// Longest time that one run of the binary may take.
const LIMIT: Duration = Duration::from_secs(120);

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub stdout: Vec<u8>,
    /// Everything on standard error.
    pub stderr: String,
    /// Wall-clock time.
    pub took: Duration,
    /// Every different command line that the process showed while it ran.
    pub command_line: Vec<u8>,
    /// Largest resident set seen in bytes (`VmHWM`), 0 if it ended too soon to look.
    pub peak_rss_bytes: u64,
}

impl Ran {
    /// Standard output as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.stdout).context("read standard output as UTF-8")
    }

    /// Standard output as one JSON document.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.stdout)
            .with_context(|| format!("read standard output as JSON: {:?}", String::from_utf8_lossy(&self.stdout)))
    }

    /// The same run, if it ended with this exit code.
    ///
    /// # Errors
    /// When it ended otherwise; the error carries what it printed.
    pub fn expect(self, code: i32) -> Result<Self> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let stdout = String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(2000)]).into_owned();
        bail!("exit code {:?} instead of {code}\nstdout: {stdout}\nstderr: {}", self.code, self.stderr)
    }
}

/// A temporary folder in which `rivet.yaml`, its state and its output live.
#[derive(Debug)]
pub struct Workspace {
    dir: TempDir,
    variables: Vec<(String, String)>,
    /// Where plugins are loaded from; none when all are linked in.
    plugins: Option<PathBuf>,
    /// What the process may map, KiB.
    address_space_kib: Option<u64>,
}

impl Workspace {
    /// A fresh folder with this config.
    ///
    /// # Errors
    /// When it cannot be made, or the plugins were not built.
    pub fn new(config: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("rivet-e2e-").context("create a folder")?;
        let made =
            Self { dir, variables: Vec::new(), plugins: Some(plugin_dir()?.to_owned()), address_space_kib: None };
        made.configure(config)?;
        Ok(made)
    }

    /// Replaces the config.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, config: &str) -> Result<()> {
        fs::write(self.path().join("rivet.yaml"), config).context("write the config")
    }

    /// The same with an environment variable for every run.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with another plugin folder.
    pub fn with_plugins(mut self, dir: &Path) -> Self {
        self.plugins = Some(dir.to_owned());
        self
    }

    /// The same with the binary that has all plugins linked in, and loads none.
    pub fn with_linked_plugins(mut self) -> Self {
        self.plugins = None;
        self
    }

    /// The same with an address space of so many KiB for every run (`ulimit -v`), or as much as there is.
    pub fn with_address_space_kib(mut self, kib: Option<u64>) -> Self {
        self.address_space_kib = kib;
        self
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the binary in the folder; `--plugin-dir` comes after the words given.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, words: &[&str]) -> Result<Child> {
        let limited = self.address_space_kib.map(|kib| kib.to_string());
        match &limited {
            None => self.spawn_under(&[], words),
            Some(kib) => self.spawn_under(&["/bin/sh", "-c", "ulimit -v \"$0\" && exec \"$@\"", kib], words),
        }
    }

    /// As [`Workspace::spawn`], by another program that is given the binary and its words after its own.
    ///
    /// # Errors
    /// As [`Workspace::spawn`].
    pub fn spawn_under(&self, before: &[&str], words: &[&str]) -> Result<Child> {
        let binary = if self.plugins.is_some() { rivet()? } else { rivet_linked()? };
        let mut command = match before {
            [] => Command::new(binary),
            [program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest).arg(binary);
                command
            }
        };
        command.env_clear().env("HOME", self.path()).env("TZ", "Asia/Kathmandu");
        command.envs(self.variables.iter().map(|(k, v)| (k, v)));
        command.args(words).current_dir(self.path());
        if let Some(plugins) = &self.plugins {
            command.arg("--plugin-dir").arg(plugins);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("start rivet")
    }

    /// Runs the binary to its end, whatever that is.
    ///
    /// # Errors
    /// When it cannot be started, or runs for more than two minutes.
    pub fn rivet(&self, words: &[&str]) -> Result<Ran> {
        finish(self.spawn(words)?)
    }

    /// `rivet run` with JSON on standard output.
    ///
    /// # Errors
    /// As [`Workspace::rivet`].
    pub fn run(&self) -> Result<Ran> {
        self.rivet(&["run", "--output", "json"])
    }

    /// Runs everything, expects success, and returns what is in the output folder `out`.
    ///
    /// # Errors
    /// When the run fails, or the output is not as its manifest says.
    pub fn export(&self) -> Result<Exported> {
        self.run()?.expect(0)?;
        Exported::read(&self.path().join("out"))
    }

    /// As [`Workspace::export`]; the folder lives as long as what is returned.
    ///
    /// # Errors
    /// As [`Workspace::export`].
    pub fn into_export(self) -> Result<Exported> {
        let mut read = self.export()?;
        read.kept = Some(self.dir);
        Ok(read)
    }
}

/// Waits for the end, watching the process from outside.
///
/// # Errors
/// When it runs for more than two minutes; it is killed then.
pub fn finish(child: Child) -> Result<Ran> {
    finish_within(child, LIMIT)
}

/// As [`finish`], with another limit.
///
/// # Errors
/// When it runs for longer; it is killed then.
pub fn finish_within(mut child: Child, limit: Duration) -> Result<Ran> {
    let started = Instant::now();
    let mut out = child.stdout.take().context("stdout is piped")?;
    let mut errors = child.stderr.take().context("stderr is piped")?;
    let stdout = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let stderr = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        errors.read_to_end(&mut bytes).map(|_| bytes)
    });
    let (mut command_line, mut peak_rss_bytes) = (Vec::new(), 0);
    let own = fs::read("/proc/self/cmdline").context("read our own words")?;
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for rivet")? {
            break Some(status);
        }
        let proc = PathBuf::from(format!("/proc/{}", child.id()));
        let seen = fs::read(proc.join("cmdline")).unwrap_or_default();
        // Until it has become another program, a child has its parent's memory and words.
        if !seen.is_empty() && seen != own {
            peak_rss_bytes = peak_rss_bytes.max(high_water_bytes(&proc));
            if !command_line.ends_with(&seen) {
                command_line.extend(seen);
            }
        }
        if started.elapsed() > limit {
            child.kill().context("kill rivet")?;
            child.wait().context("wait for rivet")?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = started.elapsed();
    let stdout = stdout.join().map_err(|_| anyhow::anyhow!("the reader of stdout panicked"))??;
    let stderr = stderr.join().map_err(|_| anyhow::anyhow!("the reader of stderr panicked"))??;
    let stderr = String::from_utf8(stderr).context("read standard error as UTF-8")?;
    match status {
        Some(status) => Ok(Ran { code: status.code(), stdout, stderr, took, command_line, peak_rss_bytes }),
        None => {
            bail!("rivet did not end within {limit:?} and grew to {} MiB\nstderr: {stderr:.2000}", peak_rss_bytes >> 20)
        }
    }
}

fn high_water_bytes(proc: &Path) -> u64 {
    let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
