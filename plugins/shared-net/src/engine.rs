//! Waiting: a runtime of our own behind synchronous calls, which a cancel wakes and a time limit ends.
//! It must not know what is waited for.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The call was cancelled.
    Cancelled,
    /// The limit is over.
    TooLate,
    /// The work panicked, as drivers do at bytes that no server sends: what it worked on is of no more use.
    Broken,
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
    /// `code` is that of the error.
    ///
    /// # Errors
    /// `Capacity` when the system gives no descriptors.
    pub fn new(code: &'static str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| {
            PluginError::new(ErrorKind::Capacity, code, "failed to set up the connection")
                .cause(e)
                .hint("the system is short of file descriptors: look at `ulimit -n`")
        })?;
        Ok(Self { runtime: Some(runtime), wake: Notify::new() })
    }

    /// Waits for the work. Whatever wakes it but our own alarm is something that was heard.
    ///
    /// # Errors
    /// As [`Ended`] says.
    pub fn run<T>(&self, cx: &Cx, limit: Limit, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut work = pin!(work);
        self.drive(cx, limit, |woken| woken, |task| work.as_mut().poll(task))
    }

    /// Polls until there is a result, the call is cancelled or the limit is over. `heard` says when something was last
    /// heard; it is asked when the silence would be over.
    ///
    /// # Errors
    /// As [`Ended`] says.
    pub fn poll<T>(
        &self,
        cx: &Cx,
        limit: Limit,
        heard: impl Fn() -> Instant,
        poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Ended> {
        self.drive(cx, limit, |_woken| heard(), poll)
    }

    /// `heard` is told when the work was last woken.
    fn drive<T>(
        &self,
        cx: &Cx,
        limit: Limit,
        heard: impl Fn(Instant) -> Instant,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Ended> {
        let runtime = self.runtime.as_ref().expect("it is there until the engine is dropped");
        let wait = || {
            runtime.block_on(async {
                let mut woken = pin!(self.wake.notified());
                let mut alarm = pin!(None::<tokio::time::Sleep>);
                let mut last = Instant::now();
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
                    match catch_unwind(AssertUnwindSafe(|| poll(task))) {
                        Ok(Poll::Ready(result)) => return Poll::Ready(Ok(result)),
                        Ok(Poll::Pending) => {}
                        Err(_) => return Poll::Ready(Err(Ended::Broken)),
                    }
                    let rang = alarm.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(task).is_ready());
                    if rang {
                        alarm.set(None);
                    } else {
                        last = Instant::now();
                    }
                    // The clock is looked at here, not when the alarm goes: what never pauses leaves it no turn.
                    let Some(at) = limit.next_look(heard(last)) else { return Poll::Pending };
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

#[cfg(test)]
mod tests {
    use rivet_plugin_api::CancelToken;

    use super::*;

    #[test]
    fn a_wait_ends_by_what_happens_first() {
        let engine = Engine::new("test.runtime").expect("a runtime");
        let token = CancelToken::new();
        let (cx, short) = (token.cx(), Limit::within(Duration::from_millis(20)));
        assert_eq!(engine.run(&cx, Limit::default(), async { 7 }), Ok(7));
        assert_eq!(engine.run(&cx, short, std::future::pending::<()>()), Err(Ended::TooLate));
        // What never pauses is ended too.
        let busy = |task: &mut Context<'_>| {
            task.waker().wake_by_ref();
            Poll::<()>::Pending
        };
        assert_eq!(engine.poll(&cx, short, Instant::now, busy), Err(Ended::TooLate));
        let ticks = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        };
        let silence = |ms| Limit { until: None, silence: Some(Duration::from_millis(ms)) };
        assert_eq!(engine.run(&cx, silence(2_000), ticks), Ok(()));
        let begun = Instant::now();
        assert_eq!(engine.poll(&cx, silence(20), || begun, |_| Poll::<()>::Pending), Err(Ended::TooLate));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let broken = engine.run(&cx, short, async { assert_eq!(1, 2, "bytes that no server sends") });
        std::panic::set_hook(hook);
        assert_eq!(broken, Err(Ended::Broken));
        token.cancel();
        assert_eq!(engine.run(&cx, Limit::default(), std::future::pending::<()>()), Err(Ended::Cancelled));
    }
}
