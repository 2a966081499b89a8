//! Says when nothing has come from the source for long, while it is waited for.
//! It must not end anything: the session's own limit does.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::env::{Env, lock};

/// After so long it is said for the first time, then each time the silence is twice as long, ms.
const TELL_AFTER_MS: u64 = 60_000;

/// One attempt's silence. The thread that reads says when it waits, another one watches.
pub struct Silence<'a> {
    env: &'a Env<'a>,
    export: &'a str,
    /// What is read, for the message.
    what: String,
    /// After so long the session gives up, ms.
    limit_ms: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Since when it has been waited without a pause, monotonic ms.
    since_ms: Option<u64>,
    over: bool,
}

impl<'a> Silence<'a> {
    pub fn new(env: &'a Env<'a>, export: &'a str, what: String, limit_ms: u64) -> Self {
        Self { env, export, what, limit_ms, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Calls `f`, which waits for the source.
    pub fn waiting<T>(&self, f: impl FnOnce() -> T) -> T {
        lock(&self.state).since_ms = Some(self.env.clock.monotonic_ms());
        let came = f();
        lock(&self.state).since_ms = None;
        came
    }

    /// Ends [`watch`](Self::watch) when it is dropped.
    pub fn until_dropped(&self) -> impl Drop + use<'_, 'a> {
        Watched(self)
    }

    /// Watches until there is nothing more to wait for.
    pub fn watch(&self) {
        let first_ms = self.env.faults.silence_ms().unwrap_or(TELL_AFTER_MS);
        // The clock that is asked may be a simulated one: it is not what wakes this thread.
        let look_every = Duration::from_millis((first_ms / 4).clamp(10, 1000));
        let mut watch = Watch::new(first_ms);
        let mut state = lock(&self.state);
        while !state.over {
            let waited = self.changed.wait_timeout(state, look_every);
            state = waited.map_or_else(|e| e.into_inner().0, |(state, _)| state);
            let since_ms = state.since_ms.filter(|_| !state.over);
            if let Some(silent_ms) = watch.due(since_ms, self.env.clock.monotonic_ms()) {
                drop(state);
                self.tell(silent_ms);
                state = lock(&self.state);
            }
        }
    }

    fn tell(&self, silent_ms: u64) {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let text = format!(
            "{}: nothing has come from the source for {} s; it may be at work, or lost; waiting for {} s at most",
            self.what,
            seconds(silent_ms),
            seconds(self.limit_ms)
        );
        self.env.progress.warn(self.export, &text);
    }
}

/// Tells the watcher that all came, whatever way the reader ends.
struct Watched<'s, 'a>(&'s Silence<'a>);

impl Drop for Watched<'_, '_> {
    fn drop(&mut self) {
        lock(&self.0.state).over = true;
        self.0.changed.notify_all();
    }
}

/// When the next word about one silence is due.
struct Watch {
    first_ms: u64,
    next_ms: u64,
    since_ms: Option<u64>,
}

impl Watch {
    fn new(first_ms: u64) -> Self {
        Self { first_ms, next_ms: first_ms, since_ms: None }
    }

    /// How long it has been silent, ms, if that is to be said now.
    fn due(&mut self, since_ms: Option<u64>, now_ms: u64) -> Option<u64> {
        if self.since_ms != since_ms {
            (self.since_ms, self.next_ms) = (since_ms, self.first_ms);
        }
        let silent_ms = now_ms.saturating_sub(since_ms?);
        let due = silent_ms >= self.next_ms;
        let told_ms = self.next_ms;
        if due {
            self.next_ms *= 2;
        }
        due.then_some(told_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_at_growing_distances_and_the_next_one_anew() {
        let mut watch = Watch::new(60);
        let told: Vec<u64> = (0..=300).filter_map(|now| watch.due(Some(0), now)).collect();
        assert_eq!(told, [60, 120, 240]);
        assert_eq!(watch.due(None, 301), None);
        let told: Vec<u64> = (310..=400).filter_map(|now| watch.due(Some(310), now)).collect();
        assert_eq!(told, [60], "another silence");
        assert_eq!(watch.due(Some(401), 402), None);
    }
}
