//! What takes two processes: locks that end with their holder, writers that are killed, writers at once.
//! The children are this same executable, told by a file what to do.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::concurrency::{work, worked};
use super::{Fixture, part};
use crate::state::{Holder, State, StateError};

const SUFFIX: &str = ".child.json";

/// Arguments that make this executable run [`child`] with `what`.
pub fn child_arguments(dir: &Path, what: &Value) -> Vec<OsString> {
    let n_files = fs::read_dir(dir).expect("readable").count();
    let file = dir.join(format!("{n_files}{SUFFIX}"));
    fs::write(&file, what.to_string()).expect("writable");
    let name = "state::tests::processes::child";
    vec![name.into(), "--exact".into(), "--nocapture".into(), file.into()]
}

/// This executable, even if a build has replaced its file since it was started.
pub fn this_executable() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().expect("a path") }
}

struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(f: &Fixture, what: &Value) -> Self {
        let mut command = Command::new(this_executable());
        command.args(child_arguments(f.dir.path(), what)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the child starts");
        let stdout = child.stdout.take().expect("it is piped");
        Self { child, lines: BufReader::new(stdout).lines() }
    }

    /// Lines that the child says, without what the test harness says.
    fn said(&mut self) -> impl Iterator<Item = String> + '_ {
        self.lines.by_ref().map_while(Result::ok).filter_map(|line| Some(line.split_once("child: ")?.1.to_owned()))
    }

    fn wait_for(&mut self, word: &str) {
        assert!(self.said().any(|said| said == word), "the child ended before it said '{word}'");
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Lets it end by itself, and checks that it did what it was to do.
    fn end(mut self) {
        drop(self.child.stdin.take());
        let rest: Vec<String> = self.said().collect();
        let status = self.child.wait().expect("it ended");
        assert!(status.success(), "{status}: {rest:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(word: &str) {
    use std::io::Write;
    // Not `println`: the parent must hear it now.
    let mut out = std::io::stdout().lock();
    writeln!(out, "child: {word}").and_then(|()| out.flush()).expect("somebody listens");
}

/// The other side: does nothing unless it was started by one of the tests here.
#[test]
fn child() {
    let Some(file) = std::env::args().find(|a| a.ends_with(SUFFIX)) else { return };
    let what: Value = serde_json::from_slice(&fs::read(file).expect("readable")).expect("valid JSON");
    if let Some(folder) = what["read_only"].as_str() {
        super::files::read_only(Path::new(folder));
        return say("looked at it");
    }
    let state = State::open(Path::new(what["state"].as_str().expect("a path"))).expect("it opens");
    let run_id = what["run_id"].as_str().expect("a run");
    match what["role"].as_str() {
        Some("hold") => {
            let _lock = state.lock_export("orders", &Holder::this_process(run_id, "a child")).expect("free");
            say("ready");
            let _ = std::io::stdin().lines().next();
        }
        Some("work") => work(&state, run_id),
        Some("record") => {
            for split in 0.. {
                let parts: Vec<_> = (0..5).map(|n| part(split, 0, n)).collect();
                state.record_parts(run_id, split, 0, 0, &parts, true).expect("recorded");
                say(&split.to_string());
            }
        }
        Some("contend") => contend(&state, run_id, Path::new(what["witness"].as_str().expect("a path"))),
        role => panic!("no role is called {role:?}"),
    }
}

/// Enters and leaves the lock; whoever meets the witness inside proves that two were in.
fn contend(state: &State, run_id: &str, witness: &Path) {
    let mut n_entered = 0;
    while n_entered < 30 {
        match state.lock_export("orders", &Holder::this_process(run_id, "a child")) {
            Ok(lock) => {
                fs::File::create_new(witness).expect("nobody else is in");
                std::thread::sleep(Duration::from_micros(500));
                fs::remove_file(witness).expect("nobody else is in");
                drop(lock);
                n_entered += 1;
            }
            Err(StateError::Locked { .. }) => std::thread::sleep(Duration::from_micros(200)),
            Err(e) => panic!("{e}"),
        }
    }
}

fn role(f: &Fixture, role: &str, run_id: &str) -> Value {
    json!({ "role": role, "state": f.path(), "run_id": run_id, "witness": f.dir.path().join("witness") })
}

#[test]
fn a_lock_holds_against_another_process_and_dies_with_its_holder() {
    let f = Fixture::new();
    for killed in [true, false] {
        let mut child = Running::start(&f, &role(&f, "hold", "r-child"));
        child.wait_for("ready");
        let me = Holder::this_process("r-parent", "the parent");
        let error = f.state.lock_export("orders", &me).expect_err("the child holds it");
        let pid = child.child.id();
        let StateError::Locked { holder: Some(holder), since_unix_ms: Some(_), .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!((holder.pid, holder.run_id.as_str()), (pid, "r-child"));
        assert!(error.to_string().contains(&format!("process {pid}")), "{error}");
        if killed {
            child.kill();
        } else {
            child.end();
        }
        drop(f.state.lock_export("orders", &me).expect("free at once"));
    }
}

#[test]
fn never_two_inside_the_lock() {
    let f = Fixture::new();
    let children: Vec<_> = (0..4).map(|n| Running::start(&f, &role(&f, "contend", &format!("r{n}")))).collect();
    for child in children {
        child.end();
    }
}

/// Between fork and exec a child has a copy of every open file: closing ours would not free the lock then.
#[test]
fn a_child_that_is_being_started_keeps_no_lock() {
    let f = Fixture::new();
    let over = AtomicBool::new(false);
    let me = Holder::this_process("r1", "the parent");
    std::thread::scope(|scope| {
        let starter = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let status = Command::new(this_executable()).arg("--help").stdout(Stdio::null()).status();
                assert!(status.expect("it starts").success());
            }
        });
        let refused = (0..1000).find_map(|_| f.state.lock_export("orders", &me).err());
        over.store(true, Ordering::Relaxed);
        starter.join().expect("children start");
        assert!(refused.is_none(), "{refused:?}");
    });
}

#[test]
fn processes_write_at_once() {
    let f = Fixture::new();
    let children: Vec<_> = ["a", "b", "c"].iter().map(|run| Running::start(&f, &role(&f, "work", run))).collect();
    work(&f.state, "d");
    for child in children {
        child.end();
    }
    for run_id in ["a", "b", "c", "d"] {
        worked(&f.state, run_id);
    }
}

#[test]
fn a_killed_writer_leaves_whole_splits_alone() {
    for after in [1, 4, 17] {
        let f = Fixture::with_run();
        let mut child = Running::start(&f, &role(&f, "record", "r1"));
        let said: Vec<u32> = child.said().take(after).map(|s| s.parse().expect("a split")).collect();
        child.kill();
        // Open here all the time and opened anew: both see the same.
        for state in [&f.state, &State::open(&f.path()).expect("it opens")] {
            let run = state.unfinished_run("orders").expect("readable").expect("there is one");
            let done: HashSet<u32> = run.splits.iter().map(|s| s.split_id).collect();
            assert!(said.iter().all(|split| done.contains(split)), "{said:?} {done:?}");
            assert_eq!(run.parts.len(), 5 * done.len());
            assert!(run.parts.iter().all(|p| done.contains(&p.split_id)));
        }
    }
}
