//! Commands that run at the same time, each with an output of its own.
//! It must not know what the commands are for.

use std::io::Write;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run::spoken;

/// Runs all commands, `n` at once, begun in their order. What one prints is passed on whole when it has ended; of
/// those that failed after all the others, so that it ends the log.
///
/// # Errors
/// Those that failed, when all have run.
pub fn side_by_side(n: usize, commands: impl IntoIterator<Item = Command> + Send) -> Result<()> {
    let commands = Mutex::new(commands.into_iter().collect::<Vec<_>>().into_iter());
    let (next, failed) = (|| locked(&commands).next(), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..n {
            scope.spawn(|| {
                while let Some(mut command) = next() {
                    let start = Instant::now();
                    let line = spoken(&command);
                    let output = command.output().with_context(|| format!("failed to start `{line}`"));
                    let line = format!("$ {line} # {:.1} s", start.elapsed().as_secs_f64());
                    match output {
                        Ok(output) if output.status.success() => print(&line, &output),
                        other => locked(&failed).push((line, other)),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut lines = Vec::new();
    for (line, output) in failed {
        match output {
            Ok(output) => {
                print(&line, &output);
                lines.push(format!("`{line}` failed ({})", output.status));
            }
            Err(e) => lines.push(format!("{e:#}")),
        }
    }
    if lines.is_empty() { Ok(()) } else { bail!("{}", lines.join("\n")) }
}

/// Passes on what was printed. A reader that went away is told of by the exit code alone.
fn print(line: &str, output: &Output) {
    let mut out = std::io::stdout().lock();
    let all = [line.as_bytes(), b"\n", &output.stdout, &output.stderr];
    let _ = all.iter().try_for_each(|bytes| out.write_all(bytes));
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn they_run_at_once_and_all_that_failed_are_named() {
        let dir = std::env::temp_dir().join(format!("rivet-side-by-side-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("temporary folder");
        let [a, b] = ["a", "b"].map(|name| dir.join(name).display().to_string());
        // Each waits for the other one.
        let meets = |mine: &str, other: &str| sh(&format!("touch {mine}; until [ -e {other} ]; do sleep 0.01; done"));
        side_by_side(2, [meets(&a, &b), meets(&b, &a)]).expect("both end");
        let error = side_by_side(2, [sh("exit 3"), sh("exit 0"), Command::new("/nowhere/x"), sh("exit 4")]);
        let error = error.expect_err("three fail").to_string();
        for part in ["(exit status: 3)", "(exit status: 4)", "failed to start `/nowhere/x`"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("exit status: 0"), "{error}");
        std::fs::remove_dir_all(dir).expect("it is ours");
    }
}
