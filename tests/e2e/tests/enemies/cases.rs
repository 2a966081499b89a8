//! Tables of cases, several at a time, each failure named.
//! Must not know what a case is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

/// How many at a time, of cases that wait most of the time.
pub const SOME: usize = 6;

/// Judges every case, so many at a time, and fails with the names of all that are not as they should be.
pub fn each<T: Sync>(
    at_once: usize,
    cases: &[T],
    name: impl Fn(&T) -> String,
    judge: impl Fn(&T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(cases.len()) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(i) else { break };
                    if let Err(e) = judge(case) {
                        wrong.lock().unwrap_or_else(PoisonError::into_inner).push((i, format!("{e:#}")));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    wrong.sort();
    if wrong.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = wrong.iter().map(|(i, e)| format!("- {}: {e}", name(&cases[*i]))).collect();
    bail!("{} of {} cases:\n{}", wrong.len(), cases.len(), told.join("\n"))
}
