//! The same with each of many things, several at once where each mostly waits for an answer.
//! It must not know what is done.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread::scope;

use super::env::lock;
use crate::error::RunError;

/// Does `act` with each item, at most `n_at_once` at a time; what comes of them is in the order of the items. After an error
/// nothing more is begun, and the error of the earliest item is returned.
///
/// # Errors
/// Those of `act`.
pub fn each<T: Sync, R: Send>(
    items: &[T],
    n_at_once: usize,
    act: impl Fn(&T) -> Result<R, RunError> + Sync,
) -> Result<Vec<R>, RunError> {
    let next = Mutex::new(items.iter().enumerate());
    let work = || {
        let mut done = Vec::new();
        loop {
            let Some((i, item)) = lock(&next).next() else { return done };
            let result = act(item);
            if result.is_err() {
                lock(&next).by_ref().for_each(drop);
            }
            done.push((i, result));
        }
    };
    let mut done: Vec<_> = match n_at_once.min(items.len()) {
        0 | 1 => work(),
        n => scope(|scope| {
            let running: Vec<_> = (0..n).map(|_| scope.spawn(work)).collect();
            running.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        }),
    };
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn several_at_once_and_in_order() {
        let items: Vec<usize> = (0..9).collect();
        let (meet, running, most) = (Barrier::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        let done = each(&items, 3, |i| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            meet.wait();
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(i * 2)
        });
        assert_eq!(done.expect("no error"), [0, 2, 4, 6, 8, 10, 12, 14, 16]);
        assert_eq!(most.into_inner(), 3);
        assert!(each(&[0; 0], 3, |i: &i32| Ok(*i)).is_ok_and(|done| done.is_empty()));
    }

    #[test]
    fn nothing_is_begun_after_an_error() {
        for n_at_once in [1, 4] {
            let n_begun = AtomicUsize::new(0);
            let items: Vec<usize> = (0..1_000).collect();
            let done = each(&items, n_at_once, |i| {
                n_begun.fetch_add(1, Ordering::SeqCst);
                if *i == 2 { Err(RunError::Interrupted) } else { Ok(()) }
            });
            assert!(matches!(done, Err(RunError::Interrupted)));
            assert!(n_begun.into_inner() < 1_000);
        }
    }
}
