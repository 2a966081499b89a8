//! Waiting: a runtime of our own behind synchronous calls, which a cancel wakes and a time limit ends.
//! It must not know what is waited for.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// How long something may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limit {
    /// When it must be over.
    pub until: Option<Instant>,
    /// Longest silence meanwhile.
    pub silence: Option<Duration>,
}

/// Why a wait ended without what was waited for.
pub enum Ended {
    Cancelled,
    /// The limit is over.
    TooLate,
    /// The work panicked: what it worked on is of no more use.
    Broken,
}

impl Limit {
    /// So much from now on, whatever is said meanwhile.
    pub fn within(time: Duration) -> Self {
        Self { until: Some(Instant::now() + time), silence: None }
    }
}

/// A runtime on the caller's thread. It does nothing between calls.
pub struct Engine {
    runtime: Option<Runtime>,
    wake: Notify,
}

impl Engine {
    /// # Errors
    /// `Capacity` when the system gives no descriptors.
    pub fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| {
            PluginError::new(ErrorKind::Capacity, "mysql.runtime", "failed to set up the connection")
                .cause(e)
                .hint("the system is short of file descriptors: look at `ulimit -n`")
        })?;
        Ok(Self { runtime: Some(runtime), wake: Notify::new() })
    }

    /// Waits until there is a result, the call is cancelled or the limit is over. Whatever wakes the work but our own
    /// alarm is something that was heard.
    pub fn run<T>(&self, cx: &Cx, limit: Limit, work: impl Future<Output = T>) -> Result<T, Ended> {
        let runtime = self.runtime.as_ref().expect("it is there until the engine is dropped");
        let wait = || {
            runtime.block_on(async {
                let mut work = pin!(work);
                let mut woken = pin!(self.wake.notified());
                let mut alarm = pin!(None::<tokio::time::Sleep>);
                let mut heard = Instant::now();
                // What came while nobody read is seen only after the runtime had a turn.
                let mut had_a_turn = false;
                poll_fn(|task| {
                    // A wake of an earlier call may still be there.
                    while woken.as_mut().poll(task).is_ready() {
                        woken.set(self.wake.notified());
                    }
                    if cx.is_cancelled() {
                        return Poll::Ready(Err(Ended::Cancelled));
                    }
                    // The driver panics at some bytes that no server sends.
                    match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(task))) {
                        Ok(Poll::Ready(result)) => return Poll::Ready(Ok(result)),
                        Ok(Poll::Pending) => {}
                        Err(_) => return Poll::Ready(Err(Ended::Broken)),
                    }
                    let rang = alarm.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(task).is_ready());
                    if rang {
                        alarm.set(None);
                    } else {
                        heard = Instant::now();
                    }
                    let silent = limit.silence.map(|silence| heard + silence);
                    let Some(at) = limit.until.into_iter().chain(silent).min() else { return Poll::Pending };
                    if at <= Instant::now() {
                        if !std::mem::replace(&mut had_a_turn, true) {
                            task.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        return Poll::Ready(Err(Ended::TooLate));
                    }
                    had_a_turn = false;
                    if alarm.as_ref().as_pin_ref().is_none_or(|sleep| sleep.deadline() > at.into()) {
                        alarm.set(Some(tokio::time::sleep_until(at.into())));
                        // Registers it; it is not over yet.
                        if alarm.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(task).is_ready()) {
                            task.waker().wake_by_ref();
                        }
                    }
                    Poll::Pending
                })
                .await
            })
        };
        cx.with_wake(&|| self.wake.notify_one(), wait)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A name that is being resolved cannot be given up; nobody waits for it.
            runtime.shutdown_background();
        }
    }
}
