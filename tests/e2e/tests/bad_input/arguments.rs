//! What is wrong with the words of a command, and reports that cannot be written.
//! Must not know how arguments are parsed.

use std::fs::File;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, no_secret, plugin_dir, rivet};
use rivet_test_servers::oracle;

const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
exports:
- {name: t, query: 'select id, v from t where id >= ${first}', destination: {type: local, path: out}}
";

fn place(config: &str) -> Result<Workspace> {
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, v text, at timestamp)')
con.executemany('insert into t values (?, ?, ?)', [(i, str(i), f'2026-01-0{i} 00:00:00') for i in range(1, 9)])
con.commit()
";
    let place = Workspace::new(config)?;
    oracle::run(SCRIPT, &[&place.path().join("data.db").display().to_string()])?;
    Ok(place)
}

#[test]
fn parameters_that_fill_nothing_or_come_twice_are_refused() -> Result<()> {
    let place = place(CONFIG)?;
    for (words, says) in [
        (&["-p", "first=1", "-p", "frist=2"][..], "did you mean 'first'?"),
        (&["-p", "first=1", "-p", "other=2"], "the parameter 'other' fills nothing"),
        (&["-p", "first=1", "-p", "first=1"], "the parameter 'first' is given twice"),
    ] {
        for command in [&["run"][..], &["run", "--dry-run"], &["check"], &["doctor"]] {
            let ran = place.rivet(&[command, words].concat())?.expect(1)?;
            // The doctor's findings are its output.
            let said = if command == ["doctor"] { ran.text()? } else { &ran.stderr };
            ensure!(said.contains(says), "{command:?} {words:?}: {said}");
        }
    }
    ensure!(!place.path().join("out").exists(), "nothing was read");
    place.rivet(&["run", "-p", "first=3"])?.expect(0)?;
    Ok(())
}

fn incremental(keys: &str) -> String {
    format!(
        "source: {{type: sqlite, path: data.db}}\n\
         exports: [{{name: t, table: t, mode: incremental, {keys}, destination: {{type: local, path: out}}}}]\n"
    )
}

#[test]
fn ranges_that_run_backwards_are_refused() -> Result<()> {
    for (column, from, to) in [("id", "7", "-3"), ("id", "10", "9"), ("at", "2026-01-05", "2026-01-04 23:59:59")] {
        let place = place(&incremental(&format!("cursor_column: {column}")))?;
        let words = |from: &str, to: &str| vec![format!("--from={from}"), format!("--to={to}")];
        let run = |words: Vec<String>| {
            let words: Vec<&str> = ["run"].into_iter().chain(words.iter().map(String::as_str)).collect();
            place.rivet(&words)
        };
        let ran = run(words(from, to))?.expect(1)?;
        ensure!(ran.stderr.contains(&format!("--from {from} is beyond --to {to}")), "{}", ran.stderr);
        crate::nothing_left(&place.path().join("out"))?;
        run(words(to, from))?.expect(0)?;
        run(words(from, from))?.expect(0)?;
    }
    Ok(())
}

#[test]
fn a_lookback_of_another_kind_names_the_column() -> Result<()> {
    for (column, lookback, says) in [("id", "5m", "write a whole number"), ("at", "5", "write a time with its unit")] {
        let place = place(&incremental(&format!("cursor_column: {column}, lookback: {lookback}")))?;
        for command in [&["run"][..], &["check"]] {
            let ran = place.rivet(command)?.expect(1)?;
            let named = format!("`lookback` does not fit the cursor column '{column}' of t");
            ensure!(ran.stderr.contains(&named) && ran.stderr.contains(says), "{column}: {}", ran.stderr);
        }
    }
    Ok(())
}

#[test]
fn values_of_variables_are_kept_nowhere() -> Result<()> {
    const SECRET: &str = "s3cret-8c1d7b";
    let config = "source: {type: sqlite, path: data.db}\n\
         defaults: {destination: {type: local, path: 'out/{export}'}}\n\
         exports:\n\
         - {name: q, query: \"select id from t where v <> '${TOKEN}'\"}\n\
         - {name: f, query_file: q.sql}\n\
         - {name: w, table: t, where: \"v <> '${TOKEN}'\"}\n\
         - {name: p, query: \"select id from t where v <> '${param}'\"}\n";
    let place = place(config)?.with_variable("TOKEN", SECRET);
    std::fs::write(place.path().join("q.sql"), "select id from t where v <> '${TOKEN:-}';")?;
    let param = format!("param={SECRET}");
    // Dead before and after the verdict, in good health, and failed: everywhere the plan is kept.
    for words in [
        &["run", "-e", "q", "--fault", "part_recorded"][..],
        &["run", "-e", "q", "--fault", "judged"],
        &["run", "-e", "f", "--fault", "judged"],
        &["run", "-e", "w", "--fault", "judged"],
        &["run", "-e", "p", "--fault", "judged"],
        &["run", "--output", "json"],
    ] {
        // The parameter itself stands on the command line of the process: that is not looked at.
        let mut ran = place.rivet(&[words, &["-p", &param]].concat())?;
        ran.command_line.clear();
        no_secret(&place, &ran, SECRET).map_err(|e| e.context(format!("{words:?}")))?;
        ensure!(ran.code == if words.contains(&"--fault") { None } else { Some(0) }, "{words:?}: {}", ran.stderr);
    }
    Ok(())
}

/// Runs the binary with this as its stdout; exit code and stderr.
fn with_stdout(place: &Workspace, words: &[&str], stdout: impl Into<Stdio>) -> Result<(Option<i32>, String)> {
    let mut command = std::process::Command::new(rivet()?);
    command.args(words).arg("--plugin-dir").arg(plugin_dir()?).current_dir(place.path());
    let ended = command.stdout(stdout).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
    Ok((ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned()))
}

#[test]
fn a_report_that_cannot_be_written_is_no_success() -> Result<()> {
    let place = place(&CONFIG.replace("${first}", "1"))?;
    let full = || File::options().write(true).open("/dev/full").context("open a device that is full");
    for words in [
        &["run", "--output", "json"][..],
        &["run", "--output", "ndjson"],
        &["run", "--dry-run"],
        &["check", "--output", "json"],
        &["state", "show"],
        &["metrics", "--output", "ndjson"],
        &["schema", "config"],
        &["plugin", "list"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let (code, stderr) = with_stdout(&place, words, full()?)?;
        ensure!(code == Some(2), "{words:?}: {code:?} {stderr}");
        ensure!(stderr.contains("failed to write to stdout"), "{words:?}: {stderr}");
    }
    // A failure stays what it is.
    let (code, _) = with_stdout(&place, &["run", "-e", "nobody", "--output", "json"], full()?)?;
    assert_eq!(code, Some(1));
    Ok(())
}
