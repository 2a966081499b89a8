//! A made-up world, one a seed: a database, a store, and a rule that says which call fails and how.
//! Must not know the run path.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_plugin_api::{CancelToken, ErrorKind, PluginError, Result, Retry};

/// What a source promises about reading the same state of the database twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A shared snapshot; splits by key mean the same in each.
    Keys,
    /// A shared snapshot; splits by place mean something else in each.
    Pages,
    /// One session holds a snapshot that nobody can join.
    Alone,
    /// Each statement reads its own state.
    Statements,
}

/// What a seed decides once.
#[derive(Debug, Clone)]
pub struct Setup {
    pub seed: u64,
    pub n_rows: i64,
    pub kind: Kind,
    pub parallel: usize,
    pub max_retries: u32,
    pub skip_empty: bool,
    /// Mode chunked, with so many chunks.
    pub chunks: Option<usize>,
    /// Failures per thousand calls.
    pub source_failures: u64,
    pub store_failures: u64,
    /// The call at which the user interrupts, counted over all calls.
    pub interrupt_at: Option<u64>,
    /// The source says of its pages that they mean the same in each snapshot.
    pub lies: bool,
    /// Two columns of the table have one name.
    pub twins: bool,
    /// `quality` of the export; none for rules of which the rows are at the limits.
    pub rules: Option<String>,
}

pub struct World {
    pub setup: Setup,
    pub cancel: CancelToken,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub struct Inner {
    /// Nothing fails any more.
    pub healed: bool,
    /// Calls so far, of each place and name: the same call fails again or not by its number.
    passes: HashMap<(&'static str, String), u64>,
    n_calls: u64,
    /// Snapshots whose holder lives.
    pub snapshots: BTreeSet<u64>,
    pub last_snapshot: u64,
    pub n_sessions: usize,
    pub most_sessions: usize,
    pub n_uploads: usize,
    pub n_cuts: u64,
    pub n_lost: u64,
    /// Names that were ever begun: none may come twice.
    pub names: BTreeSet<String>,
    /// Where each name was begun.
    pub rooms: BTreeMap<String, String>,
    pub prepared: BTreeMap<String, Vec<u8>>,
    pub visible: BTreeMap<String, Vec<u8>>,
    /// What core did that it must not do.
    pub violations: Vec<String>,
}

static WORLDS: Mutex<Option<HashMap<u64, Arc<World>>>> = Mutex::new(None);

/// Makes the world of a seed.
pub fn create(setup: Setup) -> Arc<World> {
    let seed = setup.seed;
    let world = Arc::new(World { setup, cancel: CancelToken::new(), inner: Mutex::default() });
    let mut worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    worlds.get_or_insert_default().insert(seed, world.clone());
    world
}

/// The world that a plugin's options name.
pub fn find(seed: u64) -> Arc<World> {
    let worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    worlds.as_ref().and_then(|w| w.get(&seed)).cloned().expect("the test made it before the run")
}

/// The classes of a source's errors: code, kind, what to do, least wait in ms.
pub const CLASSES: [(&str, ErrorKind, Retry, u64); 4] = [
    ("sim.connection", ErrorKind::Connection, Retry::NewSession, 0),
    ("sim.timeout", ErrorKind::Timeout, Retry::SmallerSplit, 0),
    ("sim.deadlock", ErrorKind::Conflict, Retry::SameSession, 1_000),
    ("sim.capacity", ErrorKind::Capacity, Retry::NewSession, 15_000),
];
/// The code of a store's error; it carries no wait.
pub const STORE: &str = "sim.store";

impl World {
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn violation(&self, text: String) {
        self.lock().violations.push(text);
    }

    /// A number that depends on the seed and this call alone, whatever other threads do; none when all is well.
    fn dice(&self, place: &'static str, name: &str, per_thousand: u64) -> Option<u64> {
        let mut inner = self.lock();
        inner.n_calls += 1;
        if !inner.healed && self.setup.interrupt_at == Some(inner.n_calls) {
            self.cancel.cancel();
        }
        let pass = inner.passes.entry((place, name.to_owned())).or_default();
        *pass += 1;
        let mut hasher = DefaultHasher::new();
        (self.setup.seed, place, name, *pass).hash(&mut hasher);
        let thrown = hasher.finish();
        (!inner.healed && thrown % 1000 < per_thousand).then_some(thrown / 1000)
    }

    /// Fails as a source fails, at times.
    pub fn source_may_fail(&self, place: &'static str, name: &str) -> Result<()> {
        let Some(thrown) = self.dice(place, name, self.setup.source_failures) else { return Ok(()) };
        if thrown % 5 == 4 {
            // The holder's connection dies: what was joined lives on, but nobody joins any more.
            let mut inner = self.lock();
            inner.snapshots.clear();
            inner.n_lost += 1;
        }
        let (code, kind, retry, after_ms) = CLASSES[usize::try_from(thrown % 5).unwrap_or(0) % 4];
        let text = format!("made to fail with {code}");
        Err(PluginError::new(kind, code, text).retry(retry).retry_after_ms(after_ms))
    }

    /// Fails as a store fails, at times.
    pub fn store_may_fail(&self, place: &'static str, name: &str) -> Result<()> {
        match self.dice(place, name, self.setup.store_failures) {
            None => Ok(()),
            Some(_) => {
                Err(PluginError::new(ErrorKind::Io, STORE, format!("made to fail with {STORE}"))
                    .retry(Retry::NewSession))
            }
        }
    }

    /// Id of the row at a place: pages are ordered differently in each snapshot, keys never.
    pub fn id_at(&self, snapshot: u64, place: i64) -> i64 {
        let shift = if self.setup.kind == Kind::Pages { i64::try_from(snapshot * 13).unwrap_or(0) } else { 0 };
        (place + shift) % self.setup.n_rows.max(1)
    }
}
