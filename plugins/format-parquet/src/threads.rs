//! How many threads encode a part: as many processors as nothing of ours needs.
//! It must not know what is encoded.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// More threads than this wait for the longest column.
const MAX_THREADS: usize = 4;
/// What a part needs while it is written: a thread that reads from the source, and one that encodes.
const THREADS_PER_PART: usize = 2;

/// Parts that are being written in this process.
static N_PARTS: AtomicUsize = AtomicUsize::new(0);

/// A part that is being written, until it is dropped.
pub struct Share {
    /// What the options say.
    fixed: Option<NonZero<usize>>,
    n_processors: usize,
}

impl Share {
    /// Counts a part. `fixed` is the number of threads, if that was configured.
    pub fn new(fixed: Option<NonZero<usize>>) -> Self {
        N_PARTS.fetch_add(1, Ordering::Relaxed);
        // Asks for the control group's limit, so it is not asked for each batch.
        Self { fixed, n_processors: thread::available_parallelism().map_or(1, NonZero::get) }
    }

    /// Threads for the next rows of this part.
    pub fn n_threads(&self) -> usize {
        match self.fixed {
            Some(fixed) => fixed.get(),
            None => share_of(self.n_processors, N_PARTS.load(Ordering::Relaxed)),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        N_PARTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Threads for one of so many parts: its own, and its share of the idle processors.
fn share_of(n_processors: usize, n_parts: usize) -> usize {
    let n_parts = n_parts.max(1);
    let idle = n_processors.saturating_sub(n_parts * THREADS_PER_PART);
    (1 + idle / n_parts).min(MAX_THREADS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idle_processors_help() {
        for (n_processors, n_parts, n_threads) in
            [(1, 1, 1), (2, 1, 1), (3, 1, 2), (4, 1, 3), (4, 2, 1), (8, 2, 3), (64, 1, 4), (64, 40, 1), (8, 0, 4)]
        {
            assert_eq!(share_of(n_processors, n_parts), n_threads, "{n_processors} {n_parts}");
        }
    }

    #[test]
    fn what_is_configured_holds() {
        let share = Share::new(NonZero::new(7));
        assert_eq!(share.n_threads(), 7);
        assert!((1..=MAX_THREADS).contains(&Share::new(None).n_threads()));
    }
}
