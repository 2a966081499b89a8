//! What the machine is that a result was measured on.
//! It must not know the result.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::run::{output, root};

/// The commit that is measured, with a word where files differ from it other than what a measurement writes.
pub fn commit() -> String {
    let git = |words: &[&str]| output(Command::new("git").args(words).current_dir(root())).unwrap_or_default();
    let changed = git(&["status", "--porcelain", "--", ".", ":!docs", ":!dev/bench/results"]);
    let mark = if changed.trim().is_empty() { "" } else { " and changes" };
    format!("{}{mark}", git(&["rev-parse", "--short", "HEAD"]).trim())
}

/// Processor, cores, memory, kernel, compiler, and where the servers are.
pub fn facts(is_local: bool) -> Value {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|l| l.strip_prefix("MemTotal:")).unwrap_or_default();
    let kib: u64 = kib.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
    let said =
        |program: &str, words: &[&str]| output(Command::new(program).args(words)).unwrap_or_default().trim().to_owned();
    json!({
        "processor": model.trim_start_matches([' ', '\t', ':']),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_gib": kib / (1 << 20),
        "kernel": said("uname", &["-sr"]),
        "compiler": said("rustc", &["--version"]),
        "server_is_local": is_local,
    })
}

/// The facts in one line.
pub fn line(facts: &Value) -> String {
    let text = |name: &str| facts[name].as_str().unwrap_or("?").to_owned();
    format!(
        "{} cores of {}, {} GiB, {}, the server on {} machine",
        facts["cores"],
        text("processor"),
        facts["memory_gib"],
        text("kernel"),
        if facts["server_is_local"] == true { "the same" } else { "another" },
    )
}
