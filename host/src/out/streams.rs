//! Stdout and stderr of this process, and whether what was written to stdout got there.
//! It must not know what is written.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rivet_core::clock::{Clock, SystemClock, format_rfc3339};
use rivet_plugin_api::data_output;

use super::secrets::Secrets;
use super::status::Status;
use super::{Colour, Text};

/// The two streams as one command sees them; clones share what went wrong and which secrets are hidden.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    lost: Arc<Mutex<Option<Lost>>>,
    /// What stands at the end of stderr.
    status: Arc<Mutex<Status>>,
    /// Warnings say when.
    is_timed: Arc<AtomicBool>,
    /// What is never written.
    pub secrets: Secrets,
}

/// Why a text did not get through to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Whoever read it went away.
    Gone,
    /// There was no stdout when the process began.
    Closed,
    /// It could not be written.
    Failed(ErrorKind),
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("its reader went away"),
            Self::Closed => f.write_str("it is closed"),
            Self::Failed(kind) => write!(f, "{kind}"),
        }
    }
}

impl Streams {
    /// Writes a text to stdout, unless an earlier one failed. Whoever ends the process asks for [`lost`](Self::lost).
    pub fn data(&self, text: &Text) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.is_some() {
            return;
        }
        if stdout_is_closed() {
            *lost = Some(Lost::Closed);
            return;
        }
        let written = data_output().and_then(|mut out| out.write_all(self.secrets.without(text).as_bytes()));
        *lost = written.err().map(|e| match e.kind() {
            ErrorKind::BrokenPipe => Lost::Gone,
            kind => Lost::Failed(kind),
        });
    }

    /// Writes a text to stderr; if that fails there is nobody left to tell.
    pub fn say(&self, text: &Text) {
        self.with_status(&self.secrets.without(text), |_| {});
    }

    /// Writes a warning to stderr.
    pub fn warn(&self, text: &str) {
        let is_timed = self.is_timed.load(Ordering::Relaxed);
        let at = if is_timed { format_rfc3339(SystemClock::default().now_unix_ms()) + " " } else { String::new() };
        let mut line = Text::for_stderr();
        line.spans(&[(&at, None), ("warning:", Some(Colour::Yellow)), (" ", None), (text, None)]);
        self.say(&line);
    }

    /// From now on warnings say when they were written: it is a log that is read later.
    pub fn time_warnings(&self) {
        self.is_timed.store(true, Ordering::Relaxed);
    }

    /// Shows these lines at the end of stderr, which is a terminal, in the place of those before.
    pub fn show_status(&self, lines: Vec<String>) {
        self.with_status("", |status| status.set(lines));
    }

    /// Takes those lines away for good.
    pub fn end_status(&self) {
        self.with_status("", Status::end);
    }

    fn with_status(&self, text: &str, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut status);
        let all = status.around(text);
        if !all.is_empty() {
            let _ = std::io::stderr().lock().write_all(all.as_bytes());
        }
    }

    /// Why a text did not get through.
    pub fn lost(&self) -> Option<Lost> {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether data goes to a terminal.
pub fn stdout_is_terminal() -> bool {
    data_output().is_ok_and(|out| out.is_terminal())
}

/// Whether this process was started without a stdout. By now something else is open in its place.
pub fn stdout_is_closed() -> bool {
    rivet_plugin_api::load::stdout_was_closed()
}
