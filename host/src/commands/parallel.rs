//! Several exports of a config at once, on threads of this process.
//! It must not know the steps of a run.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rivet_core::resolve::ExportSpec;
use rivet_core::run::{self, Env};
use rivet_core::summary::Summary;

/// How many of the exports run at once: as many as there are processors, as the source takes connections, and as there is
/// memory for values of a modest size in each. What is the whole process's, memory and connections, is shared out among
/// them.
pub fn share(specs: &mut [ExportSpec]) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let connections = specs.iter().filter_map(|spec| spec.tuning.max_connections).min();
    let most = specs.len().min(processors).min(connections.unwrap_or(usize::MAX)).max(1);
    let fit = |n: &usize| specs.iter().all(|spec| spec.has_memory_among(*n, workers_among(spec, *n)));
    let n_at_once = (1..=most).rev().find(fit).unwrap_or(1);
    for spec in specs {
        spec.n_workers = workers_among(spec, n_at_once);
        spec.share_memory(n_at_once);
    }
    n_at_once
}

/// Workers of an export that is one of `n_at_once`, which share the connections.
fn workers_among(spec: &ExportSpec, n_at_once: usize) -> usize {
    spec.tuning.max_connections.map_or(spec.n_workers, |n| spec.n_workers.min(workers(n / n_at_once)))
}

/// Workers of an export that may have so many connections: with several, one more holds the snapshot they share.
fn workers(connections: usize) -> usize {
    connections.saturating_sub(1).max(1)
}

/// Runs all exports, at most `n_at_once` of them at a time; summaries are in the order of `specs`. After an interrupt
/// none begins any more. `tell` hears how each ended, when it has ended.
pub fn run(specs: &[ExportSpec], env: &Env<'_>, n_at_once: usize, tell: &(dyn Fn(&Summary) + Sync)) -> Vec<Summary> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Summary)>> = Mutex::default();
    let work = || {
        while let Some((i, spec)) = take(specs, &next) {
            let summary = run::run(spec, env);
            tell(&summary);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((i, summary));
            if env.cancel.is_cancelled() {
                break;
            }
        }
    };
    if n_at_once <= 1 {
        work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..n_at_once {
                scope.spawn(work);
            }
        });
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, summary)| summary).collect()
}

fn take<'s>(specs: &'s [ExportSpec], next: &AtomicUsize) -> Option<(usize, &'s ExportSpec)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    specs.get(i).map(|spec| (i, spec))
}
