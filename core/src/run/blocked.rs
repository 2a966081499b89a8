//! Who is waited for while a session is opened and a relation is described: locks are taken there.
//! It must not know how a source finds out, nor what becomes of the wait.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use rivet_plugin_api::{Aggregate, Blocker, CancelToken, Measure, Snapshot};

use super::env::{Env, lock};
use crate::error::RunError;
use crate::resolve::ExportSpec;

/// What takes longer is looked at, by when a login has mostly ended, well or not: to try another one then would be rude. Then again each time it has taken twice as long, up to the last distance, ms.
const FIRST_LOOK_MS: u64 = 3_000;
const MOST_DISTANCE_MS: u64 = 30_000;

/// Time that was spent waiting for locks, and for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waited {
    /// About how long, ms.
    pub ms: u64,
    /// Each once.
    pub blockers: Vec<Blocker>,
}

impl Waited {
    /// Adds another wait.
    pub fn add(&mut self, other: &Self) {
        self.ms += other.ms;
        for blocker in &other.blockers {
            let is_known =
                |known: &Blocker| (&known.session, &known.application) == (&blocker.session, &blocker.application);
            if !self.blockers.iter().any(is_known) {
                self.blockers.push(blocker.clone());
            }
        }
    }
}

/// Calls `call`; where it takes long, another session asks whom ours wait for.
pub fn watched<T>(spec: &ExportSpec, run_id: &str, env: &Env<'_>, call: impl FnOnce() -> T) -> T {
    if !spec.source_capabilities().blockers || spec.has_one_connection() {
        return call();
    }
    let (over, stop) = (Over::default(), CancelToken::new());
    let waited = Mutex::new(Waited::default());
    let came = std::thread::scope(|scope| {
        // Without a watcher nothing is told, and all else is as it was.
        let watcher = std::thread::Builder::new().name("rivet-locks".to_owned());
        drop(watcher.spawn_scoped(scope, || watch(spec, run_id, env, (&over, &stop), &waited)));
        let _ended = Ended(&over, &stop);
        call()
    });
    let waited = waited.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if waited.ms > 0 {
        env.progress.waited(&spec.name, &waited);
    }
    came
}

fn watch(spec: &ExportSpec, run_id: &str, env: &Env<'_>, (over, stop): (&Over, &CancelToken), waited: &Mutex<Waited>) {
    let began = Instant::now();
    let mut told = Waited::default();
    let mut distance_ms = FIRST_LOOK_MS;
    while !over.within(distance_ms) {
        // Whoever cannot ask has nothing to tell: that nothing moves is told by others.
        let Ok(blockers) = ask(spec, run_id, stop) else { return };
        distance_ms = (distance_ms * 2).min(MOST_DISTANCE_MS);
        if blockers.is_empty() {
            continue;
        }
        if told.blockers.is_empty() {
            let who: Vec<String> = blockers.iter().map(Blocker::to_string).collect();
            let relation = spec.relation.label();
            env.progress.warn(&spec.name, &format!("{relation}: waits for a lock that is kept by {}", who.join(", ")));
        }
        told.add(&Waited { ms: 0, blockers });
        // Until it is known otherwise.
        let is_over = over.within(distance_ms);
        told.ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        lock(waited).clone_from(&told);
        if is_over {
            return;
        }
    }
}

/// Whom sessions of this run wait for now. Each look has a session of its own: one that stays open is a transaction to the server.
fn ask(spec: &ExportSpec, run_id: &str, stop: &CancelToken) -> Result<Vec<Blocker>, RunError> {
    let cx = stop.cx();
    let group = spec.open_sessions(run_id, 1, &Snapshot::None, None, &cx)?;
    let Some(mut session) = group.sessions.into_iter().next() else { return Ok(Vec::new()) };
    let asked = Aggregate::new(spec.relation.clone(), vec![Measure::Blockers]);
    let answers = session.aggregate(&asked, &cx).map_err(RunError::plugin("ask whom it waits for", "the server"))?;
    drop(session.end(&cx));
    let told = answers.into_iter().flatten().next().map(|value| value.text).unwrap_or_default();
    Ok(serde_json::from_str(&told).unwrap_or_default())
}

/// Whether the call is over.
#[derive(Default)]
struct Over {
    over: Mutex<bool>,
    changed: Condvar,
}

impl Over {
    /// Waits for so long; whether it was over by then.
    fn within(&self, ms: u64) -> bool {
        let waited = self.changed.wait_timeout_while(lock(&self.over), Duration::from_millis(ms), |over| !*over);
        waited.map_or(true, |(over, _)| *over)
    }
}

/// Tells the watcher, whatever way the call ends.
struct Ended<'s>(&'s Over, &'s CancelToken);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        *lock(&self.0.over) = true;
        self.0.changed.notify_all();
        self.1.cancel();
    }
}
