//! Waiting: a runtime of our own behind synchronous calls, which a cancel wakes and a time limit ends.
//! It must not know what is waited for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
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
}

impl Limit {
    /// So much from now on, whatever is said meanwhile.
    pub fn within(time: Duration) -> Self {
        Self { until: Some(Instant::now() + time), silence: None }
    }

    /// When to look again whether it is over, having heard something then.
    fn next_look(self, heard: Instant) -> Option<Instant> {
        let silent = self.silence.map(|silence| heard + silence);
        self.until.into_iter().chain(silent).min()
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
            PluginError::new(ErrorKind::Capacity, "mssql.runtime", "failed to set up the connection")
                .cause(e)
                .hint("the system is short of file descriptors: look at `ulimit -n`")
        })?;
        Ok(Self { runtime: Some(runtime), wake: Notify::new() })
    }

    /// Polls until there is a result, the call is cancelled or the limit is over. `heard` says when something was last
    /// heard; it is asked when the silence would be over.
    pub fn run<T>(
        &self,
        cx: &Cx,
        limit: Limit,
        heard: impl Fn() -> Instant,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Ended> {
        let runtime = self.runtime.as_ref().expect("it is there until the engine is dropped");
        let work = || {
            runtime.block_on(async {
                let mut woken = pin!(self.wake.notified());
                // What came while nobody read is seen only after the runtime had a turn.
                let mut had_a_turn = false;
                let mut alarm = pin!(None::<tokio::time::Sleep>);
                poll_fn(|task| {
                    // A wake of an earlier call may still be there.
                    while woken.as_mut().poll(task).is_ready() {
                        woken.set(self.wake.notified());
                    }
                    if cx.is_cancelled() {
                        return Poll::Ready(Err(Ended::Cancelled));
                    }
                    if let Poll::Ready(result) = poll(task) {
                        return Poll::Ready(Ok(result));
                    }
                    // The clock is looked at here, not when the alarm goes: what never pauses leaves it no turn.
                    loop {
                        let Some(at) = limit.next_look(heard()) else { return Poll::Pending };
                        if at <= Instant::now() {
                            if !std::mem::replace(&mut had_a_turn, true) {
                                task.waker().wake_by_ref();
                                return Poll::Pending;
                            }
                            return Poll::Ready(Err(Ended::TooLate));
                        }
                        had_a_turn = false;
                        match alarm.as_mut().as_pin_mut() {
                            Some(sleep) if sleep.deadline() <= at.into() => match sleep.poll(task) {
                                Poll::Pending => return Poll::Pending,
                                Poll::Ready(()) => alarm.set(None),
                            },
                            _ => alarm.set(Some(tokio::time::sleep_until(at.into()))),
                        }
                    }
                })
                .await
            })
        };
        cx.with_wake(&|| self.wake.notify_one(), work)
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
