//! A made-up world: a database whose physical order changes with every snapshot, and a store, both failing at random.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rivet_core::random::{Random, SeededRandom};
use rivet_plugin_api::{ErrorKind, PluginError, Result, Retry};

/// One world a seed.
pub struct World {
    pub n_rows: i64,
    /// Whether split bounds mean the same in every snapshot.
    pub stable: bool,
    random: SeededRandom,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub struct Inner {
    pub fail_percent: u64,
    /// Snapshots whose holder lives.
    pub snapshots: BTreeSet<u64>,
    pub next_snapshot: u64,
    /// Names that were ever begun: none may come twice.
    pub names: BTreeSet<String>,
    pub prepared: BTreeMap<String, Vec<u8>>,
    pub visible: BTreeMap<String, Vec<u8>>,
}

static WORLDS: Mutex<Option<HashMap<u64, Arc<World>>>> = Mutex::new(None);

/// Makes the world of a seed.
pub fn create(seed: u64, n_rows: i64, stable: bool, fail_percent: u64) -> Arc<World> {
    let inner = Mutex::new(Inner { fail_percent, ..Inner::default() });
    let world = Arc::new(World { n_rows, stable, random: SeededRandom::new(seed), inner });
    let mut worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    worlds.get_or_insert_default().insert(seed, world.clone());
    world
}

/// The world that a plugin's options name.
pub fn find(seed: u64) -> Arc<World> {
    let worlds = WORLDS.lock().unwrap_or_else(PoisonError::into_inner);
    worlds.as_ref().and_then(|w| w.get(&seed)).cloned().expect("the test made it")
}

impl World {
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn chance(&self, percent: u64) -> bool {
        self.random.next_u64() % 100 < percent
    }

    /// Fails at random, in one of the ways a source fails.
    pub fn source_may_fail(&self) -> Result<()> {
        let percent = self.lock().fail_percent;
        if !self.chance(percent) {
            return Ok(());
        }
        let (kind, retry, after_ms) = match self.random.next_u64() % 5 {
            0 => (ErrorKind::Connection, Retry::NewSession, 0),
            1 => (ErrorKind::Timeout, Retry::SmallerSplit, 0),
            2 => (ErrorKind::Conflict, Retry::SameSession, 1_000),
            3 => (ErrorKind::Capacity, Retry::NewSession, 15_000),
            // The snapshot's holder dies: nobody can join any more.
            _ => {
                self.lock().snapshots.clear();
                (ErrorKind::Connection, Retry::NewSession, 0)
            }
        };
        Err(PluginError::new(kind, "sim.source", "made to fail").retry(retry).retry_after_ms(after_ms))
    }

    /// Fails at random, as a store fails.
    pub fn store_may_fail(&self) -> Result<()> {
        let percent = self.lock().fail_percent;
        if !self.chance(percent / 2) {
            return Ok(());
        }
        Err(PluginError::new(ErrorKind::Io, "sim.store", "made to fail").retry(Retry::NewSession))
    }

    /// Where a row lies on disk in a snapshot: its page order is a rotation that differs from snapshot to snapshot,
    /// unless splits are by key.
    pub fn row_at(&self, snapshot: u64, place: i64) -> i64 {
        let shift = if self.stable { 0 } else { i64::try_from(snapshot * 13).unwrap_or(0) };
        (place + shift) % self.n_rows.max(1)
    }
}
