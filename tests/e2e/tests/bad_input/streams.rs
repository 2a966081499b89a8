//! Standard output that is closed, or a terminal; words of the command line that act on one.
//! Must not know how a stream is written.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, finish, plugin_dir, rivet};
use rivet_test_servers::oracle;
use serde_json::Value;

/// A workspace with ten rows in SQLite, one export to stdout and one to a folder.
fn place() -> Result<Workspace> {
    let text = "source: {type: sqlite, path: data.db}\n\
                exports:\n\
                - {name: p, table: t, mode: incremental, cursor_column: id, format: FORMAT, destination: {type: stdout}}\n\
                - {name: f, table: t, destination: {type: local, path: out}}\n";
    let place = Workspace::new(&text.replace("FORMAT", "parquet"))?;
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key)')
con.executemany('insert into t values (?)', [(i,) for i in range(10)])
con.commit()
";
    oracle::run(SCRIPT, &[&place.path().join("data.db").display().to_string()])?;
    Ok(place)
}

/// Runs the binary by a shell that closes these of its streams first; exit code and stderr.
fn with_closed(place: &Workspace, closed: &str, words: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$@\" {closed}"), "sh"]).arg(rivet()?).args(words);
    command.arg("--plugin-dir").arg(plugin_dir()?).current_dir(place.path());
    let ran = finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)?;
    ensure!(ran.stdout.is_empty(), "{ran:?}");
    Ok((ran.code, ran.stderr))
}

#[test]
fn data_for_a_stdout_that_is_closed_is_refused_and_the_cursor_stays() -> Result<()> {
    let place = place()?;
    for closed in [">&-", "<&- >&-"] {
        let (code, stderr) = with_closed(&place, closed, &["run", "-e", "p"])?;
        ensure!(
            code == Some(1) && stderr.contains("'p' writes to standard output, which is closed"),
            "{code:?} {stderr}"
        );
        ensure!(stderr.contains("hint: "), "{stderr}");
    }
    let state = place.rivet(&["state", "show", "--output", "json", "-e", "p"])?.expect(0)?.json()?;
    ensure!(state["exports"][0]["cursor"].is_null(), "{state}");
    // All rows are still to come.
    let piped = place.rivet(&["run", "-e", "p"])?.expect(0)?;
    ensure!(piped.stdout.starts_with(b"PAR1") && piped.stderr.contains("rows:        10\n"), "{}", piped.stderr);
    Ok(())
}

#[test]
fn a_report_for_a_stdout_that_is_closed_is_no_success() -> Result<()> {
    let place = place()?;
    for words in [
        &["run", "-e", "f", "--output", "json"][..],
        &["--help"],
        &["--version"],
        &["plugin", "list"],
        &["state", "show"],
    ] {
        let (code, stderr) = with_closed(&place, ">&-", words)?;
        ensure!(code == Some(2), "{words:?}: {code:?} {stderr}");
        ensure!(stderr.contains("failed to write to stdout: it is closed"), "{words:?}: {stderr}");
    }
    // Where nothing is to be written, nothing is lost; and no file of ours ends up in the place of a stream.
    let (code, _) = with_closed(&place, ">&- 2>&-", &["run", "-e", "f"])?;
    ensure!(code == Some(0), "{code:?}");
    Ok(())
}

#[test]
fn a_reader_that_goes_away_is_no_failure() -> Result<()> {
    let place = place()?;
    let (rivet, plugins) = (rivet()?, plugin_dir()?);
    for words in ["--help", "schema config", "run -e f --output json"] {
        let script =
            format!("{{ {} {words} --plugin-dir {}; echo $? >code; }} | :", rivet.display(), plugins.display());
        let ran = Command::new("sh").args(["-c", &script]).current_dir(place.path()).output()?;
        ensure!(ran.stderr.is_empty() || words.starts_with("run"), "{}", String::from_utf8_lossy(&ran.stderr));
        ensure!(std::fs::read_to_string(place.path().join("code"))?.trim() == "0", "{words}");
    }
    Ok(())
}

/// Runs the binary in a terminal: exit code and what is seen there.
fn in_terminal(place: &Workspace, words: &[&str]) -> Result<(i64, String)> {
    const SCRIPT: &str = "
import json, os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.chdir(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
seen = b''
while True:
    try:
        more = os.read(fd, 65536)
    except OSError:
        break
    if not more:
        break
    seen += more
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode('latin-1')]))
";
    let (dir, binary, plugins) =
        (place.path().display().to_string(), rivet()?.display().to_string(), plugin_dir()?.display().to_string());
    let words = [&[&*dir, &*binary][..], words, &["--plugin-dir", &plugins]].concat();
    let printed: Value = serde_json::from_str(&oracle::run(SCRIPT, &words)?)?;
    Ok((printed[0].as_i64().context("a code")?, printed[1].as_str().context("a text")?.to_owned()))
}

#[test]
fn what_is_no_text_is_not_written_to_a_terminal_unless_it_is_forced() -> Result<()> {
    let place = place()?;
    let parquet = std::fs::read_to_string(place.path().join("rivet.yaml"))?;
    for format in ["parquet", "arrow", "{type: csv, compression: gzip}"] {
        place.configure(&parquet.replace("format: parquet", &format!("format: {format}")))?;
        let (code, seen) = in_terminal(&place, &["run", "-e", "p"])?;
        ensure!(code == 1 && seen.contains("is not text") && seen.contains("--force"), "{format}: {code} {seen}");
    }
    place.configure(&parquet)?;
    let (code, seen) = in_terminal(&place, &["run", "-e", "p", "--force"])?;
    ensure!(code == 0 && seen.contains("PAR1"), "{code} {seen}");
    place.configure(&parquet.replace("format: parquet", "format: csv"))?;
    let (code, seen) = in_terminal(&place, &["run", "-e", "p", "--full-refresh"])?;
    ensure!(code == 0 && seen.contains("9\r\n"), "{code} {seen}");
    Ok(())
}

#[test]
fn words_of_the_command_line_do_not_act_on_the_terminal() -> Result<()> {
    let place = place()?;
    let hostile = "x\u{1b}]0;title\u{7}\nFORGED: \u{202e}";
    place.configure(&format!(
        "source: {{type: sqlite, path: data.db}}\nexports: [{{name: a, table: t, {}: 1}}]\n",
        serde_json::to_string(hostile)?
    ))?;
    let file = format!("{hostile}.yaml");
    let assignment = format!("--output={hostile}");
    for (words, shows) in [
        (&["run", "-c", &file][..], true),
        (&["run", hostile], false),
        (&["run", "-e", hostile], false),
        (&["run"], false),
        (&[&assignment, "run"], true),
        (&[hostile], true),
        (&["plugin", "info", hostile], true),
        (&["state", "show", "--state", hostile], true),
        (&["run", "--plugin-dir", hostile], false),
        (&["plugin", "list", "--plugin-dir", hostile], true),
    ] {
        let ran = place.rivet(words)?;
        ensure!(ran.code != Some(0), "{words:?}");
        ensure!(!shows || ran.stderr.contains("\\u{1b}]0;title"), "{words:?}: {}", ran.stderr);
        let acts = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        ensure!(!ran.stderr.contains(acts) && !ran.stderr.contains("\nFORGED"), "{words:?}: {:?}", ran.stderr);
    }
    Ok(())
}
