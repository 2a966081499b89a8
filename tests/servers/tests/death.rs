//! What becomes of a server when the process that started it, or the guard between them, is killed.
//! Must not know how the guard works.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rivet_test_servers::postgres::DEFAULT_MAJOR;
use rustix::process::{Pid, Signal, kill_process};

/// `rivet-test-servers run postgres` in a process of its own.
struct Running {
    child: Child,
    port: u16,
    server_pid: u32,
    dir: PathBuf,
}

fn run() -> Running {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rivet-test-servers"))
        .args(["run", "postgres", "--major", &DEFAULT_MAJOR.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let about: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    let number = |key: &str| about[key].as_u64().expect("a number");
    let running = Running {
        child,
        port: u16::try_from(number("port")).expect("a port"),
        server_pid: u32::try_from(number("pid")).expect("a process id"),
        dir: PathBuf::from(about["dir"].as_str().expect("a path")),
    };
    assert!(connects(running.port) && running.dir.join("data").exists());
    running
}

fn connects(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("not zero");
    kill_process(pid, signal).expect("the process is ours");
}

#[track_caller]
fn assert_soon(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(15);
    while !holds() {
        assert!(Instant::now() < until, "not within 15 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn assert_gone(port: u16, server_pid: u32, dir: &Path) {
    assert_soon("the data is removed", || !dir.exists());
    assert_soon("the server is gone", || !Path::new(&format!("/proc/{server_pid}")).exists());
    assert!(!connects(port));
}

#[test]
fn killing_the_parent_stops_the_server_and_removes_its_data() {
    let mut running = run();
    running.child.kill().expect("SIGKILL");
    running.child.wait().expect("it ended");
    assert_gone(running.port, running.server_pid, &running.dir);
}

#[test]
fn sigterm_stops_the_server() {
    let mut running = run();
    kill(running.child.id(), Signal::TERM);
    running.child.wait().expect("it ended");
    assert_gone(running.port, running.server_pid, &running.dir);
}

#[test]
fn the_end_of_standard_input_stops_the_server_before_the_parent_ends() {
    let mut running = run();
    drop(running.child.stdin.take());
    assert!(running.child.wait().expect("it ended").success());
    assert!(!running.dir.exists() && !connects(running.port));
}

#[test]
fn the_server_does_not_outlive_its_guard() {
    let mut running = run();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.server_pid));
    let stat = stat.expect("the server runs");
    let (_, rest) = stat.rsplit_once(") ").expect("proc(5)");
    let guard = rest.split(' ').nth(1).expect("the parent's id");
    let guard = guard.parse().expect("a process id");
    assert_ne!(guard, running.child.id());
    kill(guard, Signal::KILL);
    assert_soon("the server is gone", || !Path::new(&format!("/proc/{}", running.server_pid)).exists());
    drop(running.child.stdin.take());
    assert!(running.child.wait().expect("it ended").success());
    assert!(!running.dir.exists() && !connects(running.port));
}
