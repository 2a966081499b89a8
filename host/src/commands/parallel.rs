//! Several exports of a config at once.
//! It must not know the steps of a run, nor in which process one is.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rivet_core::resolve::ExportSpec;
use rivet_core::run::Env;
use rivet_core::summary::Summary;

/// How many of the exports run at once: as many as are `wanted` or there are processors, as the source takes connections, and as there is
/// memory for values of a modest size in each. What is the whole process's, memory and connections, is shared out among
/// them.
pub fn share(specs: &mut [ExportSpec], wanted: Option<NonZero<usize>>) -> usize {
    let processors = || std::thread::available_parallelism().ok();
    let wanted = wanted.or_else(processors).map_or(1, NonZero::get);
    let connections = specs.iter().filter_map(|spec| spec.tuning.max_connections).min();
    let most = specs.len().min(wanted).min(connections.unwrap_or(usize::MAX)).max(1);
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

/// Runs all exports by `one`, wave by wave, at most `n_at_once` of them at a time; whoever is done takes the next, the longest
/// first. Summaries are in the order of `specs`. After an interrupt none begins any more. `tell` hears how each ended, when it
/// has ended.
pub fn run(
    specs: &[ExportSpec],
    env: &Env<'_>,
    n_at_once: usize,
    one: &(dyn Fn(&ExportSpec) -> Summary + Sync),
    tell: &(dyn Fn(&Summary) + Sync),
) -> Vec<Summary> {
    let done: Mutex<Vec<(usize, Summary)>> = Mutex::default();
    let asked: Vec<(Option<u32>, bool)> = specs.iter().map(|spec| (spec.wave, spec.parallel_safe)).collect();
    let lengths: Vec<u64> = specs.iter().map(|spec| if n_at_once > 1 { length(spec, env) } else { 0 }).collect();
    for mut stage in stages(&asked, n_at_once) {
        stage.sort_by_key(|i| Reverse(lengths[*i]));
        if env.cancel.is_cancelled() && !done.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            break;
        }
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(i) = stage.get(next.fetch_add(1, Ordering::Relaxed)) {
                let summary = one(&specs[*i]);
                tell(&summary);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((*i, summary));
                if env.cancel.is_cancelled() {
                    break;
                }
            }
        };
        if n_at_once <= 1 || stage.len() == 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 0..n_at_once {
                    scope.spawn(work);
                }
            });
        }
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, summary)| summary).collect()
}

/// How many rows an export may have: as many as its last good run had, and more than any other where there was none.
fn length(spec: &ExportSpec, env: &Env<'_>) -> u64 {
    let last = env.state.good_runs(&spec.name, 1).unwrap_or_default();
    last.first().and_then(|run| run.summary["rows"].as_u64()).unwrap_or(u64::MAX)
}

/// Which exports may run together, by number, stage after stage: a wave ends before the next begins, those without one come
/// last, and an export that is not safe beside others has a stage of its own. `exports` are their waves, and whether they
/// are safe.
fn stages(exports: &[(Option<u32>, bool)], n_at_once: usize) -> Vec<Vec<usize>> {
    let mut waves: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (i, (wave, _)) in exports.iter().enumerate() {
        waves.entry(wave.map_or(u64::MAX, u64::from)).or_default().push(i);
    }
    let mut stages = Vec::new();
    for wave in waves.into_values() {
        let (together, alone): (Vec<usize>, Vec<usize>) =
            wave.into_iter().partition(|i| n_at_once <= 1 || exports[*i].1);
        stages.extend((!together.is_empty()).then_some(together));
        stages.extend(alone.into_iter().map(|i| vec![i]));
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::stages;

    #[test]
    fn waves_come_in_order_and_what_is_not_safe_is_alone() {
        let exports =
            [(None, true), (Some(2), true), (Some(1), true), (Some(2), false), (Some(1), true), (None, false)];
        assert_eq!(stages(&exports, 4), [vec![2, 4], vec![1], vec![3], vec![0], vec![5]]);
        assert_eq!(
            stages(&exports, 1),
            [vec![2, 4], vec![1, 3], vec![0, 5]],
            "one at a time, in the order of the config"
        );
        assert_eq!(stages(&[(None, true), (None, true)], 2), [vec![0, 1]]);
        assert!(stages(&[], 2).is_empty());
    }
}
