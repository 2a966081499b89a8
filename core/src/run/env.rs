//! What a run is given: state, clock, randomness, cancellation and a listener.
//! It must not know which of them are real.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rivet_plugin_api::CancelToken;

use super::fault::Faults;
use super::progress::Progress;
use crate::clock::Clock;
use crate::random::Random;
use crate::state::State;

/// The world around a run; everything in it can be replaced by a test.
pub struct Env<'a> {
    /// State store.
    pub state: &'a State,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub random: &'a dyn Random,
    /// Cancels all runs.
    pub cancel: &'a CancelToken,
    /// Listener.
    pub progress: &'a dyn Progress,
    /// Where to die, in tests.
    pub faults: &'a Faults,
    /// What started the run, for whoever finds the lock held: `rivet run`.
    pub command: &'a str,
    /// What all runs that were started together have in common.
    pub invocation: &'a str,
}

/// Locks a mutex whose data stays sound if a holder panicked.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
