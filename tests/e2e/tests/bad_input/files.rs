//! What stands where a file of ours is expected: pipes, links, damage.
//! Must not know how a file is opened.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, finish, plugin_dir, rivet};
use rivet_test_servers::oracle;

const CONFIG: &str = "\
source: {type: sqlite, path: data.db, tuning: {profile: fast}}
state: {url: state.db}
exports: [{name: t, table: t, destination: {type: local, path: out}}]
";

fn place() -> Result<Workspace> {
    let place = Workspace::new(CONFIG)?;
    let script = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript('create table t (id integer)')";
    oracle::run(script, &[&place.path().join("data.db").display().to_string()])?;
    Ok(place)
}

fn make_pipe(place: &Workspace, name: &str) -> Result<()> {
    let made = Command::new("mkfifo").arg(place.path().join(name)).status()?;
    ensure!(made.success(), "make a named pipe");
    Ok(())
}

#[test]
fn a_named_pipe_is_not_waited_for() -> Result<()> {
    let query = CONFIG.replace("table: t", "query_file: q.sql");
    let url = CONFIG.replace("path: data.db", "url_file: url.txt");
    for (config, pipe, code) in
        [(CONFIG, "rivet.yaml", 1), (CONFIG, "state.db", 1), (query.as_str(), "q.sql", 1), (url.as_str(), "url.txt", 1)]
    {
        let place = place()?;
        place.configure(config)?;
        let _ = fs::remove_file(place.path().join(pipe));
        make_pipe(&place, pipe)?;
        let ran = place.rivet(&["run"])?.expect(code).context(pipe)?;
        ensure!(ran.took < Duration::from_secs(20) && ran.stderr.contains("a named pipe"), "{pipe}: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_pipe_that_is_given_is_read() -> Result<()> {
    let place = place()?;
    let state = place.path().join("state.db").display().to_string();
    let data = place.path().join("data.db").display().to_string();
    let out = place.path().join("out").display().to_string();
    let config =
        CONFIG.replace("state.db", &state).replace("data.db", &data).replace("path: out", &format!("path: '{out}'"));
    let mut command = Command::new(rivet()?);
    command.args(["run", "-c", "/dev/stdin", "--plugin-dir"]).arg(plugin_dir()?).current_dir(place.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("stdin is piped")?.write_all(config.as_bytes())?;
    finish(child)?.expect(0)?;
    ensure!(place.path().join("out/_SUCCESS").exists());
    Ok(())
}

#[test]
fn a_lock_that_is_a_link_touches_nothing_it_leads_to() -> Result<()> {
    for target in ["precious", "nowhere"] {
        let place = place()?;
        let (precious, locks) = (place.path().join("precious"), place.path().join("state.db.locks"));
        fs::write(&precious, "kept")?;
        fs::create_dir(&locks)?;
        symlink(place.path().join(target), locks.join("t@rivet.yaml.lock"))?;
        let ran = place.rivet(&["run"])?.expect(1)?;
        ensure!(
            ran.stderr.contains("t@rivet.yaml.lock' is a symbolic link") && ran.stderr.contains("hint: "),
            "{}",
            ran.stderr
        );
        assert_eq!(fs::read_to_string(&precious)?, "kept");
        ensure!(!place.path().join("nowhere").exists(), "the link's target is made");
        fs::remove_file(locks.join("t@rivet.yaml.lock"))?;
        make_pipe(&place, "state.db.locks/t@rivet.yaml.lock")?;
        let ran = place.rivet(&["run"])?.expect(1)?;
        ensure!(ran.stderr.contains("t@rivet.yaml.lock' is a named pipe"), "{}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_damaged_state_is_final_and_says_what_to_do() -> Result<()> {
    for (from, what) in [(100, "damaged"), (0, "no SQLite database")] {
        let place = place()?;
        place.rivet(&["run"])?.expect(0)?;
        let file = place.path().join("state.db");
        let mut bytes = fs::read(&file)?;
        bytes[from..].fill(0x5a);
        fs::write(&file, bytes)?;
        for beside in ["state.db-wal", "state.db-shm"] {
            let _ = fs::remove_file(place.path().join(beside));
        }
        let ran = place.rivet(&["run"])?.expect(1)?;
        let told = format!("{} {}", ran.stderr, ran.text()?);
        ensure!(told.contains(what) && told.contains("hint: "), "{told}");
    }
    Ok(())
}
