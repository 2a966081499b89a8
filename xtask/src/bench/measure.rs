//! One run of one program: wall time, CPU time, memory, bytes written.
//! It must not know which program it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::run::root;

/// What a run took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Run {
    pub wall_s: f64,
    pub user_s: f64,
    pub system_s: f64,
    /// Largest resident memory, MiB.
    pub peak_mib: f64,
    /// What it wrote, bytes.
    pub bytes: u64,
}

impl Run {
    /// As a file of results has it.
    pub fn json(&self) -> Value {
        let Self { wall_s, user_s, system_s, peak_mib, bytes } = self;
        json!({"wall_s": wall_s, "user_s": user_s, "system_s": system_s, "peak_mib": peak_mib, "bytes": bytes})
    }

    /// What [`json`](Self::json) gave; what is missing is 0.
    pub fn read(json: &Value) -> Self {
        let number = |name: &str| json[name].as_f64().unwrap_or_default();
        Self {
            wall_s: number("wall_s"),
            user_s: number("user_s"),
            system_s: number("system_s"),
            peak_mib: number("peak_mib"),
            bytes: json["bytes"].as_u64().unwrap_or_default(),
        }
    }
}

/// A command as words, to be run in `dir`, with what it wrote below `out`.
pub struct Job<'a> {
    pub words: Vec<String>,
    pub environment: &'a BTreeMap<&'static str, String>,
    pub out: &'a Path,
    pub log: &'a Path,
}

/// Runs a job with an empty folder `out`.
///
/// # Errors
/// When it fails; the error ends with the last words of its log.
pub fn measure(job: &Job<'_>) -> Result<Run> {
    if job.out.exists() {
        fs::remove_dir_all(job.out).with_context(|| format!("failed to empty {}", job.out.display()))?;
    }
    fs::create_dir_all(job.out)?;
    let facts = job.out.with_extension("facts");
    let log = fs::File::create(job.log)?;
    let status = Command::new("sh")
        .args(["-c", "facts=$1; shift; exec \"$@\" 3>\"$facts\"", "sh"])
        .args([facts.as_os_str(), "python3".as_ref(), root().join("dev/bench/measure.py").as_os_str()])
        .args(&job.words)
        .envs(job.environment.iter().map(|(name, value)| (*name, value.as_str())))
        .stdout(Stdio::null())
        .stderr(log)
        .current_dir(job.out)
        .status()
        .context("failed to start python3")?;
    let facts: Value = fs::read_to_string(&facts).ok().and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default();
    if !status.success() || facts["code"] != 0 {
        let said = fs::read_to_string(job.log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        bail!("{} failed: {}", job.words.join(" "), last.into_iter().rev().collect::<Vec<_>>().join(" | "));
    }
    Ok(Run { bytes: data_bytes(job.out)?, ..Run::read(&facts) })
}

/// Bytes of the files of data below a folder: not what a tool keeps for itself.
fn data_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            bytes += data_bytes(&path)?;
        } else if path.extension().is_some_and(|e| ["parquet", "csv", "arrow"].iter().any(|data| e == *data)) {
            bytes += fs::metadata(&path)?.len();
        }
    }
    Ok(bytes)
}

/// The middle of several runs, each figure by itself.
pub fn median(runs: &[Run]) -> Run {
    let middle = |figure: fn(&Run) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        match (all.get(all.len() / 2), all.get(all.len().wrapping_sub(1) / 2)) {
            (Some(a), Some(b)) => f64::midpoint(*a, *b),
            _ => 0.0,
        }
    };
    Run {
        wall_s: middle(|r| r.wall_s),
        user_s: middle(|r| r.user_s),
        system_s: middle(|r| r.system_s),
        peak_mib: middle(|r| r.peak_mib),
        bytes: runs.last().map_or(0, |r| r.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_taken_of_each_figure() {
        let run = |wall_s, peak_mib| Run { wall_s, peak_mib, bytes: 7, ..Run::default() };
        let of_three = median(&[run(3.0, 10.0), run(1.0, 30.0), run(2.0, 20.0)]);
        assert_eq!((of_three.wall_s, of_three.peak_mib, of_three.bytes), (2.0, 20.0, 7));
        assert_eq!(median(&[run(1.0, 1.0), run(2.0, 3.0)]).wall_s, 1.5);
        assert_eq!(median(&[]), Run::default());
    }
}
