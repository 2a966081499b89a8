//! Watches what others suffer on the server while it is read, and tells the guard how long reading pauses.
//! It must not know how a source finds out, nor who pauses.

use rivet_plugin_api::{Aggregate, CancelToken, KeyValue, Measure, Session, Snapshot};

use super::env::Env;
use super::guard::{Guard, MOST_PAUSE_MS};
use crate::error::RunError;
use crate::resolve::ExportSpec;

/// How often it looks.
const LOOK_MS: u64 = 1_000;
/// Fewer sessions wait now and then on any server that works.
const MIN_WAITING: u64 = 2;
/// A replica that is behind no further is as replicas are, ms.
const MAX_LAG_MS: u64 = 10_000;
/// So often in a row it looks in vain before it gives up.
const MOST_FAILED: u32 = 3;
/// The first pause, ms; while others suffer it is doubled at each look, and halved while they do not.
const FIRST_PAUSE_MS: u64 = 100;

/// What it found, and did.
#[derive(Debug, Default)]
pub struct Governor {
    /// What others suffered at the last look: once is chance.
    suffered: bool,
    pause_ms: u64,
}

impl Governor {
    /// The pause after a look.
    fn look(&mut self, waiting: u64, lag_ms: u64) -> u64 {
        let suffer = waiting >= MIN_WAITING || lag_ms > MAX_LAG_MS;
        self.pause_ms = match (suffer, self.suffered) {
            (true, true) => (self.pause_ms * 2).clamp(FIRST_PAUSE_MS, MOST_PAUSE_MS),
            (true, false) => self.pause_ms,
            (false, _) if self.pause_ms <= FIRST_PAUSE_MS => 0,
            (false, _) => self.pause_ms / 2,
        };
        self.suffered = suffer;
        self.pause_ms
    }
}

/// The session that it looks by.
#[derive(Default)]
struct Eye {
    session: Option<Box<dyn Session>>,
    opened_ms: u64,
    n_failed: u32,
}

impl Eye {
    /// Sessions that wait, and how far a replica is behind, ms.
    fn look(
        &mut self,
        spec: &ExportSpec,
        run_id: &str,
        env: &Env<'_>,
        stop: &CancelToken,
    ) -> Result<(u64, u64), RunError> {
        let cx = stop.cx();
        let age_ms = env.clock.monotonic_ms().saturating_sub(self.opened_ms);
        // To the server it is a transaction like any other, and no older than those that read.
        if spec.snapshot_ms().is_some_and(|limit_ms| age_ms >= limit_ms)
            && let Some(mut old) = self.session.take()
        {
            drop(old.end(&cx));
        }
        let mut session = match self.session.take() {
            Some(session) => session,
            None => {
                self.opened_ms = env.clock.monotonic_ms();
                let group = spec.open_sessions(run_id, 1, &Snapshot::None, None, &cx)?;
                let none = || RunError::Internal("the source opened no session".to_owned());
                group.sessions.into_iter().next().ok_or_else(none)?
            }
        };
        let asked = Aggregate::new(spec.relation.clone(), vec![Measure::Waiting, Measure::ReplicaLag]);
        let answers =
            session.aggregate(&asked, &cx).map_err(RunError::plugin("ask what others suffer on", "the server"))?;
        self.session = Some(session);
        let number = |answer: &Option<KeyValue>| answer.as_ref().and_then(|value| value.text.parse().ok()).unwrap_or(0);
        Ok((answers.first().map_or(0, number), answers.get(1).map_or(0, number)))
    }
}

/// Watches until it is stopped, by a session of its own. What is to be said in the end: that reading paused, or why nobody watched.
fn watch(spec: &ExportSpec, run_id: &str, guard: &Guard<'_>, env: &Env<'_>, stop: &CancelToken) -> Option<String> {
    let (mut governor, mut eye, mut paused) = (Governor::default(), Eye::default(), false);
    let blind = loop {
        env.clock.sleep_ms(LOOK_MS, &|| stop.is_cancelled());
        if stop.is_cancelled() {
            break None;
        }
        match eye.look(spec, run_id, env, stop) {
            Ok((waiting, lag_ms)) => {
                eye.n_failed = 0;
                guard.set_pause_ms(governor.look(waiting, lag_ms));
                if guard.pause_ms() > 0 && !paused {
                    paused = true;
                    let told =
                        format!("others wait on the server ({waiting}), or its replicas ({lag_ms} ms): reading pauses");
                    env.progress.warn(&spec.name, &told);
                }
            }
            Err(e) => {
                eye.n_failed += 1;
                if eye.n_failed >= MOST_FAILED && !stop.is_cancelled() {
                    break Some(e);
                }
            }
        }
    };
    guard.set_pause_ms(0);
    match blind {
        Some(e) => Some(format!("`adaptive`: what others suffer on the server was not watched to the end: {e}")),
        None => paused.then(|| "`adaptive`: reading paused, since others waited on the server".to_owned()),
    }
}

/// Reads, under the eyes of a governor where the config asks for one and a connection is left for it; returns what to tell. It is
/// one for all snapshots that are read: what it found out is as true in the next one.
pub fn around<T>(
    spec: &ExportSpec,
    plan: (&str, usize),
    guard: &Guard<'_>,
    env: &Env<'_>,
    read: impl FnOnce() -> T,
) -> (T, Option<String>) {
    let (run_id, n_connections) = plan;
    if !spec.tuning.adaptive {
        return (read(), None);
    }
    let left = spec.n_connections.or(spec.tuning.max_connections).is_none_or(|n| n > n_connections);
    let why_not = match spec.source_capabilities().pressure {
        true if left => None,
        true => Some("`max_connections` leaves it no connection"),
        false => Some("the source cannot say what others suffer"),
    };
    if let Some(why_not) = why_not {
        return (read(), Some(format!("`adaptive`: nobody watches the server, since {why_not}")));
    }
    let stop = CancelToken::new();
    std::thread::scope(|scope| {
        let governor = scope.spawn(|| watch(spec, run_id, guard, env, &stop));
        let came = read();
        stop.cancel();
        // One that panicked has nothing to say.
        (came, governor.join().ok().flatten())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_server_is_never_slowed_and_a_busy_one_more_and_more() {
        let mut quiet = Governor::default();
        for waiting in [0, 1, 0, 2, 0, 9, 1, 0] {
            assert_eq!(quiet.look(waiting, 10_000), 0, "once is chance");
        }
        let mut busy = Governor::default();
        let pauses: Vec<u64> = [3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0].map(|waiting| busy.look(waiting, 0)).to_vec();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 2000, 2000, 1000, 500, 250, 125, 62]);
        assert_eq!((busy.look(0, 0), busy.look(0, 10_001), busy.look(0, 10_001)), (0, 0, 100));
    }
}
