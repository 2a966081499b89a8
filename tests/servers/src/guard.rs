//! A shell process between us and a server, which stops the server and removes its data when we end, even by SIGKILL.
//! Must not know which server it guards.
//!
//! The guard waits on a pipe whose only other end is ours. A parent-death signal alone would not do: the kernel sends it when the
//! *thread* that started the child ends, and every test is a thread. The server itself has one, for the death of the guard.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

use crate::command;

/// How a server is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// SIGINT: disconnect the clients, write what is pending, end.
    Fast,
    /// SIGQUIT: end at once, as a crash would.
    Immediate,
}

/// What is left when the server has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    Keep,
    Remove,
}

/// A running guard with its server.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    stdin: Option<ChildStdin>,
    server_pid: u32,
}

impl Guard {
    /// Starts `server` (program and arguments) under a guard that removes `dirs` at the end; its output is appended to `log`.
    /// `prefix`: see [`not_as_root`].
    pub(crate) fn spawn(dirs: [&Path; 2], log: &Path, prefix: &[OsString], server: &[OsString]) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("guard.sh"), "rivet-guard"])
            .args(dirs)
            .arg(log)
            .args(prefix)
            // Inside the prefix: a program that gains rights on its way loses the signal.
            .args(["setpriv", "--pdeathsig", "INT", "--"])
            .args(server)
            // Away from the terminal's Ctrl-C, which would end the guard before it has stopped the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start sh")?;
        let stdin = shell.stdin.take();
        let stdout = shell.stdout.take().expect("stdout is piped above");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("read the server's process id")?;
        let server_pid = line.trim().parse().context("read the server's process id")?;
        Ok(Self { shell, stdin, server_pid })
    }

    /// The server's process id.
    pub(crate) fn server_pid(&self) -> u32 {
        self.server_pid
    }

    /// Whether the server process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.server_pid));
        // proc(5): the state letter follows the name in parentheses; the guard reaps the zombie only at the end.
        stat.ok()
            .and_then(|s| s.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()))
            .is_some_and(|state| !matches!(state, 'Z' | 'X'))
    }

    /// Ends the server, waits for it, and leaves or removes the folders. Takes at most about ten seconds.
    pub(crate) fn end(mut self, ending: Ending, data: Data) -> Result<()> {
        let mut words = String::new();
        if ending == Ending::Immediate {
            words.push_str("quit\n");
        }
        if data == Data::Keep {
            words.push_str("keep\n");
        }
        let mut stdin = self.stdin.take().expect("only end takes it");
        // A guard that somebody killed has taken the server with it.
        match stdin.write_all(words.as_bytes()) {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                return Err(e).context("tell the guard to stop the server");
            }
            _ => drop(stdin),
        }
        self.shell.wait().context("wait for the guard")?;
        Ok(())
    }
}

/// The words that start a program which refuses to run as root: a user namespace of its own, where we are user 1000. No system
/// user is needed, and the files stay ours. Empty when this process is not root.
pub(crate) fn not_as_root() -> Result<Vec<OsString>> {
    if !command::is_root() {
        return Ok(Vec::new());
    }
    let words = ["unshare", "--user", "--map-user=1000", "--map-group=1000"];
    command::output(Command::new(words[0]).args(&words[1..]).arg("true"), "").context(
        "make a user namespace, which root needs to start the server; allow unshare in this container or run the tests as another user",
    )?;
    Ok(words.iter().map(OsString::from).collect())
}
