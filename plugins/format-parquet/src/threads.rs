//! How many threads encode a part: one, and one more for each processor that nothing of ours needs.
//! It must not know what is encoded.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// More threads than this wait for the longest column.
const MAX_THREADS: usize = 4;
/// What a part needs while it is written: a thread that reads from the source, and one that encodes.
const THREADS_PER_PART: usize = 2;

/// Parts that this plugin is encoding.
static PARTS: Parts = Parts(AtomicUsize::new(0));

struct Parts(AtomicUsize);

/// A part that is being encoded, until it is dropped.
pub struct Share {
    /// What the options say.
    fixed: Option<NonZero<usize>>,
    n_processors: usize,
    all: &'static Parts,
}

impl Share {
    /// Counts a part. `fixed` is the number of threads, if that was configured.
    pub fn new(fixed: Option<NonZero<usize>>) -> Self {
        // Asks for the control group's limit, so it is not asked for each batch.
        Self::of(&PARTS, fixed, thread::available_parallelism().map_or(1, NonZero::get))
    }

    fn of(all: &'static Parts, fixed: Option<NonZero<usize>>, n_processors: usize) -> Self {
        all.0.fetch_add(1, Ordering::Relaxed);
        Self { fixed, n_processors, all }
    }

    /// Threads for the next rows of this part.
    pub fn n_threads(&self) -> usize {
        match self.fixed {
            Some(fixed) => fixed.get(),
            None => share_of(self.n_processors, self.all.0.load(Ordering::Relaxed)),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.0.fetch_sub(1, Ordering::Relaxed);
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
    fn parts_share_while_they_last() {
        static ALL: Parts = Parts(AtomicUsize::new(0));
        let one = Share::of(&ALL, None, 4);
        assert_eq!(one.n_threads(), 3);
        let other = Share::of(&ALL, NonZero::new(7), 4);
        assert_eq!((one.n_threads(), other.n_threads()), (1, 7), "what is configured holds");
        drop(other);
        assert_eq!(one.n_threads(), 3);
    }
}
