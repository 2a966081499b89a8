//! What looks wrong and may be right: told, and the run goes on.
//! It must not know who is told.

use std::collections::HashSet;

use rivet_plugin_api::{Estimate, Relation, Split};

use crate::config::Mode;
use crate::plan::Plan;
use crate::resolve::ExportSpec;

/// From so many rows on statistics are not so old that the table can be empty meanwhile.
const MANY_ROWS: u64 = 1000;

/// Splits that are the same hold the same rows, which are written twice then.
pub fn of_splits(splits: &[Split]) -> Option<String> {
    let mut labels = HashSet::new();
    let twin = splits.iter().find(|split| !labels.insert(&split.label));
    let mut specs = HashSet::new();
    let twin = twin.or_else(|| splits.iter().find(|split| !specs.insert(split.spec.to_string())))?;
    Some(format!("the source gives the split '{}' twice: its rows may be in the files twice", twin.label))
}

/// Fewer workers than `parallel` asks for, for a reason that stays; `joinable`: more than one could read the snapshot.
pub fn of_workers(spec: &ExportSpec, plan: &Plan, estimate: &Estimate, joinable: bool) -> Option<String> {
    let (wanted, n_workers) = (spec.parallel, plan.n_workers);
    if n_workers >= wanted {
        return None;
    }
    let in_memory = spec.workers_in_memory();
    let why = if n_workers == in_memory && in_memory < spec.tuning.max_connections.unwrap_or(usize::MAX) {
        let mib = spec.tuning.memory_bytes >> 20;
        let among =
            if spec.n_at_once > 1 { format!(" of each of {} exports at once", spec.n_at_once) } else { String::new() };
        format!("{mib} MiB of memory (`memory_mb`){among} hold no more uploads to a store")
    } else if let Some(most) = spec.tuning.max_connections.filter(|_| spec.n_workers < wanted) {
        format!("`max_connections: {most}` leaves no more: one connection holds the snapshot")
    } else if !joinable && !spec.source_capabilities().shared_snapshot {
        format!("sessions of the source '{}' cannot share a snapshot", spec.source.info().name)
    } else if !estimate.splittable && plan.splits.len() < 2 {
        match spec.relation {
            Relation::Query { .. } => "a query cannot be cut: name the table, with `select` and `where`".to_owned(),
            Relation::Table { .. } => format!("the source cannot cut {} into splits", spec.relation.label()),
        }
    } else {
        return None;
    };
    Some(format!("`parallel: {wanted}`: {}, since {why}", readers(n_workers)))
}

/// Fewer workers than `parallel` asks for, because there is little to read.
pub fn of_few_rows(spec: &ExportSpec, plan: &Plan, estimate: &Estimate, joinable: bool) -> Option<String> {
    // Where more could be read at once, the source says why it is not.
    let few = plan.n_workers == plan.splits.len() && of_workers(spec, plan, estimate, joinable).is_none();
    let few = few && spec.parallel > plan.n_workers;
    let rows = estimate.rows.filter(|_| few)?;
    Some(format!(
        "`parallel: {}`: {}, since about {rows} rows are not worth more",
        spec.parallel,
        readers(plan.n_workers)
    ))
}

fn readers(n_workers: usize) -> String {
    if n_workers == 1 { "one worker reads".to_owned() } else { format!("{n_workers} workers read") }
}

/// Nothing came of a whole table that has rows by its statistics.
pub fn of_rows(spec: &ExportSpec, estimate: &Estimate, rows: u64) -> Option<String> {
    let whole = spec.mode() == Mode::Full && spec.condition.is_none();
    let expected = estimate.rows.filter(|expected| whole && rows == 0 && *expected >= MANY_ROWS)?;
    let relation = spec.relation.label();
    Some(format!("{relation} has about {expected} rows by its statistics, and none came"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn splits_that_share_a_label_or_a_description_are_told() {
        let split = |spec, label| Split::new(json!(spec), label);
        assert_eq!(of_splits(&[split(1, "a"), split(2, "b")]), None);
        assert!(of_splits(&[split(1, "a"), split(2, "a")]).is_some_and(|told| told.contains("'a'")));
        assert!(of_splits(&[split(1, "a"), split(1, "b")]).is_some_and(|told| told.contains("'b'")));
    }
}
