//! Randomness as an injected dependency: run ids and jitter.
//! It must not know what the numbers are for.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Mutex;

/// A source of random numbers.
pub trait Random: Send + Sync {
    /// The next number, uniform over all values.
    fn next_u64(&self) -> u64;
}

/// Randomness from the operating system, by way of the standard library's hash keys.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        // Every `RandomState` has fresh keys; SipHash of nothing under them is as random as the keys are.
        RandomState::new().build_hasher().finish()
    }
}

/// A repeatable sequence for simulations (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Debug)]
pub struct SeededRandom(Mutex<u64>);

impl SeededRandom {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
