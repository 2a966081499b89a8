//! A connection on a thread of its own, and calls to it.
//! It must not know what the calls read.
//!
//! A statement in progress borrows its connection and cannot move between threads, while a session and its stream
//! must: so the connection stays where it is and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result};
use rusqlite::{Connection, InterruptHandle};

/// How long a caller that gave up waits between two interrupts.
const INTERRUPT_EVERY: Duration = Duration::from_millis(10);
/// How often a waiting caller looks whether it was cancelled: the wake does it sooner, but for a moment's race.
const LOOK_EVERY: Duration = Duration::from_millis(100);

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The connection's thread, as its owner sees it. Jobs run one after the other.
pub struct Actor {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    interrupt: InterruptHandle,
    stopped: Arc<AtomicBool>,
}

impl Actor {
    /// Starts the thread; `open` makes the connection and gets the flag that a wait for a lock must watch.
    ///
    /// # Errors
    /// What `open` answers, `Cancelled`, or `Capacity` when there is no thread to be had.
    pub fn start(cx: &Cx, open: impl FnOnce(Arc<AtomicBool>) -> Result<Connection> + Send + 'static) -> Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let (jobs, queue) = channel::<Job>();
        let (opened, answer) = channel();
        let flag = stopped.clone();
        let serve = move || {
            let db = match guarded(|| open(flag)) {
                Ok(db) => db,
                Err(e) => return drop(opened.send(Err(e))),
            };
            // Its owner waits for it, or is gone, and the queue with it.
            let _ = opened.send(Ok(db.get_interrupt_handle()));
            for job in queue {
                job(&db);
            }
        };
        let thread = std::thread::Builder::new().name("rivet-sqlite".to_owned()).spawn(serve);
        let thread = thread
            .map_err(|e| PluginError::new(ErrorKind::Capacity, "sqlite.thread", "failed to start a thread").cause(e))?;
        let wake = || stopped.store(true, Ordering::Relaxed);
        // Opening takes no statement that could last; it ends by itself once it waits for no lock.
        let interrupt = cx.with_wake(&wake, || answer.recv()).map_err(|_| gone())?;
        let thread = Some(thread);
        match interrupt {
            Ok(interrupt) => Ok(Self { jobs: Some(jobs), thread, interrupt, stopped }),
            Err(_) if cx.is_cancelled() => Err(PluginError::cancelled()),
            Err(e) => Err(e),
        }
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
        cx.check()?;
        let (answer, answered) = channel();
        self.begin(Box::new(move |db| drop(answer.send(guarded(|| work(db))))))?;
        // Whatever ended it, such as a lock no longer waited for.
        self.wait(cx, &answered)?.map_err(|e| if cx.is_cancelled() { PluginError::cancelled() } else { e })
    }

    /// Hands over a job without waiting for it. No other job is running.
    ///
    /// # Errors
    /// `Internal` when the thread ended.
    pub fn begin(&self, job: Job) -> Result<()> {
        self.stopped.store(false, Ordering::Relaxed);
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())
    }

    /// Waits for a message from a job. When the host cancels, the statement is interrupted, and the job's answer to
    /// that is waited for.
    ///
    /// # Errors
    /// `Internal` when the job ended without a message.
    pub fn wait<T>(&self, cx: &Cx, from: &Receiver<T>) -> Result<T> {
        cx.with_wake(&|| self.stop(), || {
            loop {
                let pause = if cx.is_cancelled() { INTERRUPT_EVERY } else { LOOK_EVERY };
                match from.recv_timeout(pause) {
                    Ok(message) => return Ok(message),
                    Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                    // The wake may have come a moment before the statement began.
                    Err(RecvTimeoutError::Timeout) if cx.is_cancelled() => self.stop(),
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        })
    }

    /// Tells a job in progress to end.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.interrupt.interrupt();
    }

    /// Ends the job in progress, which holds the other end of `running`.
    pub fn finish(&self, running: &Receiver<()>) {
        self.stop();
        while let Err(RecvTimeoutError::Timeout) = running.recv_timeout(INTERRUPT_EVERY) {
            self.stop();
        }
    }

    /// The flag that a job looks at between rows.
    pub fn stopped(&self) -> Arc<AtomicBool> {
        self.stopped.clone()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its panics were caught; there is nothing else to hear.
            let _ = thread.join();
        }
    }
}

/// Runs `work`; a panic becomes an error, as it does at the boundary, which it would never reach from here.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(PluginError::new(ErrorKind::Panicked, "sqlite.panicked", format!("the plugin panicked: {text}"))
            .hint("this is a defect of the plugin: report it to its author"))
    })
}

fn gone() -> PluginError {
    PluginError::new(ErrorKind::Internal, "sqlite.thread", "the thread of the connection ended without an answer")
        .hint("this is a defect of the plugin: report it to its author")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rivet_plugin_api::CancelToken;

    use super::*;

    fn actor(cx: &Cx) -> Actor {
        let open = |_| Ok(Connection::open_in_memory().expect("memory"));
        Actor::start(cx, open).expect("started")
    }

    #[test]
    fn a_panic_is_an_error_and_the_thread_lives_on() {
        let token = CancelToken::new();
        let actor = actor(&token.cx());
        let error = actor.call::<()>(&token.cx(), |_| panic!("on purpose")).expect_err("panicked");
        assert_eq!(error.kind(), ErrorKind::Panicked);
        assert!(error.message().contains("on purpose"), "{error}");
        assert_eq!(actor.call(&token.cx(), |_| Ok(7)).expect("lives"), 7);
        let opened = Actor::start(&token.cx(), |_| panic!("on purpose"));
        assert_eq!(opened.err().map(|e| e.kind()), Some(ErrorKind::Panicked));
    }

    #[test]
    fn a_job_that_ends_without_a_word_is_an_error() {
        let token = CancelToken::new();
        let actor = actor(&token.cx());
        let (sender, messages) = channel::<()>();
        actor.begin(Box::new(move |_| drop(sender))).expect("begun");
        assert_eq!(actor.wait(&token.cx(), &messages).expect_err("no word").kind(), ErrorKind::Internal);
    }

    #[test]
    fn cancelling_interrupts_a_statement_that_returns_no_row() {
        let token = CancelToken::new();
        let cx = token.cx();
        let actor = actor(&cx);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(100));
                token.cancel();
            });
            let started = Instant::now();
            let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
            let result =
                actor.call(&cx, move |db| db.query_row(endless, [], |_| Ok(())).map_err(crate::error::sqlite("count")));
            assert_eq!(result.expect_err("cancelled").kind(), ErrorKind::Cancelled);
            assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        });
    }
}
