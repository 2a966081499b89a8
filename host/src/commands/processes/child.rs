//! One export, run by a process of its own for its parent, which hears of everything and is the only one who talks to people.
//! It must not know the steps of a run, nor what becomes of what it tells.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rivet_core::plan::Plan;
use rivet_core::run::progress::{Progress, Retrying};
use rivet_core::summary::Summary;
use rivet_plugin_api::CancelToken;
use rivet_plugin_api::load::end_now;

use super::{CANCEL, Request, Told};
use crate::cli::{Global, Output};
use crate::commands::run;
use crate::exit::Exit;
use crate::interrupt;
use crate::render;

/// After its parent has died a child has so long to withdraw what it wrote.
const GRACE: Duration = Duration::from_secs(5);
/// Longest request, bytes.
const MAX_REQUEST_BYTES: u64 = 512 << 20;

/// Runs the command.
pub fn run(global: &Global) -> Exit {
    match begun() {
        Ok((request, heard, said)) => export(request, heard, said, global),
        Err(e) => render::usage(global, &format!("this command is for rivet itself: {e}")),
    }
}

/// What the parent asks for, the rest of what it says, and where it listens.
fn begun() -> std::io::Result<(Request, BufReader<UnixStream>, UnixStream)> {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // What a plugin reads from its standard input is nothing of ours.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    let said = socket.try_clone()?;
    let mut heard = BufReader::new(socket);
    let mut line = String::new();
    heard.by_ref().take(MAX_REQUEST_BYTES).read_line(&mut line)?;
    Ok((serde_json::from_str(&line)?, heard, said))
}

fn export(request: Request, heard: BufReader<UnixStream>, said: UnixStream, global: &Global) -> Exit {
    let cancel = CancelToken::new();
    let held = Arc::default();
    // The parent warns and tells.
    let global = Global {
        output: Output::Text,
        quiet: true,
        plugin_dir: request.plugin_dir.clone(),
        held: Some(Arc::clone(&held)),
        ..global.clone()
    };
    interrupt::cancels(&cancel, &global);
    if let Err(e) = listen(heard, cancel.clone()) {
        return render::usage(&global, &format!("no thread to hear the parent: {e}"));
    }
    let teller = Teller { said: Mutex::new(said) };
    let ended = run::one(&request, &cancel, &teller, &global);
    let exit = match &ended {
        Ok(summary) => summary.error.as_ref().map_or(Exit::Ok, |error| Exit::from(error.class)),
        Err(exit) => *exit,
    };
    teller.tell(&match ended {
        Ok(summary) => {
            let class = summary.error.as_ref().map(|error| error.class);
            Told::Ended { summary: Box::new(summary), class }
        }
        Err(exit) => {
            let problems = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
            Told::NotBegun { problems, exit: exit.code() }
        }
    });
    exit
}

/// Hears the parent until it says that the run is to end, or says nothing any more.
fn listen(heard: BufReader<UnixStream>, cancel: CancelToken) -> std::io::Result<()> {
    let hear = move || {
        for line in heard.lines().map_while(Result::ok) {
            if line == CANCEL {
                wake(&cancel);
            }
        }
        if !cancel.is_cancelled() {
            wake(&cancel);
            thread::sleep(GRACE);
        }
        end_now(Exit::Interrupted.code().into());
    };
    thread::Builder::new().name("rivet-parent".to_owned()).spawn(hear).map(drop)
}

/// Cancels, on another thread: a plugin that is woken may not come back.
fn wake(cancel: &CancelToken) {
    let token = cancel.clone();
    if thread::Builder::new().spawn(move || token.cancel()).is_err() {
        cancel.cancel();
    }
}

/// Passes on what a run tells.
struct Teller {
    said: Mutex<UnixStream>,
}

impl Teller {
    fn tell(&self, told: &Told) {
        let Ok(mut line) = serde_json::to_vec(told) else { return };
        line.push(b'\n');
        // A parent that died is noticed elsewhere.
        let _ = self.said.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
    }
}

impl Progress for Teller {
    fn started(&self, run_id: &str, _: &str) {
        self.tell(&Told::Started { run_id: run_id.to_owned() });
    }

    fn planned(&self, plan: &Plan, rows: Option<u64>) {
        self.tell(&Told::Planned { plan: Box::new(plan.clone()), rows });
    }

    fn read(&self, _: &str, rows: u64, bytes: u64) {
        self.tell(&Told::Read { rows, bytes });
    }

    fn part_written(&self, _: &str, name: &str, rows: u64, bytes: u64) {
        self.tell(&Told::PartWritten { name: name.to_owned(), rows, bytes });
    }

    fn split_done(&self, _: &str, done: usize, of: usize) {
        self.tell(&Told::SplitDone { done, of });
    }

    fn retrying(&self, _: &str, retry: &Retrying<'_>) {
        let Retrying { split, cause, number, of, after_ms } = *retry;
        self.tell(&Told::Retrying { split: split.to_owned(), cause: cause.to_owned(), number, of, after_ms });
    }

    fn warn(&self, _: &str, message: &str) {
        self.tell(&Told::Warning { message: message.to_owned() });
    }

    // The end is told with what is no part of a summary, when the run has let go of all that it held.
    fn finished(&self, _: &Summary) {}

    fn ended(&self, _: &str) {}
}
