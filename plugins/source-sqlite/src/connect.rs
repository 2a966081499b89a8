//! One connection on a thread of its own, and calls to it.
//! It must not know what the calls read.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rivet_plugin_api::{Connection as Keys, Cx, ErrorKind, PluginError, Result};
use rusqlite::{Connection, InterruptHandle, OpenFlags};

use crate::error::sqlite;
use crate::options::SqliteOptions;

/// How long a caller that gave up waits between two interrupts.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// A connection that lives on its own thread: a statement in progress cannot move between threads, a session must.
pub struct Actor {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    interrupt: InterruptHandle,
}

impl Actor {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// `NotFound` when it is not there; it is never made.
    pub fn open(path: &Path, busy_timeout_ms: u64) -> Result<Self> {
        if !path.is_file() {
            let text = format!("database file '{}' does not exist", path.display());
            return Err(
                PluginError::new(ErrorKind::NotFound, "sqlite.no_file", text).hint("check `path` of the source")
            );
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let doing = format!("open '{}'", path.display());
        let db = Connection::open_with_flags(path, flags).map_err(sqlite(&doing))?;
        db.busy_timeout(Duration::from_millis(busy_timeout_ms)).map_err(sqlite(&doing))?;
        let interrupt = db.get_interrupt_handle();
        let (jobs, queue) = channel::<Job>();
        let serve = move || {
            for job in queue {
                job(&db);
            }
        };
        let thread = std::thread::Builder::new().name("rivet-sqlite".to_owned()).spawn(serve);
        let thread = thread
            .map_err(|e| PluginError::new(ErrorKind::Capacity, "sqlite.thread", "failed to start a thread").cause(e))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), interrupt })
    }

    /// Runs `work` on the connection and waits for its answer.
    ///
    /// # Errors
    /// What `work` answers; `Cancelled` when the host cancels meanwhile; `Panicked` when it panics.
    pub fn call<T: Send + 'static>(
        &self,
        cx: &Cx,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = channel();
        self.start(Box::new(move |db| {
            let _ = answer.send(work(db));
        }))?;
        self.wait(cx, &answered)?
    }

    /// Hands over a job without waiting for it.
    pub fn start(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())
    }

    /// Waits for a message from a job; a cancelled wait interrupts the statement.
    pub fn wait<T>(&self, cx: &Cx, from: &Receiver<T>) -> Result<T> {
        let interrupt = || self.interrupt.interrupt();
        cx.with_wake(&interrupt, || {
            loop {
                match from.recv_timeout(INTERRUPT_EVERY * 5) {
                    Ok(message) => return Ok(message),
                    Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                    // The wake may have come a moment before the statement began.
                    Err(RecvTimeoutError::Timeout) if cx.is_cancelled() => self.interrupt.interrupt(),
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        })
    }

    /// Interrupts until `done` is closed.
    pub fn stop(&self, done: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = done.recv_timeout(INTERRUPT_EVERY) {
            self.interrupt.interrupt();
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.jobs = None;
        self.interrupt.interrupt();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn gone() -> PluginError {
    PluginError::new(ErrorKind::Panicked, "sqlite.thread", "the thread of the connection ended")
        .hint("this is a defect of the plugin: report it")
}

/// The file that options and connection keys name.
///
/// # Errors
/// `Config` when none or several are named, or keys that a file has no use for.
pub fn file_of(options: &SqliteOptions, keys: &Keys) -> Result<PathBuf> {
    let wrong = |text: &str, hint: &str| Err(PluginError::new(ErrorKind::Config, "sqlite.path", text).hint(hint));
    if keys.host.is_some()
        || keys.port.is_some()
        || keys.user.is_some()
        || keys.password.is_some()
        || keys.tls.is_some()
    {
        return wrong(
            "sqlite reads a file: host, port, user, password and tls mean nothing",
            "name the file with `path`",
        );
    }
    match (&options.path, &keys.url) {
        (Some(path), None) => Ok(PathBuf::from(path)),
        (None, Some(url)) => {
            let url = url.expose();
            let rest = url.strip_prefix("sqlite:").map(|r| r.strip_prefix("//").unwrap_or(r));
            match rest.filter(|r| !r.is_empty()) {
                Some(path) => Ok(PathBuf::from(path)),
                None => wrong("the url is no sqlite url", "write `sqlite:FILE` or `sqlite:///ABSOLUTE/FILE`"),
            }
        }
        (None, None) => wrong("the source names no file", "name the file with `path`"),
        (Some(_), Some(_)) => wrong("the source has both `path` and a url", "keep one of the two"),
    }
}
